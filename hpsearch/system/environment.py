"""The environment of a run: commit, Python, platform, package versions. Refuses versions with security holes."""

from __future__ import annotations

import atexit
import contextlib
import functools
import getpass
import os
import platform
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError

# The oldest versions without a known security hole that matters here, and the hole of older ones.
FLOORS = {
    "torch": ((2, 10), "CVE-2026-24747: a checkpoint can run code even when it is loaded with weights_only=True"),
    "mlflow": ((3, 11), "CVE-2026-4137: other users of the machine can change models in its temporary folders"),
    "ray": ((2, 59), "known security holes"),  # used only by the Ray launcher
}
PACKAGES = ("hpsearch", "torch", "optuna", "mlflow", "scikit-learn", "sacrebleu", "tokenizers", "datasets")
# A repository's settings may name programs that git runs; these commands need none.
_HARMLESS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def refuse_old(*packages: str) -> None:
    """Raises UserError for the first of the packages that is older than its floor; imports none of them."""
    for package in packages:
        floor, hole = FLOORS[package]
        installed = _version(package)
        found = re.match(r"(\d+)\.(\d+)", installed or "")
        if found and (int(found[1]), int(found[2])) < floor:
            wanted = ".".join(map(str, floor))
            raise UserError(
                f"{package} {installed} is installed; below {wanted} it is not safe ({hole}): "
                f"pip install '{package}>={wanted}'"
            )


def stand_in_for_user() -> None:
    """Sets LOGNAME and HOME (a temporary folder) if the user has no entry in /etc/passwd, as in some containers.

    MLflow reads both when it is imported; other packages keep caches in HOME.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    try:
        Path.home()
    except RuntimeError:
        folder, here = tempfile.mkdtemp(prefix="hpsearch-home-"), os.getpid()
        os.environ["HOME"] = folder
        atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == here else None)


def environment(folder: Path) -> dict[str, Any]:
    """Returns what results may depend on besides the config: commit, Python, platform, processor, package versions."""
    return {
        "git_commit": _git(folder, "rev-parse", "HEAD"),
        "git_dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "versions": versions(),
    }


def processor() -> str:
    """Returns the model of this machine's processor, or its architecture where the system does not name it.

    Other models may round otherwise: a training repeats to the last bit on the same one.
    """
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str | None]:
    """Returns the versions of the packages that results may depend on; None: not installed."""
    return {name: _version(name) for name in PACKAGES}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", *_HARMLESS, *arguments],
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
