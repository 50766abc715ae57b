"""`hpsearch compare`: what differs, whether values are comparable, which winner is better, by hand-made studies."""

import copy
import json
import math

import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.journal import encode
from tests.cli.test_run import one_line

IDENTITY = {
    "seed": 0,
    "objective": {"metric": "val/loss", "direction": "minimize"},
    "data": {"text": {"task": "text", "weight": 1}},
    "tokenizer": {"kind": "bpe", "vocab_size": 100},
    "training": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}, "epochs": 2},
    "evaluation": {"times": 20, "beam_size": 1},
}


def study(home, name, values, *, change=lambda origin: None, repeats=(), seconds=10.0, bits=None):
    """A study whose trials end with these values (None: pruned), one after the other, each after some seconds.

    repeats: (trial, values of its fresh seeds).
    """
    origin = {
        "study": name, "time": 1000.0, "rules": 3, "objective": dict(IDENTITY["objective"]),
        "experiment": {"study": name, "budget": {"trials": 9}}, "identity": copy.deepcopy(IDENTITY),
        "space": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}},
        "data": {"fingerprint": "f" * 64, "contents": {"text": "c" * 64}},
    }  # fmt: skip
    change(origin)
    found, at = [{"event": "study_created", **origin}, {"event": "driver_started", "time": 1000.0}], 1000.0
    fresh = [(1_000_000 + i, trial, value) for trial, some in repeats for i, value in enumerate(some, start=10 * trial)]
    for number, confirms, value in [*((n, None, value) for n, value in enumerate(values)), *fresh]:
        of = {} if confirms is None else {"confirms": confirms, "repeat": 1}
        config = {"seed": number, "training": {"learning_rate": 0.01 * (number + 1), "epochs": 2}}
        asked = {"params": {"learning_rate": 0.01 * (number % 9 + 1)}, "config": config, **of}
        metrics = {"val/loss": value, **({} if bits is None else {"val/bits_per_byte": bits})}
        evaluation = {"index": 1, "step": 1, "progress": 1.0, "epoch": 2.0, "metrics": metrics, "seconds": seconds}
        end = {"outcome": "completed", "value": value, "best_evaluation": {"index": 1, "value": value, "epoch": 2.0}}
        end = end if value is not None else {"outcome": "pruned", "value": None, "best_evaluation": None}
        found += [
            {"event": "trial_asked", "time": at, "trial": number, **asked},
            {"event": "trial_started", "time": at, "trial": number, "attempt": 1, "device": "cpu"},
            {"event": "evaluation", "time": at + seconds, "trial": number, "attempt": 1, "evaluation": evaluation},
            {"event": "trial_finished", "time": at + seconds, "trial": number, "seconds": seconds, **end},
        ]
        at += seconds
    found.append({"event": "driver_stopped", "time": at, "reason": "finished"})
    (home / name).mkdir(parents=True)
    (home / name / "journal.jsonl").write_bytes(b"".join(map(encode, found)))


def test_the_assumed_noise_is_what_the_repeats_show_if_that_is_more(tmp_path):
    """The seeds of b have moved its trials by 0.0 and 0.4, so that sigma is 0.2."""
    study(tmp_path, "a", [2.0], repeats=[(0, [2.1])])
    study(tmp_path, "b", [2.2, 2.3], repeats=[(0, [2.2]), (1, [2.7])])
    [verdict] = hpsearch.compare("a", "b", home=tmp_path).verdicts
    assert (verdict.better, verdict.fresh, verdict.assumed) == ("a", True, True)
    assert (verdict.by, verdict.margin) == (pytest.approx(0.1), pytest.approx(2 * 0.2 * 2**0.5))


