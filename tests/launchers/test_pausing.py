"""Whenever a PAUSE arrives, the driver records what the worker did."""

import pytest

from hpsearch.contract import STABLE, Command, Evaluation, WorkerSettings
from hpsearch.events import Finished, Interrupted, Measured
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Ended, Evaluated, Reply, Task
from hpsearch.launchers.session import TRAINER, Session
from hpsearch.search.loop import Search
from hpsearch.space.experiment import Experiment
from hpsearch.training.loop import Training
from tests.searching import TOY, experiment, opened, toy_with
from tests.training.tiny import TEXT, tiny

SPACE = """
study: stopped
budget: {trials: 1}
data: {text: {task: text, files: {train: data/train.txt, valid: data/valid.txt}}}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 32}
training: {batch_size: 8, epochs: 1.5, precision: fp32}
evaluation: {times: 3}
"""
HERE = "python:tests.launchers.test_pausing"


def config():
    return tiny({"text": TEXT}, training={"epochs": 1.5}).model_dump(mode="json")


def worker_settings(folder):
    return WorkerSettings(device="cpu", threads=1, cache=folder / "cache", base=folder)


def told_at(launcher, task, index, answer):
    """Trains a task; replies `answer` to one evaluation and CONTINUE to all others; returns its end."""
    launcher.train(0, [task])
    while True:
        for message in launcher.messages(timeout=5):
            if not isinstance(message, Evaluated):
                return message
            at = message.evaluation.index
            launcher.reply(0, Reply(task.trial, answer if at == index else Command.CONTINUE, at))


@pytest.mark.parametrize(
    ("kind", "trainer"),
    [
        (InlineLauncher, TRAINER),
        (InlineLauncher, TOY),
        pytest.param(lambda given, trainer: LocalLauncher([given], trainer=trainer), TOY, id="local-toy"),
        pytest.param(
            lambda given, trainer: LocalLauncher([given], trainer=trainer), TRAINER, marks=pytest.mark.slow, id="local"
        ),
    ],
)
def test_a_pause_at_the_last_evaluation_finishes_the_trial(tmp_path, corpus_files, monkeypatch, kind, trainer):
    """F14b, with the default of a checkpoint a minute."""
    monkeypatch.setenv("TOY_CHECKPOINT", "100000")
    launcher = kind(worker_settings(tmp_path), trainer=trainer)
    try:
        ended = told_at(launcher, Task(0, 1, config(), tmp_path / "0000"), 3, Command.PAUSE)
        assert ended == Ended(0, 0, Command.CONTINUE)
        assert (tmp_path / "0000/best.pt").exists()
        ended = told_at(launcher, Task(1, 1, config(), tmp_path / "0001"), 2, Command.PAUSE)
        assert (ended, ended.saved) == (Ended(0, 1, Command.PAUSE), True)
        left = [path.name for path in (tmp_path / "0001").iterdir() if not path.match(STABLE)]
        assert left == ["last.pt"]
    finally:
        launcher.close()


def searched(study, folder, *, stop_at=None):
    """Runs a driver that stops right after answering an evaluation; returns its events."""
    seen = []

    def stopping():
        return any(isinstance(h, Measured) and h.evaluation.index == stop_at for h in seen)

    launcher = InlineLauncher(worker_settings(folder))
    for event in Search(study, launcher, checkpoints=folder / "checkpoints").run(stopping):
        seen.append(event)
    return seen


def test_a_trial_stopped_after_its_last_evaluation_is_not_trained_again(tmp_path, corpus_files, monkeypatch):
    steps, whole_step = [], Training.train_step

    def step(self):
        steps.append(self.step)
        whole_step(self)

    monkeypatch.setattr(Training, "train_step", step)
    wanted = Experiment.loads(SPACE, path=str(tmp_path / "space.yaml"))
    study = opened(wanted, tmp_path / "home")
    seen = searched(study, tmp_path, stop_at=3)
    assert isinstance(seen[-1], Finished)
    assert [h for h in seen if isinstance(h, Interrupted)] == []
    assert (study.history.trials[0].outcome, study.unfinished()) == ("completed", [])
    assert (tmp_path / "checkpoints/0000/best.pt").exists()
    n_steps = len(steps)
    study.journal.close()
    study = opened(wanted, tmp_path / "home")
    assert searched(study, tmp_path) == []
    assert len(steps) == n_steps == len(set(steps))
    study.journal.close()


def saves_nothing(config, handle):
    while handle.command() is Command.CONTINUE:
        yield Evaluation(index=1, step=1, progress=0.1, metrics={"val/loss": 1.0})


def saves_now_and_then(config, handle):
    (handle.folder / "last.pt").write_text("of an evaluation")
    yield from saves_nothing(config, handle)


def saves_when_told(config, handle):
    yield from saves_now_and_then(config, handle)
    (handle.folder / "new").write_text("of the pause")
    (handle.folder / "new").rename(handle.folder / "last.pt")


def never_asks(config, handle):
    yield Evaluation(index=1, step=1, progress=0.5, metrics={"val/loss": 1.0})
    (handle.folder / "best.pt").write_text("trained to its end")


SavesNothing, SavesNowAndThen = toy_with(saves_nothing), toy_with(saves_now_and_then)
SavesWhenTold, NeverAsks = toy_with(saves_when_told), toy_with(never_asks)


@pytest.mark.parametrize(
    ("trainer", "answer", "saved"),
    [
        ("SavesNothing", Command.PAUSE, False),
        ("SavesNowAndThen", Command.PAUSE, False),
        ("SavesWhenTold", Command.PAUSE, True),
        ("NeverAsks", Command.CONTINUE, False),
    ],
)
def test_a_pause_that_saves_nothing_is_not_called_saved(tmp_path, trainer, answer, saved):
    launcher = InlineLauncher(worker_settings(tmp_path), trainer=f"{HERE}:{trainer}")
    ended = told_at(launcher, Task(0, 1, config(), tmp_path / "0000"), 1, Command.PAUSE)
    assert (ended.command, ended.saved) == (answer, saved)


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ("SavesNothing", "stopped; it has saved no state: it starts over"),
        (
            "SavesNowAndThen",
            "stopped; it saved nothing new when told to pause: it resumes from the state it saved before",
        ),
        ("SavesWhenTold", "stopped; its checkpoint is saved"),
    ],
)
def test_the_message_tells_whether_a_paused_trial_was_saved(tmp_path, trainer, said):
    study, seen = opened(experiment("budget: {trials: 1}\n"), tmp_path / "home"), []
    launcher = InlineLauncher(worker_settings(tmp_path), trainer=f"{HERE}:{trainer}")
    search = Search(study, launcher, checkpoints=tmp_path / "checkpoints")
    for event in search.run(lambda: len(seen) > 1):
        seen.append(event)
    study.journal.close()
    (paused,) = (h for h in seen if isinstance(h, Interrupted))
    assert (paused.reason, paused.saved) == (said, trainer == "SavesWhenTold")


def test_a_terminated_worker_obeys_an_earlier_finish(tmp_path):
    """FINISH for overfitting, then SIGTERM: the best weights are kept."""
    task = Task(0, 1, config(), tmp_path / "0000")
    session = Session(0, [task], worker_settings(tmp_path), trainer=TOY, listen=lambda: None)
    session.step()
    session.answer(0, Command.FINISH)
    session.pause()
    assert session.step() == [Ended(0, 0, Command.FINISH)]
    assert (tmp_path / "0000/best.pt").exists()
