"""What is printed fits a terminal of 80 columns, and is not folded elsewhere."""

import io
import re

import pytest
from rich.console import Console

from hpsearch.displays.console import Column, console, table, write


def terminal(width=80):
    return Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, soft_wrap=True, no_color=True)


def printed(to, line):
    write(to, line)
    return to.file.getvalue().splitlines()


def test_long_lines_wrap_between_words_and_are_indented():
    said = "  tie: the winner is better than the default config (trial 0, 4.888) by 0.567, which is much"
    line = f"{said} [dim]at once[/dim]"
    found = printed(terminal(), line)
    assert found[0].startswith("  tie: the winner")
    assert found[1].startswith("      ")
    assert all(len(part.rstrip()) <= 80 for part in found)
    assert " ".join(" ".join(found).split()).replace("\x1b[2m", "").replace("\x1b[0m", "") == (
        "tie: the winner is better than the default config (trial 0, 4.888) by 0.567, which is much at once"
    )


def test_short_lines_stay_as_they_are():
    assert printed(terminal(), "  short") == ["  short"]
    assert printed(terminal(), "x" * 80) == ["x" * 80]


def test_outside_a_terminal_nothing_is_folded(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    to = console()
    write(to, "word " * 60)
    to.print(table(to, "t", COLUMNS, [("1", "0.123456", "ab " * 60, "f" * 32)]), soft_wrap=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines[0].split()) == 60
    assert any("0.123456" in line and "ab " * 60 in line and "f" * 32 in line for line in lines)


COLUMNS = [
    Column("trial"),
    Column("val/reviews/f1_macro", short="f1_macro"),
    Column("params", wraps=True),
    Column("MLflow run", short="run", needed=1),
]
ROWS = [("7 *", "0.912345678", "learning_rate=0.00123 n_layers=3 batch_size=16 dropout=0.12", "0123abcd" * 4)]


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (200, ["trial", "val/reviews/f1_macro", "params", "MLflow run"]),
        (90, ["trial", "f1_macro", "params", "run"]),
        (80, ["trial", "f1_macro", "params"]),
        (50, ["trial", "f1_macro", "params"]),
    ],
)
def test_a_table_loses_names_and_columns_before_a_number_is_broken(width, heads):
    to = terminal(width)
    made = table(to, "title", COLUMNS, ROWS)
    assert [str(column.header) for column in made.columns] == heads
    to.print(made, soft_wrap=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", to.file.getvalue())
    assert max(map(len, text.splitlines())) <= width
    assert "0.912345678" in text
    assert "learning_rate=0.00123" in text


def test_no_number_breaks_where_two_columns_wrap():
    columns = [Column("trial"), Column("outcome", wraps=True, needed=3), Column("loss"), Column("params", wraps=True)]
    rows = [
        ("12", "short, trial 3 at horizon 1/27", "0.123456", "learning_rate=0.00853 batch_size=32 dropout=0.25"),
        ("7 *", "completed", "0.12345", "learning_rate=0.0123 batch_size=8 dropout=0.1"),
    ]
    to = terminal(72)
    to.print(table(to, "t", columns, rows), soft_wrap=False)
    found = re.sub(r"\x1b\[[0-9;]*m", "", to.file.getvalue())
    assert all(len(line) <= 72 for line in found.splitlines())
    for word in " ".join(cell for row in rows for cell in row).split():
        assert word in found