def test_winners_by_their_values_in_the_search(tmp_path, call):
    study(tmp_path, "a", [3.0, 2.0, 2.5])
    study(tmp_path, "b", [2.9, 2.8, None, 1.9], seconds=20.0)
    found = hpsearch.compare("a", "b", home=tmp_path)
    [verdict] = found.verdicts
    assert (verdict.better, verdict.worse, verdict.fresh, verdict.assumed) == ("b", "a", False, True)
    assert verdict.by == pytest.approx(0.1)
    # sigma is assumed: 0.5% of the larger value, 2.0
    assert verdict.margin == pytest.approx(2 * 0.005 * 2.0 * math.sqrt(2))
    assert verdict.tie is False
    assert found.at_trials() == {1: {"a": 3.0, "b": 2.9}, 2: {"a": 2.0, "b": 2.8}, 3: {"a": 2.0, "b": 2.8}}
    times = found.at_device_time()  # a spent 30 s, b 80 s: at 3, 7.5, 15 and 30 s
    assert [round(at, 6) for at in times] == [3.0, 7.5, 15.0, 30.0]
    assert list(times.values())[3] == {"a": 2.0, "b": 2.9}
    assert list(times.values())[2]["a"] == 3.0
    assert math.isnan(list(times.values())[2]["b"])
    assert found.params() == {"learning_rate": [0.02, 0.04]}
    code, out, err = call("compare", "a", "b", "--home", tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("a and b have the same space, data and objective\n")
    assert out.splitlines()[-1] == (
        "b is better than a by val/loss 0.1 ± 0.028 (by the values of the searches, which flatter both, "
        "seed noise assumed)"
    )


def test_winners_by_fresh_seeds_and_a_tie(tmp_path):
    study(tmp_path, "a", [2.0, 3.0], repeats=[(0, [2.2, 2.4])])
    study(tmp_path, "b", [1.9, 3.0], repeats=[(0, [2.3, 2.7, 2.5])])
    [verdict] = hpsearch.compare("a", "b", home=tmp_path).verdicts
    assert (verdict.better, verdict.fresh, verdict.assumed) == (
        "a",
        True,
        False,
    )  # though b's search found a better one
    assert verdict.by == pytest.approx(0.2)
    # squares 2 * 0.1^2 and 2 * 0.2^2 over 1 + 2 degrees of freedom; 2 and 3 seeds
    assert verdict.margin == pytest.approx(3.182446 * math.sqrt(0.1 / 3) * math.sqrt(1 / 2 + 1 / 3))  # t(3)
    assert verdict.tie is True


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda o: o["data"].update(contents={"text": "d" * 64}, fingerprint="e" * 64), "other data: text"),
        (lambda o: o["identity"]["data"]["text"].update(weight=2), r"other data: data.text.weight 1 -> 2"),
        (lambda o: o.update(objective={"metric": "val/bleu", "direction": "maximize"}), "another objective: maximize"),
        (lambda o: o.update(rules=2), "trains and scores otherwise"),
        (lambda o: o["identity"]["evaluation"].update(beam_size=4), "another evaluation: evaluation.beam_size 1 -> 4"),
        (lambda o: o["identity"].update(trainer="python:mine:Mine"), "another trainer: python:mine:Mine"),
    ],
)
def test_values_that_are_not_comparable(tmp_path, call, what, reason):
    study(tmp_path, "a", [2.0], bits=1.0)
    study(tmp_path, "b", [1.0], bits=1.0, change=what)
    study(tmp_path, "c", [1.5], bits=1.0)
    found = hpsearch.compare("a", "b", home=tmp_path)
    assert found.verdicts == ()
    assert found.metric is None
    code, out, _ = call("compare", "a", "b", "--home", tmp_path)
    assert code == 0
    assert reason in next(line for line in out.splitlines() if line.startswith("warning: values of b and a cannot"))
    assert "which winner is better: not known" in out
    assert "so far" not in out
    [verdict] = hpsearch.compare("a", "b", "c", home=tmp_path).verdicts  # the others are compared all the same
    assert (verdict.better, verdict.worse) == ("c", "a")


