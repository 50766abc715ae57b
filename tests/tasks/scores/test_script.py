"""The choice of sacrebleu's tokenizer by the shares of letters."""

import pytest

from hpsearch.tasks.scores.script import spread, tokenizers


@pytest.mark.parametrize(("thai", "tokenize"), [(24, "13a"), (25, "char")])
def test_a_script_without_spaces_counts_from_a_quarter_of_all_letters_on(thai, tokenize):
    assert tokenizers(["word " * 15, "w" * 15, "\u0e01" * thai]) == (tokenize,)


@pytest.mark.parametrize(("han", "tokenize"), [(4, "13a"), (5, "zh"), (20, "zh"), (100, "zh")])
def test_chinese_counts_from_a_twentieth_of_all_letters_on(han, tokenize):
    assert tokenizers(["word " * ((100 - han) // 4), "w" * (-han % 4), "\u73b0" * han]) == (tokenize,)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("東京大学の入学試験は三月", ("ja-mecab", "char")),  # two kana of twelve
        ("现在学生认识苹果明天妈妈买了苹果の汁", ("zh",)),  # one of eighteen: a Chinese label
        ("학생이 사과를 먹는다", ("ko-mecab", "13a")),
        ("학생 student apples", ("13a",)),  # two of fifteen
    ],
)
def test_languages_are_told_by_most_of_their_letters(text, names):
    assert tokenizers([text]) == names


@pytest.mark.parametrize(("letters", "tokenize"), [(25, "13a"), (26, "char")])
def test_lines_of_longer_words_than_any_language_has_are_cut_into_characters(letters, tokenize):
    assert tokenizers(["w" * letters] * 4) == (tokenize,)


def test_a_sample_is_spread_over_all_texts():
    assert spread([*"abcdefghij"], 4) == [*"acfh"]
    assert spread([*"abc"], 4) == [*"abc"]
