"""Whether a study on disk is the one that an experiment describes: the space alone, the data alone, both at once."""

import pytest

from hpsearch.errors import StudyMismatch
from hpsearch.home.identity import RULES, check_data, check_identity, check_space
from hpsearch.journal.history import History
from hpsearch.journal.origin import Origin
from tests.searching import experiment

BEFORE = {"fingerprint": "a" * 64, "contents": {"text": "b" * 64}}
REASON = "a function that shuffles without a seed, or lists a set, returns other examples each time"
CHANGED = f"data.text: contents bbbbbbbbbbbb -> contents dddddddddddd (python:a:b: {REASON})"
AFTER = {"fingerprint": "c" * 64, "contents": {"text": "d" * 64}}


def history(body="", data=BEFORE):
    made = experiment(body)
    origin = {"event": "study_created", "study": "toy", "time": 1.0, "identity": made.identity(), "data": data}
    return History(study="toy", origin=Origin.from_dict({**origin, "rules": RULES}))


def lines(check, *arguments):
    with pytest.raises(StudyMismatch) as caught:
        check(*arguments)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_what_is_the_same_passes():
    check_space(experiment(), history())
    check_data(experiment(), history(), BEFORE)
    check_identity(experiment(), history(), BEFORE)


def test_a_study_without_a_beginning_is_any():
    check_space(experiment("seed: 5\n"), History())
    check_data(experiment(), History(), AFTER)
    check_identity(experiment("seed: 5\n"), History(), AFTER)


def test_the_space_is_checked_without_data_and_the_data_without_the_space():
    assert lines(check_space, experiment("seed: 5\n"), history()) == ["seed: 0 -> 5"]
    check_data(experiment("seed: 5\n"), history(), BEFORE)
    assert lines(check_data, experiment(), history(), AFTER) == [CHANGED]
    check_space(experiment(), history())


def test_both_are_one_refusal():
    found = lines(check_identity, experiment("seed: 5\n"), history(), AFTER)
    assert found == ["seed: 0 -> 5", CHANGED]


def test_contents_of_no_known_set_are_told_as_a_whole():
    old = {"fingerprint": "a" * 64}  # of a journal that does not tell the sets apart
    found = ["data: contents aaaaaaaaaaaa -> contents cccccccccccc"]
    assert lines(check_data, experiment(), history(data=old), AFTER) == found
    assert lines(check_identity, experiment("seed: 5\n"), history(data=old), AFTER) == ["seed: 0 -> 5"]


def test_a_set_that_is_split_otherwise_is_told_once():
    split = experiment().source.replace("'python:a:b'", "'python:a:b', split: {valid: 0.3}")
    other = type(experiment()).loads(split)
    assert lines(check_identity, other, history(), AFTER) == ["data.text.split.valid: 0.1 -> 0.3"]


def test_where_the_first_change_stands_and_how_to_go_on_are_said():
    with pytest.raises(StudyMismatch, match=r"^\./space\.yaml:3:7: study 'toy' was made .*--study NAME.*or undo:\n"):
        check_space(experiment("seed: 5\n"), history())


@pytest.mark.parametrize(("rules", "maker"), [(None, "an earlier"), (RULES - 1, "an earlier"), (RULES + 1, "a later")])
def test_a_study_of_other_rules_is_refused_in_one_line_that_blames_neither_space_nor_data(rules, maker):
    other = history()
    identity = {**other.origin.identity, "evaluation": {"times": 20}}  # a key that came later
    event = {**other.origin.to_dict(), "rules": rules, "identity": identity}
    other.origin = Origin.from_dict({key: value for key, value in event.items() if value is not None})
    for check, arguments in ((check_space, ()), (check_identity, (AFTER,))):
        with pytest.raises(StudyMismatch) as caught:
            check(experiment(), other, *arguments)
        line = str(caught.value)
        assert line.startswith(f"./space.yaml:1:8: study 'toy' was made by {maker} hpsearch, which cuts, trains and ")
        assert "name a new study (study: in the file; `hpsearch run --study NAME`" in line
        assert "\n" not in line
        assert "other data" not in line


def test_changed_files_are_not_blamed_on_a_function():
    files = "data: {text: {task: text, files: {train: train.txt}}}"
    other = type(experiment()).loads(
        experiment().source.replace("data: {text: {task: text, dataset: 'python:a:b'}}", files)
    )
    found = ["data.text: contents bbbbbbbbbbbb -> contents dddddddddddd"]
    assert lines(check_data, other, history(), AFTER) == found
