"""An audit: trials that were pruned or paused, trained to their end, and what the search never sees of it."""

from dataclasses import replace

import pytest

from hpsearch import Judgement, New, Nothing, Verdict
from hpsearch.errors import UserError
from hpsearch.journal.history import FIRST_REPEAT
from hpsearch.outcome import Outcome
from hpsearch.policies.audited import NOTHING, AuditedPolicy
from hpsearch.policies.checked import CheckedPolicy
from hpsearch.results.evidence.pruning_audit import audit_of, sample
from hpsearch.search.allowance import spent
from tests.searching import experiment, go, inline, losses, opened, trials

SPACE = "seed: 3\nevaluation: {times: 5}\nbudget: {trials: 4}\nsearch: {confirm: false}\n"


class Stops:
    """Four trials: the first is trained out, two are pruned at evaluation 2, one is paused there."""

    def __init__(self, wanted):
        self.space = wanted.space

    def next(self, history):
        n = len(history.trials)
        return New(self.space.draw((3, 1, 2, 0)[n]), until=2 if n == 3 else None) if n < 4 else Nothing()

    def judge(self, history, trial):
        stops = trial.number in (1, 2) and max(trial.evaluations) == 2
        return Judgement(Verdict.PRUNE, "behind") if stops else Judgement()


def wanted(size=3):
    return replace(experiment(SPACE), audits=size, searches=False)


def searched(home):
    return go(experiment(SPACE), home, policy=Stops(experiment(SPACE)))[0]


def audits(home, size=3, **options):
    return go(wanted(size), home, policy=AuditedPolicy(wanted(size)), **options)[0]


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """The study before its audit and after it."""
    home = tmp_path_factory.mktemp("audit") / "home"
    return searched(home), audits(home)


def test_the_stopped_trials_are_trained_to_their_end(homes):
    before, after = homes
    assert list(after.history.audits) == sample(before.history, 3, 3)
    assert sorted(after.history.audits) == [1, 2, 3]
    assert [one.number for one in after.history.audits.values()] == [FIRST_REPEAT + n for n in range(3)]
    for number, one in after.history.audits.items():
        trial = after.history.trials[number]
        assert (one.config, one.name) == (trial.config, f"audit of trial {number}")
        assert losses(trial).items() <= losses(one).items()  # the same training, with the same seed
        assert max(one.evaluations) > 2
        assert (one.audits["index"], one.audits["value"]) == (2, trial.evaluations[2].metrics["val/loss"])


def test_the_trials_of_the_search_are_as_they_were(homes):
    before, after = homes
    assert trials(after) == trials(before)
    assert after.history.leader().number == before.history.leader().number
    assert after.history.confirmation is None
    assert after.history.trials[3].paused
    assert after.history.device_seconds == before.history.device_seconds  # it counts for no budget


def test_the_same_again_has_nothing_to_do_and_a_larger_one_adds(homes, tmp_path):
    searched(tmp_path / "home")
    one = audits(tmp_path / "home", 1)
    again = opened(wanted(1), tmp_path / "home")
    assert spent(again, AuditedPolicy(wanted(1)))
    again.journal.close()
    more = audits(tmp_path / "home", 2)
    assert list(more.history.audits)[:1] == list(one.history.audits)
    assert len(more.history.audits) == 2
    assert list(more.history.audits) == list(homes[1].history.audits)[:2]


def test_a_killed_audit_leaves_the_next_the_same(homes, tmp_path):
    for kill_after in range(2, 24, 5):
        home = tmp_path / str(kill_after)
        searched(home)
        audits(home, kill_after=kill_after)
        found = audits(home)
        assert facts(found) == facts(homes[1]), kill_after


def facts(study):
    return [
        (n, one.number, one.config, one.outcome, one.value, losses(one), one.audits["value"])
        for n, one in study.history.audits.items()
    ]


class Counting:
    """An inline launcher that notes which evaluations a folder holds when a trial is handed over."""

    def __init__(self, folder):
        self._launcher, self.folders = inline(folder), {}

    def train(self, slot, tasks):
        for task in tasks:
            self.folders[task.trial] = sorted(path.name for path in task.folder.glob("*"))
        self._launcher.train(slot, tasks)

    def __getattr__(self, name):
        return getattr(self._launcher, name)


def test_a_paused_trial_continues_from_a_copy_of_its_checkpoint(tmp_path):
    home = tmp_path / "home"
    searched(home)
    kept = {path.name: path.read_bytes() for path in (home / "checkpoints" / "0003").iterdir()}
    launcher = Counting(home)
    study = audits(home, launcher=launcher)
    folders = {study.history.trial(number).confirms: names for number, names in launcher.folders.items()}
    assert folders == {1: [], 2: [], 3: sorted(kept)}
    assert any(name in kept for name in ("last.pt", "previous.pt"))
    assert {path.name: path.read_bytes() for path in (home / "checkpoints" / "0003").iterdir()} == kept
    assert not (home / "checkpoints" / f"{study.history.audits[3].number:04d}").exists()  # its value is wanted alone


def test_a_search_that_goes_on_does_not_train_audits(tmp_path):
    home = tmp_path / "home"
    searched(home)
    audits(home, kill_after=3)
    study = opened(experiment(SPACE), home)
    [unfinished] = [one for one in study.history.audits.values() if one.outcome is None]
    assert not study.is_open(unfinished.number)
    assert study.unfinished() == []
    study.journal.close()


def test_what_overfits_ends_as_in_the_search_and_nothing_is_pruned(homes):
    found = homes[1].history.audits.values()
    assert {one.outcome for one in found} <= {Outcome.COMPLETED, Outcome.OVERFIT}
    assert audit_of(homes[1].history).stopped == 3


def test_without_a_stopped_trial_there_is_nothing_to_audit(tmp_path):
    class One(Stops):
        def next(self, history):
            return Nothing() if history.trials else New(self.space.draw(0))

    go(experiment(SPACE), tmp_path / "home", policy=One(experiment(SPACE)))
    study = opened(wanted(), tmp_path / "home")
    assert AuditedPolicy(wanted()).next(study.history) == Nothing(NOTHING)
    study.journal.close()


def test_a_policy_of_a_user_may_ask_for_no_audit(tmp_path):
    class Asks(Stops):
        def next(self, history):
            return New(self.space.draw(0), seed=3, repeats=0, audit=True)

    policy = CheckedPolicy(Asks(experiment(SPACE)), experiment(SPACE).space, where="policy Asks")
    with pytest.raises(UserError, match=r"^policy Asks: New: audit=True; allowed: False; `hpsearch audit` trains"):
        go(experiment(SPACE), tmp_path / "home", policy=policy)