def test_what_does_not_matter_for_the_values(tmp_path):
    def change(origin):
        origin["identity"]["seed"] = 7
        origin["identity"]["evaluation"]["times"] = 5
        origin["identity"]["training"]["epochs"] = 9

    study(tmp_path, "a", [2.0])
    study(tmp_path, "b", [1.0], change=change)
    found = hpsearch.compare("a", "b", home=tmp_path)
    assert [keys for keys, _, _ in found.differences["b"]] == [
        ("seed",), ("training", "epochs"), ("evaluation", "times")
    ]  # fmt: skip
    assert found.verdicts[0].better == "b"


def test_other_tokenizers_are_compared_by_bits_per_byte(tmp_path, call):
    def change(origin):
        origin["identity"]["tokenizer"]["vocab_size"] = 200
        origin["data"]["fingerprint"] = "e" * 64

    study(tmp_path, "a", [2.0], bits=1.1)
    study(tmp_path, "b", [3.0], bits=1.0, change=change)
    [verdict] = hpsearch.compare("a", "b", home=tmp_path).verdicts
    assert (verdict.metric, verdict.better, verdict.by) == ("val/bits_per_byte", "b", pytest.approx(0.1))
    out = call("compare", "a", "b", "--home", tmp_path)[1]
    assert "val/loss is measured per token" in out
    study(tmp_path, "d", [3.0], change=change)  # which has not measured them
    assert hpsearch.compare("a", "d", home=tmp_path).verdicts == ()


def test_studies_of_two_homes_and_of_no_value(tmp_path, call):
    study(tmp_path / "one", "a", [2.0])
    study(tmp_path / "two", "a", [None])
    code, out, err = call("compare", "a", tmp_path / "two" / "a", "--home", tmp_path / "one", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [one["label"] for one in found["studies"]] == [str(tmp_path / "one" / "a"), str(tmp_path / "two" / "a")]
    assert [one["winner"] for one in found["studies"]] == [0, None]
    assert found["verdicts"] == []
    assert call("compare", "a", tmp_path / "two" / "a", "--home", tmp_path / "one")[0] == 0


def test_trials_of_a_study(tmp_path, call, monkeypatch):
    study(tmp_path, "a", [3.0, 2.0, None])
    found = hpsearch.compare("a", home=tmp_path, trials=[2, 0, 1])
    assert [trial.number for trial in found.trials] == [2, 0, 1]
    assert found.params() == {"learning_rate": [0.03, 0.01, 0.02]}
    assert found.metrics()["val/loss"] == [None, 3.0, 2.0]
    monkeypatch.setattr("hpsearch.displays.console.UNFOLDED", 80)
    code, out, err = call("compare", "a", "--trials", "2, 0,1", "--home", tmp_path)
    assert (code, err) == (0, "")
    assert "trial 1 *" in out
    assert max(map(len, out.splitlines())) <= 80
    assert (
        json.loads(call("compare", "a", "--trials", "0,1", "--json", "--home", tmp_path)[1])["trials"][1]["value"] == 2
    )


def test_mistakes_are_one_line(tmp_path, call):
    study(tmp_path, "study-a", [3.0])
    (tmp_path / "cache").mkdir()
    at = ("--home", tmp_path)
    one_line(call("compare", "study-a", *at), 2, r"a comparison needs two studies")
    one_line(call("compare", "study-a", "study-a", *at), 2, r"is named twice")
    one_line(call("compare", "study-a", "study-b", *at), 2, r"no study 'study-b' in .*; did you mean study-a\?")
    one_line(call("compare", "study-a", tmp_path / "cache", *at), 2, r"is no study's folder")
    one_line(call("compare", "study-a", "--trials", "0,7", *at), 2, r"has no trial 7; it has 0 to 0")
    one_line(call("compare", "study-a", "--trials", "0", *at), 2, r"two different trials, as in 3,7")
    one_line(call("compare", "study-a", "--trials", "0;1", *at), 2, r"'0;1' is not a list of trials, as in 3,7,12")
    with pytest.raises(UserError, match="they are of one study"):
        hpsearch.compare("study-a", "b", home=tmp_path, trials=[1, 2])
