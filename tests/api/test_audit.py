"""`hpsearch.audit` and `hpsearch audit`: a finished study is audited later."""

import json

import pytest

import hpsearch
from hpsearch.space.experiment import Experiment
from tests.cli.test_run import one_line


@pytest.fixture
def searched(space, corpus_files, tmp_path, without_views):
    """The home of a study of which a policy has pruned all trials but the first."""
    home = tmp_path / "home"

    class Prunes:
        def __init__(self, wanted):
            self.space = wanted.space

        def next(self, history):
            n = len(history.trials)
            return hpsearch.New(self.space.draw(n)) if n < 3 else hpsearch.Nothing()

        def judge(self, history, trial):
            late = trial.number > 0 and max(trial.evaluations) == 4
            return hpsearch.Judgement(hpsearch.Verdict.PRUNE) if late else hpsearch.Judgement()

    wanted = Experiment.of(space, base=corpus_files.parent)
    hpsearch.run(wanted, home=home, policy=Prunes(wanted), launcher="inline", progress=False)
    return home


def test_a_finished_study_is_audited_by_its_name(searched, tmp_path, call):
    before = hpsearch.load("toy", home=searched)
    assert [str(trial.outcome) for trial in before.trials] == ["completed", "pruned", "pruned"]
    assert (before.audit, before.audits) == (None, ())
    study = hpsearch.audit("toy", home=searched, trials=5, workers=2, progress=False)
    assert [trial.value for trial in study.trials] == [trial.value for trial in before.trials]
    assert (study.best, study.repeats, study.confirmation) == (before.best, (), None)
    assert sorted(one.confirms for one in study.audits) == [1, 2]
    assert all(one.outcome == "completed" and len(one.evaluations) == 20 for one in study.audits)
    assert (len(study.audit.audited), study.audit.stopped) == (2, 2)
    assert study.audit.interval == (study.audit.share, study.audit.share)

    shown = call("show", "toy", "--home", searched)[1]
    assert "audit: 2 of the 2 trials that were pruned or are paused, trained to their end" in shown
    assert "trained again with fresh seeds" not in shown
    found = json.loads(call("show", "toy", "--home", searched, "--json")[1])
    assert found["audit"]["audited"][0]["progress"] == 0.2
    assert "repeats" not in found

    exported = Experiment.load(study.export(tmp_path / "audited.yaml", trial=1)).provenance
    [audited] = [one for one in study.audits if one.confirms == 1]
    assert (exported["trial"], exported["val/loss"]) == (1, audited.value)
    verified = hpsearch.verify(tmp_path / "audited.yaml", home=searched, progress=False)
    assert verified.exact


def test_the_command_says_what_the_pruner_has_cost_and_adds_to_an_earlier_audit(searched, call):
    code, out, err = call("audit", "toy", "--home", searched, "--trials", 1, "--workers", 1)
    assert (code, err) == (0, "")
    assert "audit: 1 of the 2 trials that were pruned or are paused, trained to their end" in out
    assert "audit of trial" in out
    assert ": an audit of 1 of the trials that were pruned or are paused, minimize val/loss" in out
    code, out, err = call("audit", "toy", "--home", searched, "--trials", 2, "--workers", 1)
    assert (code, err) == (0, "")
    assert out.count("finished: ") == 1
    assert "audit: 2 of the 2 trials that were pruned or are paused, trained to their end" in out


def test_mistakes_are_one_line(searched, call):
    one_line(call("audit", "toy", "--home", searched, "--trials", 0), 2, r"--trials")
    one_line(call("audit", "other", "--home", searched), 2, r"no study 'other' in .*; there are: toy")
    with pytest.raises(hpsearch.UserError, match=r"^trials: 0 is not allowed; allowed: a whole number from 1 to 100$"):
        hpsearch.audit("toy", home=searched, trials=0)


def test_a_study_that_stopped_no_trial_is_refused(space, corpus_files, tmp_path, without_views, call):
    home = tmp_path / "home"
    hpsearch.run(space, home=home, base=corpus_files.parent, launcher="inline", progress=False)
    result = call("audit", "toy", "--home", home)
    one_line(result, 2, r"study 'toy': none of its trials was pruned or is paused, so there is none to audit")
