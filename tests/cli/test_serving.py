"""What the servers of `hpsearch ui` print: nothing of it in the terminal, unless one fails."""

import subprocess
import sys

import pytest

SERVE = """
import sys
from hpsearch.cli.serving import Server, serve
print("ours", flush=True)
code = "import sys, warnings; warnings.warn('deprecated'); print('noise ' * 40000); sys.exit({code})"
sys.exit(serve([Server([sys.executable, "-c", code], {{}}, verbose={verbose})]))
"""


def served(*, code, verbose=False):
    script = SERVE.format(code=code, verbose=verbose)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=600)


def test_a_server_that_ends_well_prints_nothing():
    done = served(code=0)  # its output is more than a pipe holds
    assert (done.returncode, done.stdout, done.stderr) == (0, "ours\n", "")


def test_the_last_lines_of_a_server_that_fails_are_printed():
    done = served(code=3)
    assert (done.returncode, done.stdout) == (3, "ours\n")
    assert done.stderr.rstrip().endswith("noise noise")
    assert len(done.stderr) <= 8192


@pytest.mark.parametrize("code", [0, 3])
def test_verbose_prints_all(code):
    done = served(code=code, verbose=True)
    assert (done.returncode, done.stdout.count("noise")) == (code, 40000)
    assert "deprecated" in done.stderr
