"""The task of a table and the columns that it needs, by their names and by what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.errors import UserError
from hpsearch.output.printable import printable
from hpsearch.preflight.draft.languages import LANGUAGES
from hpsearch.preflight.draft.questions import Answers, Question
from hpsearch.preflight.draft.table import Column, Table

SHOWN, SHORT = 3, 24  # values of a column in a question, and characters of each
FEW = 20  # rows, in which all labels may differ
LABELS = ("label", "labels", "class", "category", "target", "sentiment", "intent", "topic", "tag", "stars", "y", "v1")
TEXTS = (
    *("text", "sentence", "content", "body", "message", "review", "comment", "document", "tweet", "utterance", "post"),
    *("sms", "query", "paragraph", "passage", "article", "abstract", "description", "story", "v2"),
)
SOURCES = ("source", "src", "input", "question", "prompt", "instruction", "original", "query", "document", "article")
TARGETS = ("target", "tgt", "trg", "output", "answer", "response", "completion", "translation", "summary", "reference")


@dataclass(frozen=True)
class Guess:
    """A task and its columns, each with a reason in a few words."""

    task: str
    keys: dict[str, Any]  # {"text": "sentence", "label": "intent"}, {"columns": [...]}, as the space file has them
    reasons: dict[str, str]


def guess(table: Table, answers: Answers) -> Guess:
    """The task and the columns; asks where the table does not tell.

    Raises UserError if there is no text, for a column that is missing, or if nobody can be asked.
    """
    _check_given(table, answers)
    task = answers.task or _task(table, answers)
    found = {"classification": _labelled, "translation": _pairs, "text": _texts}[task](table, answers)
    if task == "text" and (numbers := [printable(one.name, keep="") for one in table.columns if _is_score(one)]):
        found.reasons["task"] = f"no task predicts numbers: {', '.join(numbers)} is not used"
    if not table.headless:
        return found
    return _named(found, table)


def _is_score(column: Column) -> bool:
    """Whether a column holds measured numbers, not classes that are numbered."""
    return column.is_numeric and not column.is_whole and column.distinct > 2


def _check_given(table: Table, answers: Answers) -> None:
    for option, name in answers.columns:
        if table.named(name) is None:
            there = ", ".join(printable(column.name, keep="") for column in table.columns)
            raise UserError(f"{option} {printable(name, keep='')}: no such column; there are: {there}")


def _named(found: Guess, table: Table) -> Guess:
    """The same with names for the columns of a table without a header: those of the keys, and columnN."""
    names = {column: key for key, column in found.keys.items() if isinstance(column, str)}
    every = [names.get(column.name, column.name) for column in table.columns]
    keys = {key: key if isinstance(column, str) else column for key, column in found.keys.items()}
    return Guess(found.task, {"columns": every} | keys, found.reasons | {"columns": "the first row is an example"})


# --------------------------------------------------------------------------------------------------------------- task


def _task(table: Table, answers: Answers) -> str:
    if answers.source or answers.target:
        return "translation"
    if answers.label:
        return "classification"
    texts, labels = _text_columns(table), _label_columns(table)
    hinted = _by_name(labels, LABELS)
    pair = _pair_by_name(table)
    if pair is not None:
        others = [column for column in hinted if column not in pair]
        tasks = ["translation", *(["classification"] if others else [])]
        return answers.answer(Question("--task", _ambiguous([*pair, *others]), tasks))
    if not texts:
        raise UserError(_no_text(table))
    if labels and (hinted or len(texts) == 1):
        return "classification"
    if not labels and len(texts) == 1:
        _refuse_unique_label(table)
        return "text"
    if not labels and len(texts) == 2 and not answers.text:
        return answers.answer(Question("--task", _ambiguous(texts), ["translation", "text"]))
    if answers.text and not labels:
        return "text"
    tasks = [*(["classification"] if labels else []), "translation", "text"]
    return answers.answer(Question("--task", _ambiguous(texts), tasks))


def _ambiguous(texts: Sequence[Column]) -> str:
    names = ", ".join(printable(column.name, keep="") for column in texts[:4])
    return f"What are the models to learn from the columns {names}?"


def _refuse_unique_label(table: Table) -> None:
    """Raises UserError if a column is named as labels are, but has no classes."""
    for column in _by_name(table.columns, LABELS[:4]):
        if table.n_rows < FEW:
            raise UserError(f"too few rows to guess from ({table.n_rows}); name the labels with --label")
        if column.missing and 2 * column.distinct <= len(column.values):
            raise UserError(
                f"column {printable(column.name, keep='')} has no value in {column.missing} of the first "
                f"{column.missing + len(column.values)} rows, first in row {column.first_missing}; "
                "give each row a label, or leave those rows out"
            )
        what = f"{'number' if column.is_numeric else 'value'}{'s' * (column.distinct != 1)}"
        raise UserError(
            f"column {printable(column.name, keep='')} has {column.distinct} different {what} in {len(column.values)} "
            "rows, so they are no classes; name the column of the classes with --label, or give --task text"
        )


def _no_text(table: Table) -> str:
    about = ", ".join(f"{printable(column.name, keep='')} ({_holds(column)})" for column in table.columns[:8])
    return f"no column holds texts: {about}; if one does, give it with --text"


def _holds(column: Column) -> str:
    if not column.values:
        return "empty"
    if column.is_numeric:
        return "numbers"
    if column.distinct == 1 and len(column.values) > 1:
        return f"1 different value in {len(column.values)} rows"
    return f"{column.distinct} values" if column.is_label else "single words"


# ------------------------------------------------------------------------------------------------------------ columns


def _labelled(table: Table, answers: Answers) -> Guess:
    label = table.named(answers.label) if answers.label else None
    if label is None:
        texts = _text_columns(table)
        labels = [column for column in _label_columns(table) if len(texts) != 1 or column is not texts[0]]
        labels = labels or [column for column in table.columns if column.values and not column.is_text]
        if not labels:
            raise UserError(
                "no column has labels (a few values that repeat); name it with --label, or give --task text"
            )
        label = _chosen(labels, LABELS, Question("--label", "Which column has the labels?", ()), answers)
    text, reason = _text_key(table, answers, but=label)
    return Guess(
        "classification",
        {"text": text, "label": label.name},
        {"text": reason},
    )


def _pairs(table: Table, answers: Answers) -> Guess:
    found = _pair_by_name(table)
    texts = [column for column in table.columns if column.values and not column.is_numeric]
    source = table.named(answers.source) if answers.source else None
    target = table.named(answers.target) if answers.target else None
    if source is None and target is None and found is not None:
        source, target = found
    if len(texts) < 2:
        raise UserError(f"a translation needs two columns of texts; {_no_text(table)}")
    if source is None:
        rest = [column for column in texts if column is not target]
        source = _asked(
            rest, Question("--source", "Which column is translated from?", ()), answers, one=len(texts) == 2
        )
    if target is None:
        rest = [column for column in texts if column is not source]
        target = _asked(rest, Question("--target", "Which column is the translation?", ()), answers)
    return Guess("translation", {"source": source.name, "target": target.name}, {})


def _texts(table: Table, answers: Answers) -> Guess:
    text, reason = _text_key(table, answers, but=None)
    return Guess("text", {"text": text}, {"text": reason})


def _text_key(table: Table, answers: Answers, *, but: Column | None) -> tuple[Any, str]:
    """The column of the texts, or those that the user joins, and the reason."""
    if answers.text:
        named = [column.name for name in answers.text if (column := table.named(name)) is not None]
        return (named[0], "") if len(named) == 1 else (named, "joined by line ends")
    texts = [column for column in _text_columns(table) if column is not but]
    texts = texts or [
        column for column in table.columns if column.values and column is not but and not column.is_numeric
    ]
    if not texts:
        raise UserError(_no_text(table))
    found = _chosen(texts, TEXTS, Question("--text", "Which column has the texts?", ()), answers)
    return found.name, f"{found.words:.0f} words on average"


def _chosen(columns: Sequence[Column], hints: Sequence[str], question: Question, answers: Answers) -> Column:
    """The only column, the only one with a usual name, or the answer."""
    hinted = _by_name(columns, hints)
    if len(columns) == 1 or len(hinted) == 1:
        return hinted[0] if hinted else columns[0]
    return _asked([*hinted, *(column for column in columns if column not in hinted)], question, answers)


def _asked(columns: Sequence[Column], question: Question, answers: Answers, *, one: bool = False) -> Column:
    """The column that the answer names; `one`: take the first of two without asking, as the file has them."""
    names, about = [column.name for column in columns], [_values(column) for column in columns]
    name = names[0] if one else answers.answer(question._replace(answers=names, about=about))
    return columns[names.index(name)]


def _values(column: Column) -> str:
    """A few of its values, to know the column by."""
    some = list(dict.fromkeys(column.texts))[:SHOWN]
    return ", ".join(text[:SHORT].strip() + ("..." if len(text) > SHORT else "") for text in some)


def _text_columns(table: Table) -> list[Column]:
    return [column for column in table.columns if column.is_text]


def _label_columns(table: Table) -> list[Column]:
    return [column for column in table.columns if column.is_label and not (column.is_text and column.words > 6)]


def _by_name(columns: Sequence[Column], hints: Sequence[str]) -> list[Column]:
    """The columns with a usual name, the most usual first."""
    ranked = [(hints.index(word), column) for column in columns if (word := _word(column)) in hints]
    return [column for _, column in sorted(ranked, key=lambda found: found[0])]


def _word(column: Column) -> str:
    return column.name.rpartition(".")[2].lower().strip()


def _pair_by_name(table: Table) -> tuple[Column, Column] | None:
    """The source and the target, if just one pair of columns has usual names, or two are named as languages."""
    there = [column for column in table.columns if column.values and not column.is_numeric]
    sources = [column for column in there if _word(column) in SOURCES]
    targets = [column for column in there if _word(column) in TARGETS and column not in sources]
    if len(sources) == len(targets) == 1:
        return sources[0], targets[0]
    languages = [column for column in there if _word(column).partition("_")[0].partition("-")[0] in LANGUAGES - {"id"}]
    return (languages[0], languages[1]) if len(languages) == 2 else None
