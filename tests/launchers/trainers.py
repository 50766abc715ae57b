"""Trainers that log the files in their folder, or raise KeyboardInterrupt."""

import logging

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
