"""The trainer and the space that docs/space.md prints, executed."""

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.space.experiment import Experiment
from tests.documents import block
from tests.searching import go, losses

TRIALS = 4


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "documented_polynomial.py").write_text(block("space.md", "# polynomial.py"))
    space = block("space.md", "# space.yaml").replace("polynomial:", "documented_polynomial:")
    found = Experiment.loads(f"study: toy\nsearch: {{pruner: none}}\n{space}", path=tmp_path / "space.yaml")
    return found.override(trials=TRIALS)


@pytest.fixture
def together(tmp_path):
    """The space of the same trials with a worker that trains up to three of them together."""
    (tmp_path / "documented_polynomial.py").write_text(block("space.md", "# polynomial.py"))
    code = block("space.md", "# polynomials.py").replace("from polynomial ", "from documented_polynomial ")
    (tmp_path / "documented_polynomials.py").write_text(code)
    space = block("space.md", "# space.yaml").replace("polynomial:Polynomial", "documented_polynomials:Polynomials")
    head = "study: toy\nsearch: {pruner: none}\nresources: {trials_per_worker: 3}\n"
    return Experiment.loads(head + space, path=tmp_path / "space.yaml").override(trials=12)


def searched(experiment, folder, **stop):
    settings = WorkerSettings(device="cpu", threads=1, cache=folder, base=experiment.base)
    return go(experiment, folder, launcher=InlineLauncher(settings, trainer=experiment.trainer.name), **stop)[0].history


def test_every_trial_completes_with_ten_evaluations(experiment, tmp_path):
    history = searched(experiment, tmp_path / "home")
    trials = history.trials.values()
    assert [(trial.outcome, trial.reason) for trial in trials] == [("completed", "")] * TRIALS
    assert all(list(trial.evaluations) == list(range(1, 11)) for trial in trials)
    assert history.leader().value < 0.05


def test_a_stopped_trial_resumes_where_it_was(experiment, tmp_path):
    undisturbed = searched(experiment, tmp_path / "undisturbed")
    stopped = searched(experiment, tmp_path / "home", stop_after=5)
    assert [trial.status for trial in stopped.trials.values()] == ["interrupted"]
    resumed = searched(experiment, tmp_path / "home")
    assert resumed.trials[0].attempt == 2
    assert [losses(t) for t in resumed.trials.values()] == [losses(t) for t in undisturbed.trials.values()]


def curves(history):
    return {t.number: [e.metrics["val/loss"] for e in t.evaluations.values()] for t in history.trials.values()}


def test_trials_that_are_trained_together_come_to_what_each_comes_to_alone(together, experiment, tmp_path):
    found = searched(together, tmp_path / "home")
    alone = searched(experiment.override(trials=12), tmp_path / "alone")
    assert {trial.outcome for trial in found.trials.values()} == {"completed"}
    by_params = {str(trial.params): trial for trial in alone.trials.values()}
    both = [trial for trial in found.trials.values() if str(trial.params) in by_params]
    assert both
    for trial in both:
        expected = [e.metrics["val/loss"] for e in by_params[str(trial.params)].evaluations.values()]
        assert curves(found)[trial.number] == pytest.approx(expected, rel=1e-9)
