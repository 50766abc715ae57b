"""Which files belong together."""

import random

import pytest

import hpsearch
from hpsearch.document.document import parse
from hpsearch.errors import DataError, UserError
from tests.preflight.draft.files import drafted, keys, labelled, lines, rows, sentences


def test_the_splits_of_a_folder_and_of_a_list(tmp_path):
    sizes = {"train": 60, "dev": 20, "test": 20}
    parts = [labelled(tmp_path / f"{part}.tsv", n, separator="\t") for part, n in sizes.items()]
    files = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
    assert keys(*parts)["files"] == files
    found = keys(tmp_path, output=tmp_path / "space.yaml")
    assert found["files"] == files
    assert "split" not in found


def test_splits_at_the_end_of_a_name(tmp_path):
    train = labelled(tmp_path / "reviews_train.csv")
    test = labelled(tmp_path / "reviews_test.csv", 30)
    found = keys(train, test)
    assert found["files"] == {"train": "reviews_train.csv", "test": "reviews_test.csv"}
    assert found["split"] == {"valid": 0.1}
    assert drafted(train, test).lines[0].startswith("reviews: classification, 91 train, 9 valid, 30 test")


def test_parts_that_lie_beside_are_named(tmp_path):
    train = labelled(tmp_path / "train.tsv", separator="\t")
    assert not [line for line in drafted(train).warnings if "beside" in line]
    for name in ("valid.tsv", "test.tsv", "other_test.tsv", "test.csv", "train2.tsv"):
        labelled(tmp_path / name, 30, separator="\t")
    said = "test.tsv, valid.tsv lie beside train.tsv: pass them too, and no examples are cut from it"
    assert said in drafted(train).warnings
    rest = "test.tsv lies beside train.tsv: pass it too, and no examples are cut from it"
    assert rest in drafted(train, tmp_path / "valid.tsv").warnings
    pair = [lines(tmp_path / f"train.{end}", sentences(50, seed=i)) for i, end in enumerate(("de", "en"))]
    for end in ("de", "en"):
        lines(tmp_path / f"dev.{end}", sentences(20))
    said = "dev.de, dev.en lie beside train.de: pass them too, and no examples are cut from it"
    assert said in drafted(*pair).warnings


def test_a_file_that_is_given_twice_is_refused(tmp_path):
    path = labelled(tmp_path / "a.csv")
    (tmp_path / "b.csv").symlink_to(path)
    with pytest.raises(UserError, match=r"a\.csv: this file is given twice; give it once$"):
        drafted(path, path)
    with pytest.raises(UserError, match=r"b\.csv: this file is given twice, as .*a\.csv; give it once$"):
        drafted(path, tmp_path / "b.csv")


def test_a_file_whose_name_says_test_never_becomes_a_training_set_beside_others(tmp_path):
    one, two = labelled(tmp_path / "a.csv"), labelled(tmp_path / "b.csv")
    test = labelled(tmp_path / "test_new.csv", 30)
    assert keys(one, test)["files"] == {"train": "a.csv", "test": "test_new.csv"}
    assert "test_new.csv is taken as the test part of a.csv, by its name" in drafted(one, test).lines
    with pytest.raises(UserError, match=r"test_new\.csv: its name says test, and it is not clear of which"):
        drafted(one, two, test)
    assert keys(test)["files"] == {"train": "test_new.csv"}  # nothing else is there to train on
    texts = [lines(tmp_path / f"{name}.txt", sentences(60, seed=i)) for i, name in enumerate(("x", "y", "test"))]
    assert keys(*texts)["files"] == {"train": ["x.txt", "y.txt"], "test": "test.txt"}


def test_two_aligned_files(tmp_path):
    pair = [lines(tmp_path / f"train.{end}", sentences(50, seed=i)) for i, end in enumerate(("de", "en"))]
    assert keys(*pair)["files"] == {"train": {"source": "train.de", "target": "train.en"}}
    assert keys(*reversed(pair))["files"]["train"]["source"] == "train.en"
    assert keys(*pair, source="en")["files"]["train"]["source"] == "train.en"
    assert keys(*pair, target="de")["files"]["train"]["source"] == "train.en"
    with pytest.raises(UserError, match="--source fr: the files are of de and en"):
        drafted(*pair, source="fr")


def test_a_pattern_that_the_shell_has_not_expanded_is_expanded(tmp_path):
    for i in range(3):
        lines(tmp_path / f"part{i}.txt", sentences(50, seed=i))
    assert keys(tmp_path / "part*.txt")["files"] == {"train": ["part0.txt", "part1.txt", "part2.txt"]}
    lines(tmp_path / "odd[1].txt", sentences(50))
    assert keys(tmp_path / "odd[1].txt", output=tmp_path / "space.yaml")["files"] == {"train": "odd[1].txt"}
    with pytest.raises(DataError, match=r"none\*.txt: no file matches this pattern$"):
        drafted(tmp_path / "none*.txt")


def test_a_binary_file_is_refused_as_such(tmp_path):
    for name in ("weights.bin", "notes.txt", "table.csv"):
        (tmp_path / name).write_bytes(bytes(random.Random(0).choices(range(1, 256), k=5000)))
        with pytest.raises(DataError, match=rf"{name}: a binary file, text is expected; give the files"):
            drafted(tmp_path / name)
    (tmp_path / "wide.txt").write_text("\n".join(sentences(60)), encoding="utf-16")
    assert keys(tmp_path / "wide.txt")["task"] == "text"


