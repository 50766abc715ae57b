"""`hpsearch.new`: drafts a space file for a user's files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hpsearch.errors import ConfigError, UserError
from hpsearch.preflight.draft.draft import Draft
from hpsearch.preflight.draft.draft import draft as drafted
from hpsearch.preflight.draft.plan import Budget, Machine
from hpsearch.preflight.draft.questions import Answers, Question
from hpsearch.space.validation import wrong_study
from hpsearch.system.atomic import write_atomically


def new(
    files: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    task: str | None = None,
    text: str | Sequence[str] = (),
    label: str | None = None,
    source: str | None = None,
    target: str | None = None,
    encoding: str | None = None,
    pretrained: str | Path | Sequence[str | Path] = (),
    study: str | None = None,
    trials: int | None = None,
    hours: float | None = None,
    device: str = "auto",
    force: bool = False,
    first: bool = False,
    ask: Callable[[Question], str] | None = None,
) -> Draft:
    """Drafts a commented space file that runs as it is: task, columns, splits, vocabulary and ranges fit the files.

    files: labelled texts, pairs or texts as csv, tsv, json, jsonl or parquet; two line-aligned text files; .txt files;
    a folder of these; a folder of the `datasets` library. Files whose names differ in train, valid and test are the
    splits of a set; several sets become one mixed study. A folder with a checkpoint of transformers among them, or
    `pretrained` (a folder, or a name on the hub; several are choices), is fine-tuned.

    output: the file to write; None: nothing is written, and paths are relative to the working folder. task, text,
    label, source, target, encoding: what the files do not tell. device: where the trials will train (auto, cpu, cuda,
    mps); the models are sized for it, and for the hours. first: take the likeliest answer where they do not;
    ask: is called for it instead. Raises UserError for what only the user can say, and for a file that exists (unless
    `force`); DataError, with file and line, for data that cannot be trained on.
    """
    if study is not None and (reason := wrong_study(study)):
        raise ConfigError(f"study: {reason}")
    place = Path("space.yaml" if output is None else output)
    if output is not None and place.exists() and not force:
        raise UserError(f"{place} exists; --force replaces it, -o writes another file")
    if output is not None and not place.parent.is_dir():
        raise UserError(f"{place}: there is no folder {place.parent}")
    given = [files] if isinstance(files, str | Path) else list(files)
    answers = Answers(task, [text] if isinstance(text, str) else text, label, source, target, encoding, first, ask)
    machine, budget = Machine.of(device), Budget(trials, hours)
    models = [pretrained] if isinstance(pretrained, str | Path) else pretrained
    made = drafted(
        [Path(one) for one in given],
        place,
        answers=answers,
        checkpoints=[str(one) for one in models],
        study=study,
        budget=budget,
        machine=machine,
    )
    if output is not None:
        write(place, made.text)
    return made


def write(path: Path, text: str) -> None:
    """Writes a file of the user's; raises UserError if it cannot be written."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    try:
        write_atomically(path, text.encode())
    except PermissionError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
