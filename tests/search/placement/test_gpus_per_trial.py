"""Trials with several GPUs each: one to a group of GPUs, and every GPU counts in the device-hours."""

from hpsearch.final import best
from hpsearch.launchers.local import LocalLauncher
from hpsearch.space.experiment import Experiment
from tests.searching import go
from tests.simulated_gpus import GIB, SimulatedGpus, searched, slots

SEES = """
import os, sys
print({"val/loss": 1.0, "step": 1, "seen": int(os.environ["CUDA_VISIBLE_DEVICES"].replace(",", "")),
       "gpus": int(sys.argv[1]), "told": int(os.environ["HPSEARCH_GPUS"]), "first": int(sys.argv[2][5:])})
"""


def test_a_group_of_gpus_has_one_trial(tmp_path):
    made = SimulatedGpus(slots(tmp_path, "cuda:0+1", "cuda:2+3"), lambda trial, config: 70 * GIB)
    study = searched(tmp_path, made, trials=6)
    assert made.failed == []
    assert made.most("cuda:0+1") == made.most("cuda:2+3") == 1
    assert {trial.device for trial in study.history.trials.values()} == {"cuda:0+1", "cuda:2+3"}


def test_a_program_sees_the_gpus_of_its_trial_alone(tmp_path, monkeypatch):
    """In real workers of a machine that says it has four GPUs, under a list of an outer scheduler."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    (tmp_path / "sees.py").write_text(SEES)
    wanted = Experiment.of(
        {
            "study": "sees",
            "command": "python sees.py {gpus} {device}",
            "config": {"lr": 1.0},
            "budget": {"trials": 1},
            "resources": {"gpus_per_trial": 2},
        },
        base=tmp_path,
    )
    [*_, settings] = slots(tmp_path, "cuda:0+1", "cuda:2+3")
    launcher = LocalLauncher([settings], trainer=wanted.trainer.name)
    try:
        study, _ = go(wanted, tmp_path / "home", launcher=launcher)
    finally:
        launcher.close()
    [trial] = study.history.trials.values()
    assert trial.evaluations[1].metrics == {"val/loss": 1.0, "seen": 67, "gpus": 2, "told": 2, "first": 0}
    assert trial.device == "cuda:2+3"
    exported = best.text(study.history, wanted.trainer, base=str(tmp_path), run_id=None)
    assert Experiment.loads(exported).resources.gpus_per_trial == 2  # the final training has as many
