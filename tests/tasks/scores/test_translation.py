"""Scores of translations, compared with values by hand and with sacrebleu."""

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.ter import TER

from hpsearch.tasks.scores import translation
from hpsearch.tasks.scores.translation import BleuTokenizer, Scoring, bleu, chrf, exact_match, ter, unavailable

PERFECT = ["the cat sat on the mat today", "a dog ran after the ball"]


def test_perfect_translations_score_a_hundred():
    assert bleu(PERFECT, PERFECT)[0] == pytest.approx(100)
    assert chrf(PERFECT, PERFECT)[0] == pytest.approx(100)


def test_translations_with_nothing_right_score_zero():
    assert bleu(["x y z w v"], ["a b c d e"])[0] < 10  # sacrebleu smooths: 100/10, 100/16, ... of no match
    assert chrf(["xyz"], ["abc"])[0] == 0
    assert bleu(["", ""], PERFECT)[0] == 0


def test_bleu_by_hand():
    """5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples; equal lengths, so no brevity penalty."""
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu(["the cat sat on a mat"], ["the cat sat on the mat"])[0] == pytest.approx(expected)


def test_scores_are_sacrebleus_over_the_corpus():
    hypotheses = ["the cat sat on mat", "a dog ran after ball .", "Bonjour le monde"]
    references = ["the cat sat on the mat", "a dog ran after the ball.", "Salut le monde entier"]
    assert bleu(hypotheses, references)[0] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert chrf(hypotheses, references)[0] == sacrebleu.corpus_chrf(hypotheses, [references]).score


def test_signatures_say_how_it_was_computed():
    version = sacrebleu.__version__
    signature = bleu(PERFECT, PERFECT)[1]
    assert signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert chrf(PERFECT, PERFECT)[1] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"


@pytest.mark.parametrize("score", [bleu, chrf, ter, exact_match])
def test_hypotheses_and_references_must_pair_up(score):
    with pytest.raises(ValueError, match="1 hypotheses against 2 references"):
        score(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="0 hypotheses"):
        score([], [])


# ------------------------------------------------------------------------------------------- languages without spaces

CHINESE = ["现在学生认识苹果。", "明天妈妈买了苹果。", "今天学生看见那辆车。"]
THAI = ["ฉันเป็นนักเรียนที่โรงเรียน", "วันนี้อากาศดีมาก", "เขาซื้อรถคันใหม่เมื่อวาน"]
JAPANESE = ["今日は天気がいいですね。", "私は東京の学生です。", "昨日、新しい車を買いました。"]
MIXED = ["现在学生认识苹果。", "the student knows apples now", "明天妈妈买了 Python 的书。"]
PROTEINS = ["MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMF"]


def scoring(references, *, bleu_tokenize="auto"):
    return Scoring.of(references, tokenize=bleu_tokenize)


@pytest.mark.parametrize(
    ("references", "tokenize"), [(CHINESE, "zh"), (THAI, "char"), (JAPANESE, "char"), (MIXED, "zh"), (PROTEINS, "char")]
)
def test_lines_without_spaces_are_cut_so_that_the_perfect_has_100_and_worse_less(references, tokenize):
    assert BLEU().corpus_score([text[:-2] for text in references[:1]], [references[:1]]).score == 0  # one word a line
    if tokenize == "char" and references is JAPANESE and unavailable("ja-mecab") is None:
        pytest.skip("MeCab is installed: see the test of its own")
    scored = scoring(references)
    assert (scored.tokenize, scored.order) == (tokenize, 4)
    metrics, signatures = scored.score(references, references)
    assert metrics["bleu"] == pytest.approx(100)
    assert (metrics["exact_match"], metrics.get("ter", 0)) == (1, 0)
    assert f"|tok:{tokenize}|" in signatures["bleu"]
    worse = [text[:-2] for text in references]
    found, _ = scored.score(worse, references)
    assert found["bleu"] == BLEU(tokenize=tokenize).corpus_score(worse, [references]).score
    assert 20 < found["bleu"] < 99
    assert found["exact_match"] == 0


def test_japanese_is_cut_by_mecab_where_it_is_installed():
    if unavailable("ja-mecab") is not None:
        pytest.skip("no MeCab here")
    scored = scoring(JAPANESE)
    assert scored.tokenize == "ja-mecab"
    assert scored.score(JAPANESE, JAPANESE)[0]["bleu"] == pytest.approx(100)


def test_the_edit_rate_counts_characters_where_there_are_no_words():
    assert ter(["现在学生认识苹果"], ["现在学生认识苹果。"], tokenize="zh")[0] == pytest.approx(100 / 9)
    value, signature = ter(["abcdeX"], ["abcdef"], tokenize="char")
    assert value == pytest.approx(100 / 6)
    assert signature.endswith("|words:char")
    assert ter(["abc"], ["abcdef"], tokenize="char")[0] == pytest.approx(50)  # by the reference's characters
    assert "asian:yes" in ter(CHINESE, CHINESE, tokenize="zh")[1]


def test_edit_rate_is_sacrebleus_and_known_by_hand():
    hypotheses, references = ["the cat sat on a mat", "a dog ran"], ["the cat sat on the mat", "the dog ran home"]
    assert ter(hypotheses, references)[0] == pytest.approx(100 * (1 + 2) / (6 + 4))
    assert ter(hypotheses, references)[0] == TER().corpus_score(hypotheses, [references]).score


