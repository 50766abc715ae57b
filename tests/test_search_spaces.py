"""The shipped spaces of other trainers than our own, with their scripts: checked as they are, run when shortened."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hpsearch
from hpsearch.space.experiment import Experiment

SPACES = Path(__file__).parents[1] / "search_spaces"
SHORTER = {  # in the text of a space: what makes its training a matter of seconds
    "own_function": [(r"epochs: {low: 3, high: 12}", "epochs: 2"), (r"choices: \[32, 64, 128\]", "choices: [4, 8]")],
    "own_program": [(r"--steps 1500", "--steps 20"), (r"choices: \[64, 128, 256\]", "choices: [8, 16]")],
    "fine_tuning": [(r"epochs: {.*}", "epochs: 0.05"), (r"search: {", "evaluation: {times: 2}\nsearch: {")],
}
PLAIN = "pruner: none, confirm: false"


def shortened(name: str, folder: Path) -> Path:
    """A copy of the space in a folder, with its script beside it."""
    text = (SPACES / f"{name}.yaml").read_text("utf-8")
    for pattern, instead in SHORTER[name]:
        text, found = re.subn(pattern, instead, text)
        assert found, pattern
    text = text.replace("search: {", f"search: {{{PLAIN}, ") if "search:" in text else f"{text}search: {{{PLAIN}}}\n"
    for script in SPACES.glob("*.py"):
        shutil.copy(script, folder)
    (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def searched(path: Path) -> hpsearch.Study:
    return hpsearch.run(path, trials=2, home=path.parent / "home", launcher="inline", progress=False)


def test_every_script_is_named_by_a_space() -> None:
    spaces = "".join(path.read_text("utf-8") for path in SPACES.glob("*.yaml"))
    assert {path.name for path in SPACES.glob("*.py") if path.name not in spaces} == set()


@pytest.mark.parametrize("name", ["own_function", "own_program"])
def test_a_space_finds_its_script(name: str) -> None:
    experiment = Experiment.load(SPACES / f"{name}.yaml")
    experiment.trainer.check(experiment.space_file)
    assert experiment.evaluations == {"own_function": None, "own_program": 10}[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_function", "own_program"])
def test_own_code_is_searched_exported_and_trained(name: str, tmp_path: Path) -> None:
    study = searched(shortened(name, tmp_path))
    assert [trial.outcome for trial in study.trials] == ["completed", "completed"]
    assert study.trials[0].evaluations[-1].progress == 1.0
    result = hpsearch.train(study.export(tmp_path / "best.yaml"), output=tmp_path / "model", progress=False)
    assert result.metrics[study.metric] == pytest.approx(study.best.value, rel=1e-6)
    assert (tmp_path / "model" / {"own_function": "weights.pt", "own_program": "model.pt"}[name]).exists()
    assert ("test/accuracy" in result.metrics) == (name == "own_function")


@pytest.mark.slow
def test_the_fine_tuning_runs_on_the_checkpoint_that_its_script_makes(tmp_path: Path) -> None:
    path = shortened("fine_tuning", tmp_path)
    make = [sys.executable, "small_bert.py", "--steps", "2"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "small_bert" / "model.safetensors").is_file()
    study = searched(path)
    assert [trial.outcome for trial in study.trials] == ["completed", "completed"]
    assert study.trials[1].params["learning_rate"] == 1e-3
