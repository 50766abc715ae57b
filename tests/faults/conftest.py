"""What the fault tests share."""

import os
from pathlib import Path

import pytest

from hpsearch.cli import main
from tests.cli.processes import TOY
from tests.faults.runs import Zygote


@pytest.fixture(scope="session")
def zygote():
    """A warm process that forks commands."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs Linux")
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
def call(capsys, monkeypatch):
    """Runs a command with the toy trainer in this process; gives exit code, stdout and stderr."""
    monkeypatch.setenv("HPSEARCH_TRAINER", TOY)

    def run(*arguments):
        before = os.umask(0o022)
        try:
            with pytest.raises(SystemExit) as left:
                main([str(argument) for argument in arguments])
        finally:
            os.umask(before)
        return (left.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def report(capsys):
    """Prints a line though the test passes: seeds and figures are worth one."""

    def say(line):
        print(line)  # shown when the test fails, also where another process runs it
        with capsys.disabled():
            print(f"\n    {line}")

    return say
