"""The outline: the same study, without the evaluations that nobody who lists trials wants."""

import random
from dataclasses import replace

import pytest

from hpsearch import journal
from hpsearch.errors import JournalDamaged
from hpsearch.journal import encode
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from tests.searching import evaluation

CREATED = {
    "time": 1.0,
    "event": "study_created",
    "study": "toy",
    "objective": {"metric": "val/loss", "direction": "minimize"},
}


def events(seed):
    """A study by chance: its trials' events interleaved; some trials run, some failed before they measured anything."""
    chance, streams, told = random.Random(seed), [list(of_trial(n, random.Random(n))) for n in range(20)], [CREATED]
    while streams:
        stream = chance.choice(streams)
        told.append({"time": float(len(told)), **stream.pop(0)})
        streams = [stream for stream in streams if stream]
    return [*told, {"time": float(len(told)), "event": "driver_stopped", "reason": "finished"}]


def of_trial(number, chance):
    yield {"event": "trial_asked", "trial": number, "params": {"x": number}, "config": {"seed": number}}
    yield {"event": "trial_started", "trial": number, "attempt": 1, "device": "cpu"}
    losses = [chance.random() for _ in range(chance.choice([0, 3, 5]))]
    for index, loss in enumerate(losses, start=1):
        memory = {"peak_memory": chance.randrange(9)} if number % 3 else {}
        yield {
            "event": "evaluation",
            "trial": number,
            "attempt": 1,
            "evaluation": evaluation(index, loss).to_dict() | memory,
        }
    outcome = chance.choice([None, "completed", "pruned", "failed"])
    if outcome:
        best = {"index": 1 + losses.index(min(losses)), "value": min(losses), "epoch": 1.0} if losses else None
        best = None if outcome == "failed" else best
        state = {"completed": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}[outcome]
        yield {"event": "trial_finished", "trial": number, "outcome": outcome, "state": state, "best_evaluation": best}


def known(path, reader):
    """All that is known of a study: of trials that have ended with a best evaluation, what is listed of it."""
    history, listed = History.of(reader(path)), {}
    for number, trial in sorted(history.trials.items()):
        listed[number] = (history.best_evaluation(number), trial.peak_memory)
        if trial.best is not None:
            trial.evaluations.clear()
    return history, listed


def whole(path):
    return known(path, lambda path: journal.iterate(path, points=False))


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_same_study_without_the_curves(tmp_path, seed):
    path = tmp_path / "j"
    path.write_bytes(b"".join(map(encode, events(seed))))
    assert known(path, outline) == whole(path)
    assert any(trial.evaluations for trial in known(path, outline)[0].trials.values())
    assert sum(event["event"] == "evaluation" for event in outline(path)) < sum("evaluation" in e for e in events(seed))


@pytest.mark.parametrize("seed", range(10))
def test_damaged_lines_cost_it_what_they_cost_all(tmp_path, seed):
    path, chance = tmp_path / "j", random.Random(seed)
    lines = [bytearray(encode(event)) for event in events(seed)]
    lines[1][-4:-4] = b"7"  # after the first
    for line in chance.sample(lines[2:], 15):
        line[chance.randrange(len(line) - 1)] ^= 1 << chance.randrange(3)
    path.write_bytes(b"".join(lines))
    (found, listed), (history, expected) = known(path, outline), whole(path)
    for trial in [*found.trials.values(), *history.trials.values()]:
        trial.asked = 0.0  # of one whose first lines are damaged, the time of the first that is read
    assert found.trials == history.trials
    assert listed == expected


def test_keys_in_another_order_are_read_too(tmp_path):
    path = tmp_path / "j"
    event = {"event": "evaluation", "time": 2.0, "evaluation": evaluation(1, 3.0).to_dict(), "trial": 0}
    path.write_bytes(encode(CREATED) + encode(event))
    assert list(outline(path)) == list(journal.iterate(path, points=False))


def test_an_evaluation_that_cannot_be_read_is_passed_over_as_by_all(tmp_path):
    """The trainer was mended, and measured index 1 again."""
    raws = [evaluation(1, 3.0).to_dict() | {"step": None}, evaluation(1, 4.0).to_dict()]
    lines = [
        {"time": 2.0, "event": "evaluation", "trial": 0, "attempt": i, "evaluation": raw} for i, raw in enumerate(raws)
    ]
    (tmp_path / "j").write_bytes(b"".join(map(encode, [CREATED, *lines, {**lines[0], "trial": 1}])))
    assert list(outline(tmp_path / "j")) == list(journal.iterate(tmp_path / "j", points=False)) != []
    assert History.of(outline(tmp_path / "j")).trials[0].evaluations[1].metrics["val/loss"] == 4.0


def test_what_is_no_journal_is_refused_as_ever(tmp_path):
    (tmp_path / "j").write_text("hello\n")
    with pytest.raises(JournalDamaged, match="none of its 1 lines is whole"):
        list(outline(tmp_path / "j"))
    (tmp_path / "j").write_bytes(encode({"time": 1.0, "event": "evaluation", "trial": 0, "evaluation": {"index": 1}}))
    with pytest.raises(JournalDamaged, match="does not begin with study_created"):
        list(outline(tmp_path / "j"))


@pytest.mark.parametrize("best_is_branch", [True, False])
def test_a_branch_is_no_evaluation_of_the_curve(tmp_path, best_is_branch):
    """The best one is kept, of two with one index."""
    shorter = {"training": {"epochs": 4.0}}
    place = {"index": 1, "value": 0.5, **({"branch": shorter} if best_is_branch else {})}
    told = [
        {"event": "trial_asked", "trial": 0, "params": {}, "config": {"seed": 0}},
        {"event": "evaluation", "trial": 0, "attempt": 1, "evaluation": evaluation(1, 0.7).to_dict()},
        {
            "event": "evaluation",
            "trial": 0,
            "attempt": 1,
            "evaluation": replace(evaluation(1, 0.5), branch=shorter, points=[]).to_dict(),
        },
        {"event": "trial_finished", "trial": 0, "outcome": "overfit", "state": "COMPLETE", "best_evaluation": place},
    ]
    told = [CREATED, *({"time": 2.0 + n, **event} for n, event in enumerate(told))]
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(encode(event) for event in told))
    known = History.of(outline(path)).trials[0]
    found = known.at(known.best)
    assert found.metrics["val/loss"] == (0.5 if best_is_branch else 0.7)
    assert known.at(known.best) == History.of(journal.iterate(path, points=False)).trials[0].at(known.best)
