"""Trainers that log the files in their folder, or raise errors that are no Exception, or while they are closed."""

import logging
import os

from hpsearch.contract import Evaluation
from hpsearch.trainers.causal_lm import CausalLM


class Saying(CausalLM):
    """Logs a warning with the names of the files, then trains."""

    def train(self, config, handle):
        found = sorted(path.name for path in handle.folder.iterdir())
        logging.getLogger("hpsearch.tests").warning("begins with %s", found)
        yield from super().train(config, handle)


class Interrupting(CausalLM):
    """Raises KeyboardInterrupt, as some libraries do when a child of theirs ends."""

    def warm_up(self):
        """Imports nothing."""

    def train(self, config, handle):
        raise KeyboardInterrupt
        yield


class Unclosable(CausalLM):
    """Raises while it is closed: the error that the environment names, or none and yields once more."""

    def warm_up(self):
        """Imports nothing."""

    def train(self, config, handle):
        try:
            for index in range(1, 21):
                yield Evaluation(index=index, step=index, progress=index / 20, metrics={"val/loss": 1.0})
        finally:
            error = {"ValueError": ValueError, "KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}
            if (kind := os.environ["RAISED_WHEN_CLOSED"]) in error:
                raise error[kind]("closed\nnow")
            yield Evaluation(index=21, step=21, progress=1.0, metrics={"val/loss": 1.0})
