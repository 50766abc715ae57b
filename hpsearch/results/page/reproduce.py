"""How to get the same again: commands, best.yaml, versions, the data's fingerprints, where things are."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.journal.history import History
from hpsearch.results.page.figures import text

MOST_CHARACTERS = 60_000  # of a file in the page


@dataclass(frozen=True)
class Reproduction:
    """What is needed to reproduce a study's winner."""

    commands: list[tuple[str, str]]  # command, what it does
    best: str  # best.yaml; empty if there is none yet, or it is of another trial
    space: str  # the space file
    facts: list[tuple[str, str]]
    places: list[tuple[str, str]]  # what, where


def reproduction(history: History, folder: Path, *, option: str = "") -> Reproduction:
    """The parts; option: how a command finds the home (` --home PATH`)."""
    study = text(shlex.quote(history.study))
    commands = [
        (f"hpsearch export {study}{option} -o best.yaml", "the winner's config, every range replaced by a value"),
        (f"hpsearch verify best.yaml{option}", "trains it again: does it reproduce its value?"),
        (
            f"hpsearch train best.yaml{option} -o model",
            "the final training, the one test, a model folder",
        ),
        (f"hpsearch confirm {study}{option}", "the best trials once more, with fresh seeds"),
        (f"hpsearch ui{option}", "all trials in the MLflow UI"),
    ]
    return Reproduction(
        commands, _best(history, folder), _cut(history.origin.source), _facts(history), _places(history, folder)
    )


def _best(history: History, folder: Path) -> str:
    exported, winner = history.exported, history.leader()
    if exported is None or winner is None or not exported.is_of(winner):
        return ""
    try:
        return _cut((folder / Path(exported.path).name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""


def _cut(found: str) -> str:
    lines = found[:MOST_CHARACTERS].splitlines()
    return "\n".join(map(text, lines)) + ("\n…" if len(found) > MOST_CHARACTERS else "")


def _facts(history: History) -> list[tuple[str, str]]:
    environment, data = history.origin.environment, history.origin.data
    commit = environment.get("git_commit")
    dirty = " with uncommitted changes" if environment.get("git_dirty") else ""
    found: list[tuple[str, Any]] = [
        ("git commit", f"{commit}{dirty}" if commit else "none: not in a git repository"),
        ("seed", history.origin.experiment.get("seed")),
        ("Python", environment.get("python")),
        ("platform", environment.get("platform")),
        ("processor", environment.get("processor")),
        *(environment.get("versions") or {}).items(),
        ("data fingerprint", data.get("fingerprint")),
        *((f"contents of {name}", digest) for name, digest in (data.get("contents") or {}).items()),
    ]
    return [(text(name), text(value)) for name, value in found if value not in (None, "")]


def _places(history: History, folder: Path) -> list[tuple[str, str]]:
    """Files of the study by their full names."""
    here = folder.resolve()
    named = {"journal": "journal.jsonl", "space file": "space.yaml", "winner's config": "best.yaml"}
    found = [(what, text(here / name)) for what, name in named.items() if (here / name).exists()]
    uri = (history.origin.experiment.get("tracking") or {}).get("uri")
    return [*found, *([("MLflow", text(uri))] if uri else [])]
