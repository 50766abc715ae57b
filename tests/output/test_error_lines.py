"""Errors in one line."""

import pytest

from hpsearch.output.error_lines import first_line, lines, with_class


@pytest.mark.parametrize(
    ("error", "first", "named"),
    [
        (RuntimeError("\n  a bug \nmore"), "a bug", "RuntimeError: a bug"),
        (RuntimeError(), "RuntimeError", "RuntimeError"),
        (ValueError("  \n"), "ValueError", "ValueError"),
        (
            OSError("https://me:secret@host/x is away"),
            "https://***@host/x is away",
            "OSError: https://***@host/x is away",
        ),
    ],
)
def test_an_error_is_one_line_without_secrets(error, first, named):
    assert (first_line(error), with_class(error)) == (first, named)


def test_blank_lines_do_not_count():
    assert lines(RuntimeError("a\n\n b \n")) == ["a", "b"]
