"""Questions that the files do not answer: asked at a terminal, else an error that names the option and the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hpsearch.errors import UserError
from hpsearch.output.printable import printable

SHOWN = 8  # candidates in a message


class Question(NamedTuple):
    """One question: the option that answers it, and the answers, the likeliest first."""

    option: str  # --label
    text: str  # which column has the labels?
    answers: Sequence[str]
    about: Sequence[str] = ()  # a few words on each answer

    @property
    def unanswered(self) -> str:
        """The error where nobody can be asked."""
        some = ", ".join(printable(answer, keep="") for answer in self.answers[:SHOWN])
        more = ", ..." if len(self.answers) > SHOWN else ""
        example = f"{self.option} {_quoted(self.answers[0])}"
        return f"{self.text} Candidates: {some}{more}. Give {example}, or --yes to take the first"


@dataclass
class Answers:
    """What the user has said beforehand, and who asks for the rest."""

    task: str | None = None
    text: Sequence[str] = ()
    label: str | None = None
    source: str | None = None
    target: str | None = None
    encoding: str | None = None
    first: bool = False  # take the likeliest answer without asking
    ask: Callable[[Question], str] | None = None  # None: nobody can be asked
    taken: list[str] = field(default_factory=list)  # what was taken without asking, a line each

    def for_columns(self, known: Callable[[str], bool]) -> Answers:
        """The answers that name columns of one of several tables."""

        def kept(name: str | None) -> str | None:
            return name if name and known(name) else None

        text = [name for name in self.text if known(name)]
        label, source, target = kept(self.label), kept(self.source), kept(self.target)
        return replace(self, text=text, label=label, source=source, target=target)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(option, column) of every column that was named."""
        named = [("--label", self.label), ("--source", self.source), ("--target", self.target)]
        return [(option, name) for option, name in [*named, *(("--text", name) for name in self.text)] if name]

    def answer(self, question: Question) -> str:
        """The answer; raises UserError if nobody can be asked."""
        if len(question.answers) == 1:
            return question.answers[0]
        if self.first:
            self.taken.append(f"{question.option} {printable(question.answers[0], keep='')} is a guess")
            return question.answers[0]
        if self.ask is None:
            raise UserError(question.unanswered)
        return self.ask(question)


def _quoted(answer: str) -> str:
    answer = printable(answer, keep="")
    return answer if answer.replace("_", "").replace(".", "").isalnum() else f'"{answer}"'