def test_a_folder_of_aligned_files_needs_a_direction(tmp_path):
    for part, n in (("train", 60), ("valid", 20), ("test", 20)):
        for i, end in enumerate(("de", "en")):
            lines(tmp_path / f"{part}.{end}", sentences(n, seed=i))
    with pytest.raises(UserError, match=r"Candidates: de, en\. Give --source de"):
        drafted(tmp_path, output=tmp_path / "space.yaml")
    found = keys(tmp_path, source="de", output=tmp_path / "space.yaml")["files"]
    assert found["valid"] == {"source": "valid.de", "target": "valid.en"}
    assert set(found) == {"train", "valid", "test"}


def test_aligned_txt_files_by_their_names_or_by_the_task(tmp_path):
    pair = [lines(tmp_path / f"{side}-train.txt", sentences(50, seed=i)) for i, side in enumerate(("src", "tgt"))]
    assert keys(*pair)["files"]["train"] == {"source": "src-train.txt", "target": "tgt-train.txt"}
    other = [lines(tmp_path / f"{name}.txt", sentences(50, seed=i)) for i, name in enumerate(("one", "two"))]
    assert keys(*other)["task"] == "text"
    assert keys(*other, task="translation")["files"]["train"] == {"source": "one.txt", "target": "two.txt"}


def test_unequal_files_are_refused_with_both_numbers(tmp_path):
    pair = [lines(tmp_path / f"a.{end}", sentences(n)) for end, n in (("de", 50), ("en", 49))]
    with pytest.raises(DataError, match=r"has 50 lines, .* has 49"):
        drafted(*pair)


def test_one_side_alone_names_the_other(tmp_path):
    for end in ("de", "en"):
        lines(tmp_path / f"train.{end}", sentences(50))
    with pytest.raises(DataError, match=r"one side of a translation\? Give both files: .*train\.de .*train\.en"):
        drafted(tmp_path / "train.de")


def test_a_folder_of_texts(tmp_path):
    folder = tmp_path / "plays"
    folder.mkdir()
    for i in range(12):
        lines(folder / f"{i}.txt", sentences(20, seed=i))
    assert keys(folder, output=tmp_path / "space.yaml")["files"] == {"train": "plays"}


def test_lines_of_a_text_without_paragraphs(tmp_path):
    path = lines(tmp_path / "a.txt", sentences(60))
    assert keys(path)["lines"] is True
    (tmp_path / "b.txt").write_text("\n\n".join(sentences(60)))
    assert "lines" not in keys(tmp_path / "b.txt")


def test_folders_that_may_be_labels_are_named(tmp_path):
    for name in ("neg", "pos"):
        (tmp_path / "imdb" / name).mkdir(parents=True)
        for i in range(12):
            lines(tmp_path / "imdb" / name / f"{i}.txt", sentences(5, seed=i))
    made = drafted(tmp_path / "imdb", output=tmp_path / "space.yaml")
    assert any("the folders neg, pos may be labels" in line for line in made.lines)
    assert keys(tmp_path / "imdb", output=tmp_path / "space.yaml")["dataset"] == "imdb"


def test_a_saved_data_set(tmp_path):
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["neg", "pos"])
    made = {"sentence": sentences(60), "label": [i % 2 for i in range(60)]}
    train = datasets.Dataset.from_dict(made).cast_column("label", label)
    datasets.DatasetDict({"train": train, "validation": train.select(range(20))}).save_to_disk(str(tmp_path / "saved"))
    found = keys(tmp_path / "saved", output=tmp_path / "space.yaml")
    assert (found["dataset"], found["text"], found["split"]) == ("saved", "sentence", {"test": 0.1})


def test_several_sets_are_a_mixed_study(tmp_path):
    reviews = labelled(tmp_path / "reviews.csv")
    pairs = rows(tmp_path / "pairs.csv", ("src", "tgt"), *zip(sentences(60), sentences(60, seed=1), strict=True))
    made = parse(drafted(reviews, pairs).text, path="x").value
    tasks = {name: one["task"] for name, one in made["data"].items()}
    assert tasks == {"reviews": "classification", "pairs": "translation"}
    assert made["objective"] == {"metric": "val/loss"}
    with pytest.raises(UserError, match="--task is of one data set; these files are 2: reviews, pairs"):
        drafted(reviews, pairs, task="text")


def test_folders_without_data_and_of_several_sets(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no data in this folder, it is empty"):
        drafted(tmp_path / "empty")
    (tmp_path / "several").mkdir()
    for name in ("reviews.csv", "people.csv"):
        labelled(tmp_path / "several" / name)
    with pytest.raises(DataError, match=r"files of several sets \(2 files: people.csv, reviews.csv\)"):
        drafted(tmp_path / "several")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.csv", "no such file or folder; data, or the folder of a checkpoint, is expected"),
        ("a.py", "unknown ending '.py'"),
        ("space.yaml", "hpsearch run"),
    ],
)
def test_what_is_no_data(tmp_path, name, said):
    if name != "nothing.csv":
        (tmp_path / name).write_text("study: a\n")
    with pytest.raises(DataError, match=said):
        drafted(tmp_path / name, output=tmp_path / "other.yaml")


def test_no_files_at_all():
    with pytest.raises(UserError, match="give the files to train on"):
        hpsearch.new([])
