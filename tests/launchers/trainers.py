"""A train function that says what it finds in its folder."""

import logging

from hpsearch.training import loop


def train(config, handle):
    """loop.train, after a warning that names the files there."""
    found = sorted(path.name for path in handle.folder.iterdir())
    logging.getLogger("hpsearch.tests").warning("begins with %s", found)
    yield from loop.train(config, handle)
