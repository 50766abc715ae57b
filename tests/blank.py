"""Homes whose stores are there, and empty: MLflow takes two seconds of processor time to make its tables."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from hpsearch.views import shipping, sqlite


def home(path):
    """Makes a home with empty stores at `path`, or adds them to the one there; returns the path."""
    path.mkdir(mode=0o700, exist_ok=True)
    for store in stores().glob("*.db"):
        shutil.copy(store, path)
        (path / store.name).chmod(0o600)
    return path


def copy_from(made):
    """Has this process copy the stores in the folder `made` where it would make new ones."""
    make = sqlite._make
    sqlite._make = lambda path, _: make(path, lambda new: shutil.copyfile(made / path.name, new))


@cache
def stores():
    """The folder of the stores that all others are copies of, one for each process that runs tests."""
    remember_revisions()
    made = Path(tempfile.mkdtemp(prefix="hpsearch-blank-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    before = os.environ.copy()
    for name in before:  # a test may have set where stores are, or how long to wait for them
        if name.startswith(("HPSEARCH_", "MLFLOW_")):
            del os.environ[name]
    try:
        shipping.prepare(made, None)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return made


@cache
def remember_revisions():
    """Has alembic read each revision of a schema once in this process: Optuna has it read all at every opening."""
    from alembic import util

    read = util.load_python_file
    remembered = cache(read)
    util.load_python_file = lambda folder, name: (read if name == "env.py" else remembered)(folder, name)