def test_exact_match_is_the_share_of_equal_lines():
    assert exact_match(["a b", " c ", "D", ""], ["a b", "c", "d", "e"]) == 0.5


def test_a_tokenizer_that_is_named_is_taken():
    assert scoring(CHINESE, bleu_tokenize="char").tokenize == "char"
    assert "|tok:char|" in scoring(CHINESE, bleu_tokenize="char").score(CHINESE, CHINESE)[1]["bleu"]


def test_every_tokenizer_that_may_be_named_is_one_of_sacrebleus():
    assert set(BleuTokenizer.__args__) == {"auto", *BLEU.TOKENIZERS} - {"spm"}  # spm: an old name of flores101


def test_a_tokenizer_that_would_be_downloaded_is_not_available(monkeypatch, tmp_path):
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    assert str(tmp_path / "models") in unavailable("flores200")
    assert unavailable("13a") is None
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------------------------------------------- short targets

SHORT = ["your old cat", "that small dog", "a big", "a red", "the small green", "house"]


def test_targets_of_one_to_three_words_have_100_where_all_is_right_and_less_where_it_is_not():
    assert BLEU().corpus_score(SHORT, [SHORT]).score == 0
    scored = scoring(SHORT)
    assert scored.order == 3
    metrics, signatures = scored.score(SHORT, SHORT)
    assert metrics["bleu"] == pytest.approx(100)
    assert signatures["bleu"].endswith("|order:3")
    one_wrong = ["your old dog", *SHORT[1:]]
    expected = 100 * (13 / 14 * 7 / 8 * 2 / 3) ** (1 / 3)  # of 14 words, 8 pairs and 3 triples
    assert scored.score(one_wrong, SHORT)[0]["bleu"] == pytest.approx(expected)


def test_one_line_that_is_too_long_does_not_decide_the_score():
    long = ["your old cat is here", *SHORT[1:]]
    by_default = BLEU().corpus_score(long, [SHORT]).score
    assert by_default < 57  # two 4-grams in all, both wrong
    expected = 100 * (14 / 16 * 8 / 10 * 3 / 5) ** (1 / 3)
    assert scoring(SHORT).score(long, SHORT)[0]["bleu"] == pytest.approx(expected)


def test_outputs_of_other_lengths_are_compared_by_the_same_orders():
    """sacrebleu's effective_order takes the orders that the hypotheses have: one right word would beat three."""
    words = ["the", "that", "a", "a", "the", "house"]
    assert BLEU(effective_order=True, max_ngram_order=3).corpus_score(words, [SHORT]).score > 0
    assert scoring(SHORT).score(words, SHORT)[0]["bleu"] == 0


@pytest.mark.parametrize(("share", "order"), [(0.02, 3), (0.2, 4)])
def test_4_grams_count_where_enough_targets_have_them(share, order):
    n = round(100 * share)
    assert scoring(["one two three four"] * n + ["one two three"] * (100 - n)).order == order


def test_orders_that_a_small_split_lacks_are_left_out_there():
    four = Scoring("13a", 4)
    assert four.score(["a b c"], ["a b c"])[0]["bleu"] == pytest.approx(100)
    assert four.score(["a b c"], ["a b c"])[1]["bleu"].endswith("|order:3")


def test_targets_of_two_words_are_scored_by_words_and_pairs():
    found, signature = bleu(["a b", "c x"], ["a b", "c d"])
    assert found == pytest.approx(100 * (3 / 4 * 1 / 2) ** 0.5)
    assert signature.endswith("|order:2")
    assert bleu(["a", "x"], ["a", "b"])[1].endswith("|order:1")


def test_short_targets_take_no_4_grams_from_long_ones():
    references = ["one two three four five", *"abcdefgh"]
    assert "order" not in bleu(references, references)[1]


def test_a_split_with_longer_targets_than_the_training_is_scored_by_the_orders_of_the_training():
    hypotheses, references = ["one two three four six"], ["one two three four five"]
    found, signature = bleu(hypotheses, references, order=3)
    assert found == pytest.approx(100 * (4 / 5 * 3 / 4 * 2 / 3) ** (1 / 3))
    assert signature.endswith("|order:3")


def test_the_choice_is_by_examples_of_all_the_split_and_the_same_each_time():
    texts = ["one two three four five"] * 600 + CHINESE * 200
    assert scoring(texts) == scoring(texts) == Scoring("zh", 4, True)


# --------------------------------------------------------------------------------------------------- translation edit


@pytest.mark.parametrize(
    ("words", "ter", "expected"),
    [
        (8, "auto", True),
        (15, "auto", True),
        (16, "auto", False),
        (25, "auto", False),
        (25, True, True),
        (8, False, False),
    ],
)
def test_the_edit_rate_is_left_out_where_it_takes_too_long(words, ter, expected):
    references = [" ".join(["word"] * words)] * 3
    scored = Scoring.of(references, ter=ter)
    assert scored.ter is expected
    assert ("ter" in scored.score(references, references)[0]) is expected


def test_metric_objects_are_made_once():
    """sacrebleu's tokenizers remember each line for as long as the process lives, every instance for itself."""
    assert translation._bleu("13a", 4) is translation._bleu("13a", 4)
