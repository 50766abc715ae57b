"""What a draft makes of a table: its task and its columns."""

import json
import re

import pytest

from hpsearch.errors import DataError, UserError
from hpsearch.preflight.draft.questions import Answers, Question
from tests.preflight.draft.files import drafted, keys, labelled, rows, sentences

SPLIT = {"valid": 0.1, "test": 0.1}


def test_a_column_of_scores_is_not_used_and_that_is_said(tmp_path):
    path = rows(tmp_path / "a.csv", ("text", "score"), *((text, i / 7) for i, text in enumerate(sentences(100))))
    made = drafted(path)
    assert "    task: text  # no task predicts numbers: score is not used\n" in made.text
    assert "a: no task predicts numbers: score is not used" in made.lines


def test_a_chat_is_refused_with_what_to_do(tmp_path):
    chat = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "good day"}]}
    (tmp_path / "chat.jsonl").write_text(f"{json.dumps(chat)}\n" * 40)
    with pytest.raises(DataError, match=r"chat.jsonl:1: a chat \(messages in 'messages'\), which no task reads"):
        drafted(tmp_path / "chat.jsonl")


def test_a_labelled_csv(tmp_path):
    path = labelled(tmp_path / "reviews.csv", header=("sentence", "intent"))
    found = keys(path)
    assert found == {
        "task": "classification",
        "files": {"train": "reviews.csv"},
        "text": "sentence",
        "label": "intent",
        "split": SPLIT,
    }


def test_other_columns_do_not_matter(tmp_path):
    some = [(i, text, "pn"[i % 2], f"u{i % 7}", "2020-01-01") for i, text in enumerate(sentences(100))]
    path = rows(tmp_path / "a.csv", ("id", "text", "label", "user", "date"), *some)
    assert {key: keys(path)[key] for key in ("task", "text", "label")} == {
        "task": "classification",
        "text": "text",
        "label": "label",
    }


def test_a_table_without_labels_is_text(tmp_path):
    path = rows(tmp_path / "a.csv", ("id", "body"), *enumerate(sentences(50)))
    assert keys(path) == {"task": "text", "files": {"train": "a.csv"}, "text": "body", "split": SPLIT}


def test_columns_with_names_of_pairs_are_a_translation(tmp_path):
    for names in (("question", "answer"), ("en", "fr"), ("src", "tgt"), ("target", "source")):
        path = rows(tmp_path / "a.csv", names, *zip(sentences(60), sentences(60, seed=1), strict=True))
        found = keys(path)
        source = "source" if "source" in names else names[0]
        assert (found["task"], found["source"]) == ("translation", source)


def test_nested_columns_of_the_hub(tmp_path):
    pairs = zip(sentences(60), sentences(60, seed=1), strict=True)
    text = "\n".join(f'{{"translation": {{"de": "{one}", "en": "{other}"}}}}' for one, other in pairs)
    (tmp_path / "a.jsonl").write_text(text)
    found = keys(tmp_path / "a.jsonl")
    assert (found["source"], found["target"]) == ("translation.de", "translation.en")


def test_the_first_row_of_a_file_without_a_header_is_an_example(tmp_path):
    path = labelled(tmp_path / "a.tsv", header=None, separator="\t", encoding="utf-16")
    found = keys(path)
    assert (found["columns"], found["text"], found["label"]) == (["text", "label"], "text", "label")
    assert drafted(path).lines[1] == "a: text from text, label from label; the first row is an example"


def test_names_of_columns_that_yaml_reads_otherwise(tmp_path):
    some = [(("yes", "no")[i % 2], text) for i, text in enumerate(sentences(60))]
    path = rows(tmp_path / "odd 'é': #1.csv", ("no", "on"), *some)
    found = keys(path)
    assert (found["text"], found["label"], found["files"]) == ("on", "no", {"train": path.name})


def test_another_delimiter_and_encoding(tmp_path):
    some = [(f"café {text}", "ab"[i % 2]) for i, text in enumerate(sentences(60))]
    path = rows(tmp_path / "a.csv", ("text", "label"), *some, separator=";", encoding="cp1252")
    found = keys(path)
    assert (found["delimiter"], found["encoding"]) == (";", "cp1252")
    assert keys(path, encoding="latin-1")["encoding"] == "latin-1"


def test_what_shows_that_an_encoding_is_right_is_shown(tmp_path):
    """The characters in doubt, which may stand far from the beginning of a text."""
    some = [(f"{text} {'x' * 70} für 3 £ {'y' * 70}", "ab"[i % 2]) for i, text in enumerate(sentences(60))]
    path = rows(tmp_path / "a.csv", ("text", "label"), *some, encoding="cp1252")
    [line] = [line for line in drafted(path).lines if "not UTF-8" in line]
    assert re.search(r"'\.\.\.x+ für 3 £ y+\.\.\.'", line)


def test_a_few_rows_without_a_label_or_a_text_are_skipped_by_one_rule(tmp_path):
    some = [(text, "abc"[i % 3]) for i, text in enumerate(sentences(200))]
    for bad, line in ((("no label", ""), 152), (("", "a"), 152)):
        path = rows(tmp_path / "a.csv", ("text", "label"), *some[:150], bad, *some[150:])
        made = drafted(path)
        assert (keys(path)["label"], keys(path)["skip_bad_rows"]) == ("label", True)
        assert any("1 of 201 rows skipped" in said and f"a.csv:{line}" in said for said in made.warnings)
    for bad in (("no label", ""), ("", "a")):
        path = rows(tmp_path / "a.csv", ("text", "label"), *some[:150], *[bad] * 9, *some[150:])
        with pytest.raises((DataError, UserError), match=r"row 151|a\.csv:152"):
            drafted(path)


