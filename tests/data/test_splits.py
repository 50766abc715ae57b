"""Cuts by label: each label stays in train, and texts that look alike fall into one split."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from typing import Any

import pytest
from sklearn.metrics import f1_score

from hpsearch.config import Split
from hpsearch.data import holdout as module
from hpsearch.data.confusables import appearance, escaped, groups
from hpsearch.data.holdout import divide
from hpsearch.data.split_checks import check_labels, warnings
from hpsearch.data.splits import Example, Splits
from hpsearch.errors import DataError


def labelled(counts: dict[str, int]) -> list[Example]:
    """So many texts of each label, in an order that is none."""
    rows = [{"text": f"{label} text {i}", "label": label} for label, n in counts.items() for i in range(n)]
    random.Random(0).shuffle(rows)
    return rows


def cut(rows: list[Example], **split: Any) -> Splits:
    return divide("mine", {"train": rows}, Split(**split))


def counted(part: list[Example]) -> Counter[str]:
    return Counter(example["label"] for example in part)


# -------------------------------------------------------------------------------------------------------- cuts by label


@pytest.mark.parametrize("seed", range(8))
def test_each_label_is_divided_by_the_shares(seed: int) -> None:
    splits = cut(labelled({"common": 500, "less": 100, "rare": 20, "rarest": 3}), valid=0.1, test=0.2, seed=seed)
    assert counted(splits.valid) == {"common": 50, "less": 10, "rare": 2, "rarest": 1}
    assert counted(splits.test) == {"common": 100, "less": 20, "rare": 4, "rarest": 1}
    assert counted(splits.train) == {"common": 350, "less": 70, "rare": 14, "rarest": 1}
    assert splits.cut == ("valid", "test")


@pytest.mark.parametrize("seed", range(8))
def test_a_perfect_classifier_has_a_perfect_score_whatever_is_rare(seed: int) -> None:
    rows = labelled({"common": 400, "a": 4, "b": 3, "c": 5})
    splits = cut(rows, seed=seed)
    labels = sorted({example["label"] for example in splits.train})
    for part in (splits.valid, splits.test):
        true = [example["label"] for example in part]
        assert f1_score(true, true, labels=labels, average="macro", zero_division=0) == 1.0


@pytest.mark.parametrize(
    ("n", "valid", "expected"),  # expected: train, valid, test
    [(1, 0.1, (1, 0, 0)), (2, 0.1, (1, 1, 0)), (3, 0.1, (1, 1, 1)), (3, 0.6, (1, 1, 1)), (10, 0.8, (1, 8, 1))],
)
def test_few_texts_of_a_label_go_to_train_then_to_valid_then_to_test(
    n: int, valid: float, expected: tuple[int, ...]
) -> None:
    splits = cut(labelled({"other": 50, "few": n}), valid=valid)
    assert tuple(counted(part)["few"] for part in (splits.train, splits.valid, splits.test)) == expected
    lacking = [line for line in warnings("mine", splits) if "'few' is not in" in line]
    assert len(lacking) == expected.count(0)


def test_the_cut_is_the_same_for_any_order_of_the_rows_and_another_for_another_seed() -> None:
    rows = labelled({"x": 40, "y": 9})
    turned = cut(rows[::-1])
    for part, other in zip(cut(rows).parts().values(), turned.parts().values(), strict=True):
        assert sorted(e["text"] for e in part) == sorted(e["text"] for e in other)
    assert cut(rows, seed=1).valid != cut(rows).valid
    # By `printf '0\nx text 13' | sha256sum` and so on, the eight least of the forty are those of 13, 35, 20, 37 (test's
    # tenth) and 38, 7, 5, 9 (valid's).
    places = {part: {e["text"] for e in cut(rows).parts()[part] if e["label"] == "x"} for part in ("test", "valid")}
    assert places["test"] == {f"x text {i}" for i in (13, 35, 20, 37)}
    assert places["valid"] == {f"x text {i}" for i in (38, 7, 5, 9)}


def test_texts_with_two_labels_stay_on_one_side_and_count_for_the_first() -> None:
    rows = labelled({"x": 30, "y": 30}) + [{"text": f"x text {i}", "label": "z"} for i in range(10)]
    splits = cut(rows, valid=0.3, test=0.3)
    sides = [{e["text"] for e in part} for part in splits.parts().values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 60
    assert [counted(part)["x"] for part in splits.parts().values()] == [12, 9, 9]
    assert set(counted(splits.train)) == {"x", "y", "z"}


def test_a_label_whose_one_text_counts_for_another_is_not_lost_to_train() -> None:
    rows = labelled({"x": 40, "y": 9})
    assert {"text": "x text 13", "label": "x"} in cut(rows).test
    assert {"text": "x text 13", "label": "z"} in cut([*rows, {"text": "x text 13", "label": "z"}]).train


def test_shares_are_rounded_to_the_nearest_number_of_texts() -> None:
    splits = cut(labelled({"x": 14, "y": 15, "z": 26}), test=0)
    assert counted(splits.valid) == {"x": 1, "y": 2, "z": 3}


def test_labels_of_one_text_each_cannot_be_cut() -> None:
    with pytest.raises(DataError, match=r"each of the 15 labels has one text only.*is the label the right column"):
        cut(labelled({f"id {i}": 1 for i in range(15)}))


def test_text_and_pairs_are_cut_as_they_were_and_given_parts_are_not_cut() -> None:
    rows = [{"text": f"Text  {i}"} for i in range(200)]
    splits = cut(rows)
    places = {i: module._place(f"text {i}", 0) for i in range(200)}
    assert [e["text"] for e in splits.test] == [f"Text  {i}" for i in range(200) if places[i] < 0.1]
    assert [e["text"] for e in splits.valid] == [f"Text  {i}" for i in range(200) if 0.1 <= places[i] < 0.2]
    given = divide("mine", {"train": rows, "valid": rows[:2], "test": rows[:3]}, Split())
    assert (given.train, given.cut) == (rows, ())


# ----------------------------------------------------------------------------------------------------- what looks equal

CAFE = unicodedata.normalize("NFC", "café")
ALIKE = [
    *(CAFE, unicodedata.normalize("NFD", CAFE), "Café", "CAFÉ", "café\u200b", "\ufeffcafé", "\u202acafé\u202c"),
    *("caf\u00ade\u0301", " café\u00a0", "\u200dcafé", "caf\u2060é"),
]


def test_what_a_reader_takes_for_one_text_is_seen_as_one() -> None:
    assert {appearance(text) for text in ALIKE} == {CAFE}
    assert appearance("❤️ \u2764") == appearance("\u2764 ❤\ufe0f")
    assert appearance("a  B\tc") == "a b c"
    different = [
        "cafe",
        "café!",
        "café 2",
        "🏴\U000e0067\U000e0062\U000e007f",
        "🏴\U000e0066\U000e0072\U000e007f",
        "❤",
        "♥",
    ]
    assert len({appearance(text) for text in different}) == len(different)


def test_escapes_show_what_the_eye_does_not() -> None:
    assert escaped("café") == "'caf\\u00e9'"
    assert escaped("cafe\u0301\u200b") == "'cafe\\u0301\\u200b'"
    assert escaped("\U0001f600\n") == "'\\U0001f600\\u000a'"
    assert len(escaped("x" * 999)) < 70


def test_labels_that_look_alike_are_told_with_escapes_and_counts() -> None:
    rows = [
        {"text": f"text {i} {label}", "label": label} for label in ("spam", "Spam", "ham\u200b", "ham") for i in (1, 2)
    ]
    assert groups(["spam", "Spam", "ham", "x"]) == [["Spam", "spam"]]
    assert groups(["0", "0.0", "1", "1.00", "1.5", "10", "v1.0", "1.0.0"]) == [["0", "0.0"], ["1", "1.00"]]
    told = warnings("mine", Splits(rows, rows[:0] + rows))
    assert [line for line in told if "look alike" in line] == [
        "data.mine: 2 labels look alike and are different ones: 'Spam' (2 in train), 'spam' (2 in train); "
        "write them alike in the data if they are one",
        "data.mine: 2 labels look alike and are different ones: 'ham' (2 in train), 'ham\\u200b' (2 in train); "
        "write them alike in the data if they are one",
    ]
    forms = [{"text": f"text {i}", "label": unicodedata.normalize(f, CAFE)} for i, f in enumerate(("NFC", "NFD"))]
    more = [*forms, {"text": "text", "label": "Café"}]
    assert any(
        line.endswith("some of them one, write them alike in the data if they are one") for line in told_of(more)
    )
    told = told_of(forms)
    assert any("'cafe\\u0301' (1 in train), 'caf\\u00e9' (1 in train); `normalise: nfc` makes" in line for line in told)


def told_of(rows: list[Example]) -> list[str]:
    return warnings("mine", Splits(rows, rows))


def test_a_label_that_train_has_in_another_form_is_refused_with_both() -> None:
    train = [{"text": "a", "label": CAFE}, {"text": "b", "label": "tea"}]
    valid = [{"text": "c", "label": unicodedata.normalize("NFD", CAFE)}]
    with pytest.raises(DataError) as caught:
        check_labels("mine", Splits(train, valid))
    assert str(caught.value) == (
        "data.mine: label 'cafe\\u0301' is in valid but not in train, which has 'caf\\u00e9': "
        "`normalise: nfc` makes them one"
    )


def test_a_label_that_is_a_missing_value_of_some_program_is_told() -> None:
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(("nan", "none", "x"))]
    assert "data.mine: label 'nan' (1 in train) looks like a missing value" in warnings("mine", Splits(rows, rows))


@pytest.mark.parametrize("seed", range(4))
def test_texts_that_look_equal_stay_on_one_side_and_shared_ones_are_counted(seed: int) -> None:
    forms = [f"{form} {i}" for i in range(40) for form in ALIKE]
    splits = cut([{"text": text} for text in forms], valid=0.3, test=0.3, seed=seed)
    sides = [{appearance(example["text"]) for example in part} for part in splits.parts().values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 40
    turned = cut([{"text": text} for text in forms[::-1]], valid=0.3, test=0.3, seed=seed)  # by no order of the rows
    assert sides == [{appearance(example["text"]) for example in part} for part in turned.parts().values()]
    told = warnings("mine", Splits([{"text": ALIKE[0]}], [{"text": text} for text in ALIKE]))
    assert f"data.mine: {len(ALIKE)} of {len(ALIKE)} valid examples are also in train" in told


@pytest.mark.parametrize("seed", range(8))
def test_shares_that_round_up_leave_train_a_text_of_each_label(seed: int) -> None:
    splits = cut(labelled({"other": 50, "few": 2, "ten": 10}), valid=0.5, test=0.45, seed=seed)
    counts = [counted(part) for part in (splits.train, splits.valid, splits.test)]
    assert [count["few"] for count in counts] == [1, 1, 0]
    assert [count["ten"] for count in counts] == [1, 5, 4]


@pytest.mark.parametrize("seed", range(8))
def test_the_fewest_documents_are_one_for_each_split(seed: int) -> None:
    splits = cut([{"text": f"document {i}"} for i in range(3)], seed=seed)
    assert [len(part) for part in splits.parts().values()] == [1, 1, 1]


def test_of_a_label_whose_texts_count_for_another_train_gets_one_back() -> None:
    more = [{"text": f"x text {i}", "label": "z"} for i in (13, 35)]  # both are the test's
    splits = cut([*labelled({"x": 40, "y": 9}), *more])
    assert (counted(splits.train)["z"], counted(splits.test)["z"]) == (1, 1)


@pytest.mark.parametrize(("repeats", "told"), [(5, False), (6, True)])
def test_repeats_are_told_from_a_twentieth_on(repeats: int, told: bool) -> None:
    rows = [{"text": f"text {i}"} for i in range(100 - repeats)]
    found = warnings("mine", Splits([*rows, *rows[:repeats]], [{"text": "valid"}]))
    assert found == ([f"data.mine: {repeats} of 100 train examples repeat another"] if told else [])


@pytest.mark.parametrize("missing", [5, 6])
def test_five_labels_that_a_split_lacks_are_named_and_the_others_counted(missing: int) -> None:
    rows = [{"text": f"text {i}", "label": f"label {i}"} for i in range(missing + 1)]
    found = warnings("mine", Splits(rows, [{"text": "another", "label": f"label {missing}"}]))
    assert all("is not in valid (train has 1)" in line for line in found[:5])
    assert found[5:] == ["data.mine: 1 more label is not in valid"] * (missing - 5)
