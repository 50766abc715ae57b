"""Files as users have them, for the tests of drafts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from hpsearch.document.document import parse
from hpsearch.preflight.draft.draft import Draft, draft
from hpsearch.preflight.draft.plan import Budget, Machine
from hpsearch.preflight.draft.questions import Answers
from hpsearch.space.experiment import Experiment

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
CPU = Machine("cpu", 2)


def sentences(n: int, *, words: int = 8, seed: int = 0) -> list[str]:
    """Texts of some words."""
    some = random.Random(seed)
    return [" ".join(some.choices(WORDS, k=words)) for _ in range(n)]


def rows(path: Path, *given: Any, separator: str = ",", encoding: str = "utf-8") -> Path:
    """A file with a line for each row."""
    text = "".join(separator.join(map(str, row)) + "\n" for row in given)
    path.write_bytes(text.encode(encoding))
    return path


def labelled(path: Path, n: int = 100, *, header: Any = ("text", "label"), **form: Any) -> Path:
    """Texts with one of three labels."""
    some = [(text, "abc"[i % 3]) for i, text in enumerate(sentences(n))]
    return rows(path, *([header] if header else []), *some, **form)


def lines(path: Path, some: list[str]) -> Path:
    """A text file with these lines."""
    path.write_text("".join(f"{line}\n" for line in some), encoding="utf-8")
    return path


def drafted(
    *files: Path, output: Path | None = None, machine: Machine = CPU, budget: Budget | None = None, **given: Any
) -> Draft:
    """The draft for files on a machine of two cores; it loads."""
    output = output or files[0].parent / "space.yaml"
    made = draft(list(files), output, answers=Answers(**given), machine=machine, budget=budget)
    Experiment.loads(made.text, path=output)
    return made


def keys(*files: Path, **given: Any) -> dict[str, Any]:
    """The keys of the only data set of a draft."""
    made = parse(drafted(*files, **given).text, path="space.yaml").value["data"]
    assert len(made) == 1
    return next(iter(made.values()))
