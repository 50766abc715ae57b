"""The messages of the errors that the package raises on purpose, read from its source, and those of docs/errors.md.

`python -m tests.error_messages` prints the rows that the catalogue lacks.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hpsearch"
CATALOGUE = ROOT / "docs" / "errors.md"

# Classes that a person meets, and which argument is the message; ValueErrors of pydantic's validators become Faults.
MESSAGE_OF = {
    "HpsearchError": 0,
    "UserError": 0,
    "ConfigError": 0,
    "DataError": 0,
    "StudyMismatch": 0,
    "StudyBusy": 0,
    "StorageFailed": 0,
    "JournalDamaged": 0,
    "CheckpointDamaged": 0,
    "TrainingFailed": 0,
    "NoDefault": 0,
    "Fault": 1,
    "Unfit": 0,
    "ValueError": 0,
    "BadParameter": 0,
    "UsageError": 0,
    "ClickException": 0,
    "_error": 1,  # of document/yaml_reader.py
    "_wrong": 0,  # of policies/checked.py
}
ANY = "…"  # in place of what differs


@dataclass(frozen=True)
class Raised:
    """An error that the source makes."""

    place: str  # file:function
    line: int
    kind: str
    message: str  # with ANY in place of what differs; "" if it is not written there


def raised():
    """Every error of such a class that the package makes (ValueErrors: that it raises)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for function, node in _calls(ast.parse(path.read_text())):
            kind = getattr(node.func, "id", "") or getattr(node.func, "attr", "")
            given = node.args[MESSAGE_OF[kind] :]
            yield Raised(f"{file}:{function}", node.lineno, kind, template(given[0]) if given else "")


def _calls(node, function="", raising=False):
    """The calls of such classes, with the function around each."""
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.ClassDef) else function
        inside = isinstance(child, ast.Raise) or (raising and not isinstance(child, ast.stmt))
        kind = getattr(child.func, "id", "") or getattr(child.func, "attr", "") if isinstance(child, ast.Call) else ""
        if kind in MESSAGE_OF and (inside or kind not in ("ValueError", "_error", "_wrong")):
            yield inner, child
        yield from _calls(child, inner, inside)


def template(node):
    """A message with ANY in place of what differs; "" for one that has no words of its own."""
    found = re.sub(f"{ANY}+", ANY, _text(node))
    return found if re.search(r"[a-z]{2}", found) else ""


def _text(node):
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return ANY


def catalogue():
    """The messages of docs/errors.md, in its order."""
    rows = re.findall(r"^\| (`+) ?(.+?) ?\1 \| .+ \| .+ \|$", CATALOGUE.read_text(), re.M)
    return [message.replace("\\|", "|") for _, message in rows]


def skeleton(message):
    """What does not differ in a message: without what it begins and ends with, such as a place or a hint."""
    plain = re.sub(f"{ANY}+", ANY, re.sub(r"<[^<>]+>", ANY, message))
    return re.sub(rf"^[{ANY}:\s]+|[{ANY};\s]+$", "", re.sub(r"\n", "", plain))


def pattern(message):
    """A regular expression that a printed message matches."""
    parts = re.split(r"<[^<>]+>", message)
    return ".*".join(re.escape(part) for part in parts)


if __name__ == "__main__":
    known = {skeleton(message) for message in catalogue()}
    for one in raised():
        if one.message and skeleton(one.message) not in known:
            print(f"{one.place}:{one.line}", one.kind, one.message.replace("\n", "\\n"), sep="\t")