@pytest.mark.parametrize(
    ("encoding", "likes", "dislikes"),
    [
        ("gb18030", "这部电影非常好看。我很喜欢里面的演员和音乐", "剧情太差了。浪费时间。不推荐大家去看这样的片子"),
        ("gbk", "这部电影非常好看。我很喜欢里面的演员和音乐", "剧情太差了。浪费时间。不推荐大家去看这样的片子"),
        ("cp1251", "Этот фильм мне очень понравился, советую", "Потеря времени и денег, не смотрите это"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_an_encoding_that_is_not_western_is_recognised_and_said(tmp_path, encoding, likes, dislikes, ending):
    mark = "," if ending == "csv" else "\t"
    some = [(f"{(likes, dislikes)[i % 2]} {i}".replace(",", ";"), ("pos", "neg")[i % 2]) for i in range(120)]
    path = rows(tmp_path / f"a.{ending}", ("text", "label"), *some, separator=mark, encoding=encoding)
    found = keys(path)
    assert found["encoding"] == {"gbk": "gb18030"}.get(encoding, encoding)  # which contains it
    assert found["task"] == "classification"
    made = drafted(path)
    [line] = [line for line in made.lines if "not UTF-8" in line]
    assert line.startswith(f"a: not UTF-8, read as {found['encoding']}: '")
    assert line.endswith("; if that is wrong, give --encoding")
    assert likes[:8] in line or dislikes[:8] in line


def test_a_utf_8_file_with_damage_is_not_read_in_another_encoding(tmp_path):
    path = rows(tmp_path / "a.csv", ("text", "label"), *((f"这部电影非常好看 {i}", "ab"[i % 2]) for i in range(100)))
    path.write_bytes(path.read_bytes().replace("好看 5".encode(), b"\xc8 5"))
    with pytest.raises(DataError, match=r"a\.csv:\d+: .*is not UTF-8"):
        drafted(path)


def test_rows_that_are_all_the_same_are_said(tmp_path):
    path = rows(tmp_path / "a.csv", ("text",), *[("same text here",)] * 300)
    with pytest.raises(UserError, match=r"no column holds texts: text \(1 different value in 300 rows\)"):
        drafted(path)


def test_a_table_without_an_ending_of_its_own(tmp_path):
    path = labelled(tmp_path / "SMSSpamCollection", header=None, separator="\t")
    found = keys(path)
    assert (found["delimiter"], found["label"]) == ("\t", "label")


def test_what_only_the_user_can_say_is_one_line_that_names_option_and_candidates(tmp_path):
    some = [(text, "abc"[i % 3], "xyz"[i % 2]) for i, text in enumerate(sentences(60))]
    path = rows(tmp_path / "a.csv", ("text", "colour", "size"), *some)
    with pytest.raises(UserError) as caught:
        drafted(path)
    assert str(caught.value) == (
        "Which column has the labels? Candidates: colour, size. Give --label colour, or --yes to take the first"
    )
    assert keys(path, label="size")["label"] == "size"
    assert keys(path, ask=lambda question: question.answers[1])["label"] == "size"
    taken = drafted(path, first=True)
    assert taken.warnings[0] == "--label colour is a guess"


def test_several_columns_of_texts(tmp_path):
    some = [
        (one, other, "ab"[i % 2])
        for i, (one, other) in enumerate(zip(sentences(60), sentences(60, seed=1), strict=True))
    ]
    path = rows(tmp_path / "a.csv", ("headline", "lead", "label"), *some)
    with pytest.raises(UserError, match="Which column has the texts"):
        drafted(path)
    assert keys(path, text=["headline", "lead"])["text"] == ["headline", "lead"]
    assert keys(path, task="translation", source="headline", target="lead")["task"] == "translation"


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (("a", "b"), lambda i, text: (i, i / 7), "no column holds texts: a (numbers), b (numbers)"),
        (("text", "label"), lambda i, text: (text, f"x{i}"), "has 60 different values in 60 rows"),
        (("text", "label"), lambda i, text: (text, i / 7), "has 60 different numbers in 60 rows"),
        (("title", "lead"), lambda i, text: (text, text[::-1]), "Give --task translation"),
    ],
)
def test_a_table_that_cannot_be_guessed(tmp_path, header, row, said):
    path = rows(tmp_path / "a.csv", header, *(row(i, text) for i, text in enumerate(sentences(60))))
    with pytest.raises(UserError) as caught:
        drafted(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"text,label\n", "no examples"),
        (b"text,label\nsome words,a\n", "too few rows to guess from (1)"),
        (bytes(range(256)) * 9, "a binary file, text is expected"),
        (b'text,label\n"never closed,a\n' + b"b,c\n" * 30, "never closed"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises((DataError, UserError)) as caught:
        drafted(tmp_path / "a.csv")
    assert said in str(caught.value)


def test_a_few_bad_rows_are_skipped_with_a_warning_and_many_are_refused(tmp_path):
    some = [(text, "abc"[i % 3]) for i, text in enumerate(sentences(200))]
    path = rows(tmp_path / "a.csv", ("text", "label"), *some, ("", "a"), ("one", "two", "three"))
    made = drafted(path)
    assert keys(path)["skip_bad_rows"] is True
    assert any("2 of 202 rows skipped" in line and "a.csv:202" in line for line in made.warnings)
    rows(path, ("text", "label"), *some, *[("", "a")] * 9)
    with pytest.raises(DataError, match=r"a\.csv:202: "):
        drafted(path)


def test_columns_that_the_user_names_must_be_there(tmp_path):
    path = labelled(tmp_path / "a.csv")
    with pytest.raises(UserError, match="--label lable: no such column; there are: text, label"):
        drafted(path, label="lable")


def test_a_single_answer_is_not_asked():
    assert Answers().answer(Question("--label", "Which?", ["a"])) == "a"
