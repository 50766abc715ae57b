"""GPUs that never were: their memory is counted as the real ones', and runs out as on them."""

from dataclasses import replace

from hpsearch.contract import Command
from hpsearch.launchers.messages import Ended, Evaluated, Failed
from hpsearch.search.placement.sharing import CONTEXT
from hpsearch.testing import toy
from tests.search.test_loop import QUIET, workers
from tests.searching import RANGES, Scripted, evaluation, experiment, go, toy_with

GIB = 2**30


class SimulatedGpus(Scripted):
    """Workers on GPUs of a size; a trial takes its memory before its first evaluation, and tells of it with each.

    Every process that has trained keeps a context. A trial that finds too little runs out of memory.
    """

    def __init__(self, settings, needs, *, size=80 * GIB, length=lambda number: 4, busy=None):
        """`needs`: bytes, of a task's trial and config; `length`: evaluations of a trial; `busy`: percent, by index."""
        super().__init__(settings, self._script)
        self._needs, self._size, self._length, self._busy = needs, size, length, busy
        self.trials, self.taken, self._contexts = {}, {}, set()  # slot -> its trials; trial -> bytes; slots
        self.together, self.looks = [], []  # for each trial placed: who is on its GPU, how often all had trained before
        self.highest, self.failed, self._looked = 0, [], 0

    def train(self, slot, tasks):
        self.trials[slot] = [task.trial for task in tasks]
        self._contexts.add(slot)
        super().train(slot, tasks)
        self.looks.append(self._looked)
        here = self.settings[slot].device
        self.together.append(
            (here, [t for s in self.trials if self.settings[s].device == here for t in self.trials[s]])
        )

    def used(self, device):
        """Bytes of a GPU that are taken: a process keeps those of all its trials until the last has ended."""
        here = [slot for slot in self._contexts if self.settings[slot].device == device]
        return sum(self.taken.get(trial, 0) for slot in here for trial in self.trials.get(slot, ())) + CONTEXT * len(
            here
        )

    def most(self, device="cuda:0"):
        """The most trials that were in training there at once."""
        return max(len(trials) for name, trials in self.together if name == device)

    def messages(self, timeout):
        found, self._looked = super().messages(timeout), self._looked + 1
        for message in found:
            if isinstance(message, Failed):
                self._contexts.discard(message.slot)  # its process is replaced
        for slot in [s for s in self.trials if not any(where == s for where, _ in self._running)]:
            self.taken |= dict.fromkeys(self.trials.pop(slot), 0)
        return found

    def _script(self, task):
        for index in range(1, self._length(task.trial) + 1):
            yield lambda slot, i=index: self._evaluated(slot, task, i)
        yield lambda slot: Ended(slot, task.trial, Command.CONTINUE)

    def _evaluated(self, slot, task, index):
        trial = task.trial
        self.taken[trial] = self._needs(trial, task.config)
        used = self.used(self.settings[slot].device)
        if used > self._size:
            self.failed.append(trial)
            self.taken |= dict.fromkeys(self.trials[slot], 0)
            for where, mate in list(self._running):
                if where == slot:
                    self.says_next(slot, mate, lambda s, t=mate: Failed(s, t, "out_of_memory", "out of memory: CUDA"))
            return Failed(slot, trial, "out_of_memory", "out of memory: CUDA")
        self.highest = max(self.highest, used)
        says = {"peak_memory": self.taken[trial], "device_memory": self._size}
        if self._busy is not None:
            says["usage"] = {"gpu": self._busy(index)}
        return Evaluated(slot, trial, replace(evaluation(index, 3.0 - index / 20), **says))


def slots(folder, *devices):
    """A worker on each device, named as often as it has workers."""
    return [replace(setting, device=name) for setting, name in zip(workers(folder, len(devices)), devices, strict=True)]


def searched(folder, launcher, *, trials, ranges=RANGES, **options):
    """A study of so many trials on these GPUs; gives it."""
    wanted = experiment(f"budget: {{trials: {trials}}}\n{QUIET}", ranges=ranges)
    study, _ = go(wanted, folder / "home", launcher=launcher, **options)
    return study


@toy_with
def on_a_gpu(config, handle):
    """The toy trainer in a real process, as if on a GPU of 80 GiB of which it takes 30."""
    for found in toy.train(config, handle):
        yield replace(found, peak_memory=30 * GIB, device_memory=80 * GIB)


def at_once(events):
    """The most trials that were in training at the same time, by the events of a journal."""
    running, most = set(), 0
    for event in events:
        if event["event"] == "trial_started":
            running.add(event["trial"])
        elif event["event"] in ("trial_finished", "trial_interrupted"):
            running.discard(event["trial"])
        most = max(most, len(running))
    return most
