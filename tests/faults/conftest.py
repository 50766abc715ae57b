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
