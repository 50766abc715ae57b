"""Own code as people write it, for the tests of the trainers of functions and programs."""

import itertools

from hpsearch.contract import Command, Handle, WorkerSettings
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.evaluations import evaluations

_count = itertools.count()


class Space:
    """A space without ranges, and a folder for a trial of it."""

    def __init__(self, folder, **file):
        self.folder, self.experiment = folder, Experiment.of({"study": "mine", **file}, base=folder)
        self.trainer, self.config = self.experiment.trainer, self.experiment.train_config()
        self.own = folder / "home/0000"

    def handle(self, command=lambda: Command.CONTINUE):
        self.own.mkdir(parents=True, exist_ok=True)
        return Handle(WorkerSettings("cpu", 1, self.folder, self.folder), self.own, command)

    def train(self, command=lambda: Command.CONTINUE):
        """The evaluations of a training, an iterator."""
        return evaluations(self.trainer, self.config, self.handle(command))

    def losses(self):
        return losses(self.train())

    def up_to(self, index, command):
        """The losses of a training that gets a command after the evaluation of an index."""
        latest, found = [0], []
        for one in self.train(lambda: command if latest[0] >= index else Command.CONTINUE):
            found.append(one)
            latest[0] = one.index
        return losses(found)


def written(folder, code, **file):
    """The space of a function; the code is in a file of its own, because a process imports a module once."""
    name = f"written_{next(_count)}"
    (folder / f"{name}.py").write_text(code)
    return Space(folder, train=f"./{name}.py:train", **file)


def losses(found):
    return [(one.index, one.step, one.metrics["val/loss"]) for one in found]
