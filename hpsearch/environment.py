"""What results may depend on beside the config: commit, Python, platform, package versions."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any


def environment(folder: Path) -> dict[str, Any]:
    """What the results may depend on beside the config: commit, Python, platform, package versions."""
    packages = ("hpsearch", "torch", "optuna", "mlflow", "scikit-learn", "sacrebleu", "tokenizers", "datasets")
    return {
        "git_commit": _git(folder, "rev-parse", "HEAD"),
        "git_dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in packages},
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        found = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
