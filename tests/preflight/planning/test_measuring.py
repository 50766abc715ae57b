"""Workers that share a GPU do not measure more at once than its memory holds."""

from pathlib import Path

import pytest

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.launchers.messages import Ended, Evaluated
from hpsearch.preflight.planning.corners import Corner
from hpsearch.preflight.planning.measuring import Bench
from hpsearch.space.experiment import Experiment

TEXT = "data: {text: {task: text, files: {train: a.txt}}}\ntraining: {epochs: {low: 1, high: 2}}\n"


class Gpus:
    """A launcher whose workers answer each question with one evaluation, the oldest task first."""

    def __init__(self, devices, *, peak, size):
        self.settings = [WorkerSettings(device, 1, Path("cache"), Path()) for device in devices]
        self.peak, self.size, self.most = peak, size, 0
        self.running = []

    def ready(self, slot):
        return True

    def train(self, slot, tasks):
        self.running.append((slot, tasks[0].trial))
        self.most = max(self.most, len(self.running))

    def reply(self, slot, reply):
        pass

    def messages(self, timeout):
        if not self.running:
            return []
        slot, trial = self.running.pop(0)
        found = Evaluation(
            index=1, step=1, progress=0.5, metrics={}, seconds=0.01, peak_memory=self.peak, device_memory=self.size
        )
        return [Evaluated(slot, trial, found), Ended(slot, trial, Command.CONTINUE)]

    def close(self):
        pass


def measured(devices, tmp_path, *, peak, size=100):
    experiment = Experiment.loads(TEXT)
    config = experiment.config(experiment.space.internal(experiment.space.draw(0)))
    launcher = Gpus(devices, peak=peak, size=size)
    bench = Bench(experiment, launcher, tmp_path, seconds=20.0)
    said = []
    found = list(bench.measure([Corner("", {}, config)] * 6, {}, lambda what, share: said.append(what)))
    assert len(found) == 12  # each twice
    assert said[-1] == "measuring 6 configs"
    return launcher.most


@pytest.mark.parametrize(("peak", "at_once"), [(60, 1), (40, 2), (30, 3), (10, 4)])
def test_a_gpu_measures_what_fits(tmp_path, peak, at_once):
    assert measured(["cuda:0"] * 4, tmp_path, peak=peak) == at_once


def test_processes_on_the_cpu_and_gpus_of_their_own_measure_at_once(tmp_path):
    assert measured(["cpu"] * 4, tmp_path, peak=60, size=0) == 4
    assert measured(["cuda:0", "cuda:1"], tmp_path, peak=60) == 2
