"""What the final training of a seed says when an earlier call was killed: where it goes on, or that it starts again."""

from itertools import islice

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.events import Resumed
from hpsearch.final.seed import SeedTraining
from tests.trainers.own_code import Space, written

SAVES = """
def train(config, trial):
    state = trial.load() or {"epoch": 0}
    for epoch in range(state["epoch"] + 1, 6):
        with open(trial.folder / "trained.txt", "a") as file:
            file.write(f"{epoch} ")
        yield {"val/loss": 1 / epoch, "step": epoch, "steps": 5}
        trial.save({"epoch": epoch})
"""
NOTHING_SAVED = SAVES.replace('trial.save({"epoch": epoch})', "pass")
PROGRAM = """
for epoch in range(1, 6):
    print({"val/loss": 1 / epoch, "step": epoch, "steps": 5}, flush=True)
"""


def killed_after(space, index):
    """Trains up to an evaluation, then anew in the same folder as another process would; gives events and values."""
    told = []

    def training():
        settings = WorkerSettings("cpu", 1, space.folder, space.folder)
        return SeedTraining(space.config, space.folder / "seed-0", settings, space.trainer)

    first = training().run(lambda: False)
    list(islice(first, index))
    first.close()
    again = training()
    found = [one.metrics["val/loss"] for one in again.run(lambda: False, told.append)]
    assert found == [1 / epoch for epoch in range(1, 6)]
    assert len(again.evaluations) == 5
    return [event.line for event in told if isinstance(event, Resumed)]


def test_a_function_goes_on_from_its_last_save(tmp_path):
    said = killed_after(written(tmp_path, SAVES, evaluations=5), 4)
    assert said == ["resumed: the training of seed 0 goes on from step 4, after evaluation 4"]
    assert (tmp_path / "seed-0/files/trained.txt").read_text() == "1 2 3 4 4 5 "  # it ended before the fourth save


@pytest.mark.parametrize("index", [1, 4])
def test_a_function_that_saves_nothing_starts_again(tmp_path, index):
    said = killed_after(written(tmp_path, NOTHING_SAVED, evaluations=5), index)
    assert said == ["started again: the training of seed 0 had saved no state"]


def test_a_program_that_keeps_nothing_starts_again(tmp_path):
    (tmp_path / "mine.py").write_text(PROGRAM)
    said = killed_after(Space(tmp_path, command=["python", "mine.py"], evaluations=5), 3)
    assert said == ["started again: the training of seed 0 had saved no state"]
