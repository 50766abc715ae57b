"""What the fault tests share."""

from pathlib import Path

import pytest

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
def report(capsys):
    """Prints a line though the test passes: seeds and figures are worth one."""

    def say(line):
        print(line)  # shown when the test fails, also where another process runs it
        with capsys.disabled():
            print(f"\n    {line}")

    return say
