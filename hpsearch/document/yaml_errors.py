"""What the YAML parser complains of, in plain words: where the mistake was made, what it is, how to mend it."""

from __future__ import annotations

import re
from typing import Protocol


class Spot(Protocol):
    """A place in the text as the parser gives it; both count from 0."""

    line: int
    column: int


class Complaint(Protocol):
    """The parser's error: what was being read and since where, what is wrong and where."""

    context: str | None
    context_mark: Spot | None
    problem: str | None
    problem_mark: Spot | None


BEGINNING, HERE = "beginning", "here"  # of what could not be read; where the parser gave up

# What the parser says (a regular expression over "context, problem"), which place to name, and what to say there.
MISTAKES = [
    (r"'\\t'", HERE, "a tab where only spaces may stand; replace it with spaces"),
    (r"quoted scalar, found unexpected", BEGINNING, "the quoted text that begins here is not closed; add the {0}"),
    (r"could not find expected ':'", BEGINNING, "a line without ': '; write key: value, with a space after the colon"),
    (r"mapping values are not allowed", HERE, "a ':' out of place; check the indentation, or quote the text"),
    (r"a flow (?:sequence|mapping), .*'<stream end>'", BEGINNING, "this '{0}' is not closed; add the '{1}'"),
    (
        r"a flow (?:sequence|mapping), expected",
        HERE,
        "a ',' or '{1}' is missing before this; look from the '{0}' in {2} on",
    ),
    (r"a flow node", HERE, "a value is missing before this; fill it in, or remove a ','"),
    (r"<block end>, but found '([\]}])'", HERE, "a '{3}' too many; remove it, or add its partner"),
    (
        r"<block end>, but found '<block|<block end>, but found '-'",
        HERE,
        "the indentation fits nothing above; begin what belongs together in the same column",
    ),
    (r"<block end>, but found", HERE, "more text after a value; put the whole value in quotes"),
    (r"sequence entries are not allowed", HERE, "a '-' out of place; begin a list on a line of its own"),
    (r"mapping keys are not allowed", HERE, "a '?' out of place; quote the text"),
    (r"escape", HERE, "a backslash that YAML does not know in double quotes; use single quotes"),
    (r"found character (.*) that cannot start", HERE, "text cannot begin with {3}; put it in quotes"),
    (r"'<document start>'|after document end", HERE, "no part of the mapping above; check the indentation"),
    (r"an (alias|anchor), expected", BEGINNING, "'*' and '&' begin aliases and anchors; put such text in quotes"),
    (
        r"directive|YAML document \(version",
        HERE,
        "a line that begins with '%' is a directive; remove it, or quote it",
    ),
    (r"block scalar", HERE, "after '|' or '>' the text begins on the next line, indented"),
    (r"tag", BEGINNING, "'!' begins a tag, which is not allowed; put such text in quotes"),
]
CONFLICT = re.compile(r"<{7}|={7}$|>{7}")
PARTNERS = {"[": "]", "{": "}"}


def explain(error: Complaint, lines: list[str]) -> tuple[int, int, str]:
    """(line, column, words) of a complaint about these lines; line and column count from 1."""
    says = ", ".join(str(part).splitlines()[0] for part in (error.context, error.problem) if part)
    here = error.problem_mark or error.context_mark
    beginning = error.context_mark or here
    for pattern, which, words in MISTAKES:
        if found := re.search(pattern, says):
            mark = beginning if which == BEGINNING else here
            return (*_place(mark), _conflict(mark, lines) or _filled(words, beginning, found, lines))
    return (*_place(here), f"not valid YAML ({says}); check quotes, brackets and indentation")


def _filled(words: str, beginning: Spot | None, found: re.Match[str], lines: list[str]) -> str:
    """The words with {0} the character where it began, {1} its partner, {2} the place, {3} what the parser found."""
    opened = _line(beginning, lines)[beginning.column : beginning.column + 1] if beginning else ""
    line, column = _place(beginning)
    found_there = found[1] if found.re.groups else ""
    return words.format(opened, PARTNERS.get(opened, opened), f"line {line}, column {column}", found_there)


def _conflict(mark: Spot | None, lines: list[str]) -> str:
    return "a merge conflict is left in the file; choose one side" if CONFLICT.match(_line(mark, lines)) else ""


def _line(mark: Spot | None, lines: list[str]) -> str:
    return lines[mark.line] if mark and mark.line < len(lines) else ""


def _place(mark: Spot | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
