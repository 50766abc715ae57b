"""On Windows, which has no fcntl, the command and the import say in one line that hpsearch does not run there."""

import subprocess
import sys

import pytest

LINE = "hpsearch does not run on Windows, which has neither fork nor fcntl; in WSL 2 it does"
WINDOWS = """
import runpy, sys
sys.platform = "win32"
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None  # importing it raises
sys.argv = {argv!r}
{code}
"""


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["C:/Scripts/hpsearch.exe", "run", "space.yaml"], "from hpsearch.cli import main; main()"),
        (["hpsearch-script.py", "--help"], "from hpsearch.cli import main; main()"),
        (["-m", "show", "study"], "runpy.run_module('hpsearch', run_name='__main__')"),
    ],
    ids=["the program", "its script", "python -m hpsearch"],
)
def test_the_command_says_so_in_one_line(argv, code):
    done = ran(argv, code)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {LINE}\n")


def test_an_import_raises_an_import_error_that_says_so():
    done = ran(["script.py"], "import hpsearch")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ImportError: {LINE}"


def ran(argv, code):
    program = WINDOWS.format(argv=argv, code=code)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
