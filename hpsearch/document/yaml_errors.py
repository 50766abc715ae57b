"""Explains errors of the YAML parser: where the mistake is, what it is, how to fix it."""

from __future__ import annotations

import re
from typing import Protocol


class ParserMark(Protocol):
    """A place in the text as the parser reports it; both count from 0."""

    line: int
    column: int


class ParserError(Protocol):
    """The parser's error: what it was reading (context) and what is wrong (problem), with their places."""

    context: str | None
    context_mark: ParserMark | None
    problem: str | None
    problem_mark: ParserMark | None


BEGINNING, HERE = "beginning", "here"  # of the construct; where the parser stopped

# (regular expression over "context, problem", which place to name, message)
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
    (r"a block node, .* found '[\]}]'", HERE, "a value is missing before this; quote the text, or add what opens it"),
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


def explain(error: ParserError, lines: list[str]) -> tuple[int, int, str]:
    """(line, column, message) for an error in these lines; line and column count from 1."""
    says = ", ".join(str(part).splitlines()[0] for part in (error.context, error.problem) if part)
    here = error.problem_mark or error.context_mark
    beginning = error.context_mark or here
    for pattern, which, words in MISTAKES:
        if found := re.search(pattern, says):
            mark = beginning if which == BEGINNING else here
            return (*_place(mark), _conflict(mark, lines) or _filled(words, beginning, found, lines))
    return (*_place(here), f"not valid YAML ({says}); check quotes, brackets and indentation")


def _filled(words: str, beginning: ParserMark | None, found: re.Match[str], lines: list[str]) -> str:
    """Fills {0} with the opening character, {1} its partner, {2} its place, {3} what the parser found."""
    opened = _line(beginning, lines)[beginning.column : beginning.column + 1] if beginning else ""
    line, column = _place(beginning)
    found_there = found[1] if found.re.groups else ""
    return words.format(opened, PARTNERS.get(opened, opened), f"line {line}, column {column}", found_there)


def _conflict(mark: ParserMark | None, lines: list[str]) -> str:
    return "a merge conflict is left in the file; choose one side" if CONFLICT.match(_line(mark, lines)) else ""


def _line(mark: ParserMark | None, lines: list[str]) -> str:
    return lines[mark.line] if mark and mark.line < len(lines) else ""


def _place(mark: ParserMark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
