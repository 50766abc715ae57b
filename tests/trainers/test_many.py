"""A stranger's trainer that trains several trials together: searched, killed, resumed; compared with one at a time."""

import json
import os
import signal

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.errors import ConfigError
from hpsearch.events import Interrupted
from hpsearch.journal.history import History
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.space.experiment import Experiment
from tests import blank
from tests.cli.processes import descendants, end, events, hpsearch, started, wait_for
from tests.faults.nemesis import is_worker
from tests.searching import go
from tests.trainers.strangers import POLYNOMIALS, SPACE

TRIALS, TOGETHER = 18, 3
MANY = (
    SPACE.replace("polynomial:Polynomial", "polynomials:Polynomials")
    .replace("trials: 6", f"trials: {TRIALS}")
    .replace("low: 1, high: 6", "low: 2, high: 3")
    .replace("search: {", "search: {confirm: false, ")
    .replace("device: cpu", f"device: cpu, trials_per_worker: {TOGETHER}")
)
RUN = ("run", "space.yaml", "--home", "home", "--workers", "2")


def written(folder, *, code=POLYNOMIALS, space=MANY):
    (folder / "polynomials.py").write_text(code)
    (folder / "space.yaml").write_text(space)
    blank.home(folder / "home")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder whose study lost a worker and then its driver by kill -9, and was resumed to its end."""
    folder = written(tmp_path_factory.mktemp("many"))
    journal, groups = folder / "home/curves/journal.jsonl", folder / "groups.jsonl"
    process = started(*RUN, cwd=folder, views=False, FIT_STEP="0.05", FIT_GROUPS=str(groups))  # has torch
    try:
        wait_for(lambda: len(events(journal, "evaluation")) >= 3 or process.poll() is not None)
        os.kill(next(pid for pid in descendants(process.pid) if is_worker(pid)), signal.SIGKILL)
        wait_for(lambda: events(journal, "trial_interrupted") or process.poll() is not None)
        seen = len(events(journal, "evaluation"))
        wait_for(lambda: len(events(journal, "evaluation")) > seen or process.poll() is not None)
    finally:
        said = end(process)
    assert process.returncode == -signal.SIGKILL, said
    done = hpsearch(*RUN, cwd=folder, NO_TORCH="1", FIT_GROUPS=str(groups), fresh=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder


def trials(folder):
    return History.of(events(folder / "home/curves/journal.jsonl")).trials


def test_every_trial_ends_once_with_all_its_evaluations(project):
    found = trials(project)
    assert sorted(found) == list(range(TRIALS))
    assert {trial.outcome for trial in found.values()} <= {"completed", "pruned"}
    assert all(sorted(t.evaluations) == [1, 2, 3, 4] for t in found.values() if t.outcome == "completed")
    finished = [event["trial"] for event in events(project / "home/curves/journal.jsonl", "trial_finished")]
    assert sorted(finished) == list(range(TRIALS))


def test_groups_have_one_shape_and_as_many_trials_as_is_wanted(project):
    groups = [json.loads(line) for line in (project / "groups.jsonl").read_text().splitlines()]
    found = trials(project)
    assert {len({found[n].params["degree"] for n in group}) for group in groups} == {1}
    assert {len(group) for group in groups} <= {2, TOGETHER}
    assert TOGETHER in {len(group) for group in groups}
    died = {number for number, trial in found.items() if trial.deaths}
    again = [n for group in groups for n in group if n in died]
    assert sorted(again) == sorted(died & set(again))  # whose worker died was in no second group


def test_together_they_come_to_what_each_comes_to_alone(project, tmp_path):
    """A random search proposes the same; only which evaluations come before a trial is pruned may differ."""
    experiment = Experiment.load(project / "space.yaml")
    alone = Experiment.loads(MANY.replace(f"worker: {TOGETHER}", "worker: 1"), path=project / "space.yaml")
    assert (experiment.resources.trials_per_worker, alone.resources.trials_per_worker) == (TOGETHER, 1)
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=project)
    study, _ = go(alone, tmp_path / "home", launcher=InlineLauncher(setting, trainer=alone.trainer.name))
    there = {str(trial.params): trial for trial in study.history.trials.values()}
    together = {str(trial.params): trial for trial in trials(project).values()}
    assert set(together) == set(there)
    for params, trial in together.items():
        both = trial.evaluations.keys() & there[params].evaluations.keys()
        assert both
        expected = [there[params].evaluations[index].metrics["val/loss"] for index in both]
        assert [trial.evaluations[index].metrics["val/loss"] for index in both] == pytest.approx(expected, rel=1e-9)


def test_the_commands_show_and_train_it(project):
    shown = hpsearch("show", "curves", "--json", "--home", "home", cwd=project)
    assert shown.returncode == 0, shown.stderr
    exported = hpsearch("export", "space.yaml", "--home", "home", "-o", "best.yaml", cwd=project)
    assert (exported.returncode, exported.stderr) == (0, "")
    trained = hpsearch("train", "best.yaml", "-o", "model", "--home", "home", cwd=project)
    assert (trained.returncode, trained.stderr) == (0, "")
    metrics = json.loads((project / "model/metrics.json").read_text())
    assert metrics["val/loss"] == pytest.approx(json.loads(shown.stdout)["best"]["value"], rel=1e-9)


BROKEN = """
class Broken(Polynomials):
    def train_many(self, tasks):
        for task in tasks:
            BODY
"""
WRONG = {
    "no pair": ("yield Evaluation(index=1, step=1, progress=0.1, metrics={})", "TypeError: {name} yielded Evaluation("),
    "another trial": ("yield 77, None", "ValueError: {name} yielded trial 77; in training: "),
    "an error": ("raise ValueError('a bug')\n            yield", "ValueError: a bug"),
    "an exit": ("sys.exit(3)\n            yield", "SystemExit: 3, polynomials_"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_group_does_wrong_is_one_line_and_each_is_trained_by_itself(tmp_path, case):
    body, said = WRONG[case]
    module = f"polynomials_{case.replace(' ', '_')}"
    (tmp_path / f"{module}.py").write_text(POLYNOMIALS + BROKEN.replace("BODY", body))
    space = MANY.replace("polynomials:Polynomials", f"{module}:Broken").replace("low: 2, high: 3", "low: 2, high: 2")
    experiment = Experiment.loads(space, path=tmp_path / "space.yaml").override(trials=3)
    name = experiment.trainer.name
    setting = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=experiment.base)
    study, seen = go(experiment, tmp_path / "home", launcher=InlineLauncher(setting, trainer=name))
    lines = [event.reason for event in seen if isinstance(event, Interrupted)]
    assert lines
    assert all(line.startswith(said.format(name=name)) and "\n" not in line for line in lines)
    assert all(line.endswith("; it will be tried once more by itself") for line in lines)
    assert {trial.outcome for trial in study.history.trials.values()} <= {"completed", "pruned"}


def test_a_trainer_without_it_is_refused(tmp_path):
    (tmp_path / "polynomials.py").write_text(POLYNOMIALS)
    with pytest.raises(
        ConfigError, match=r"space\.yaml:7:45: resources\.trials_per_worker: the trainer python:polynom"
    ):
        Experiment.loads(MANY.replace(":Polynomials", ":Polynomial"), path=tmp_path / "space.yaml")
