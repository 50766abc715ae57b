"""How the program ends: soon after its last line, with all that an interpreter does at its end."""

import gc
import subprocess
import sys

import pytest

from hpsearch.cli import main
from tests.cli.processes import environment

PROGRAM = """
import atexit, gc, threading
atexit.register(lambda: print("a handler;", "all is frozen" if gc.get_freeze_count() > 10_000 else "all is searched"))
threading.Thread(target=lambda: (threading.main_thread().join(), print("a thread"))).start()
from hpsearch.cli import main
main()
"""


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["show", "none", "--home", "none"], 2)])
def test_no_garbage_is_searched_at_the_end_of_the_program(arguments, code, tmp_path):
    """Of torch and MLflow that takes a second of a core, and minutes on a machine that is busy."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (code, ["a thread", "a handler; all is frozen"])


def test_a_process_that_calls_it_keeps_its_garbage_collection():
    before = gc.get_freeze_count()
    with pytest.raises(SystemExit):
        main(["--version"])
    assert gc.get_freeze_count() == before
