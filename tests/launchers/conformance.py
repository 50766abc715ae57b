"""What every launcher must do; tests/launchers/test_*.py run it over each member."""

import time

import pytest

from hpsearch.launchers.messages import Answer, Ended, Evaluated, Failed, Reply, Task
from hpsearch.toy import curve_of
from hpsearch.training.config import ModelConfig, TextSet, TrainConfig, TrainingConfig
from hpsearch.training.contract import Setting

TOY = "hpsearch.toy:train"


def setting(tmp_path):
    return Setting(device="cpu", threads=1, cache=tmp_path, base=tmp_path)


def config(dropout=0.0, **training):
    data = {"text": TextSet(task="text", dataset="python:a:b")}
    return TrainConfig(data=data, model=ModelConfig(dropout=dropout), training=TrainingConfig(**training))


def drive(launcher, answers=lambda evaluation: Answer.GO_ON, *, limit=60.0):
    """Answers every evaluation until the trial ends; gives its evaluations and the last message."""
    seen, deadline = [], time.monotonic() + limit
    while time.monotonic() < deadline:
        for message in launcher.messages(timeout=0.5):
            if not isinstance(message, Evaluated):
                return seen, message
            seen.append(message.evaluation)
            answer = answers(message.evaluation)
            launcher.reply(message.slot, Reply(message.trial, answer, message.evaluation["index"]))
    raise AssertionError("the launcher said nothing more")


class LauncherConformance:
    """`make(settings)` is the member's."""

    @pytest.fixture
    def launcher(self, tmp_path):
        made = self.make([setting(tmp_path)])
        yield made
        made.close()

    def task(self, tmp_path, number=0, **values):
        return Task(number, 1, config(**values).model_dump(mode="json"), tmp_path / f"{number:04d}")

    def test_a_trial_is_evaluated_at_every_fraction_and_ends(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path))
        seen, last = drive(launcher)
        assert [evaluation["index"] for evaluation in seen] == list(range(1, 21))
        expected = [curve_of(config()).val_loss(k / 20) for k in range(1, 21)]
        assert [evaluation["metrics"]["val/loss"] for evaluation in seen] == expected
        assert last == Ended(0, 0, Answer.GO_ON)
        assert (tmp_path / "0000" / "best.pt").exists()

    def test_a_dropped_trial_ends_and_the_worker_takes_the_next(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path))
        seen, last = drive(launcher, lambda e: Answer.DROP if e["index"] == 3 else Answer.GO_ON)
        assert (len(seen), last) == (3, Ended(0, 0, Answer.DROP))
        assert not (tmp_path / "0000" / "best.pt").exists()
        launcher.train(0, self.task(tmp_path, 1))
        seen, last = drive(launcher)
        assert (len(seen), last) == (20, Ended(0, 1, Answer.GO_ON))

    def test_a_finished_trial_keeps_its_best_weights(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path))
        seen, last = drive(launcher, lambda e: Answer.FINISH if e["index"] == 5 else Answer.GO_ON)
        assert (len(seen), last) == (5, Ended(0, 0, Answer.FINISH))
        assert (tmp_path / "0000" / "best.pt").exists()

    def test_a_paused_trial_goes_on_where_it_was(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path))
        seen, last = drive(launcher, lambda e: Answer.PAUSE if e["index"] == 7 else Answer.GO_ON)
        assert last == Ended(0, 0, Answer.PAUSE)
        launcher.train(0, self.task(tmp_path))
        again, last = drive(launcher)
        assert again[:7] == seen  # the checkpoint's evaluations come first
        assert [evaluation["index"] for evaluation in again] == list(range(1, 21))
        assert last == Ended(0, 0, Answer.GO_ON)

    def test_an_error_in_training_is_a_message_and_the_worker_lives(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path, dropout=0.5))
        _, last = drive(launcher)
        assert isinstance(last, Failed)
        assert (last.kind, last.reason) == ("error", "RuntimeError: a bug in the training code")
        assert "Traceback" in last.details
        launcher.train(0, self.task(tmp_path, 1))
        seen, _ = drive(launcher)
        assert len(seen) == 20

    def test_running_out_of_memory_has_its_own_name(self, launcher, tmp_path):
        launcher.train(0, self.task(tmp_path, dropout=0.53))
        _, last = drive(launcher)
        assert last.kind == "out_of_memory"

    def test_a_hundred_trials_after_one_another(self, launcher, tmp_path):
        for number in range(100):
            launcher.train(0, self.task(tmp_path, number))
            seen, last = drive(launcher, lambda e: Answer.DROP)
            assert (len(seen), last.trial) == (1, number)
