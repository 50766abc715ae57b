"""The user's data functions: "python:package.module:function" names a function that returns examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data import dataframes
from hpsearch.data.columns import row_example
from hpsearch.data.splits import PARTS, Example, named_parts
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError, HpsearchError
from hpsearch.output.error_lines import with_line
from hpsearch.system import user_modules


def find(name: str, origin: str, base: Path) -> Callable[[], Any]:
    """Imports the function that the origin names; modules in the folder `base` are found too.

    Raises DataError if it cannot be imported.
    """
    module, function = user_modules.split(origin)
    if not module or not function:
        raise DataError(f"data.{name}: {origin!r}, python:package.module:function is expected")
    where = f"data.{name}: {origin}"
    found = user_modules.load(origin, base=base, where=where, error=DataError)
    if not callable(found):
        raise DataError(f"{where}: module {module} has no function {function!r}")
    return found  # type: ignore[no-any-return]


def examples(name: str, data_set: DataSet, base: Path) -> dict[str, list[Example]]:
    """The examples that the set's function returns, by split; a list without splits is train."""
    origin = data_set.dataset or ""
    function = find(name, origin, base)
    what = f"data.{name}: {origin}: the function"
    try:
        with user_modules.running(
            getattr(function, "__module__", ""), base=base, what=what, remedy="a data function must return its examples"
        ):
            returned = function()
            parts = returned if isinstance(returned, Mapping) else {"train": returned}
            parts = {part: rows if _is_whole(rows) else list(rows) for part, rows in parts.items()}
    except HpsearchError:
        raise
    except Exception as error:
        raise DataError(f"data.{name}: {origin}: raised {with_line(error, base)}") from error
    named = named_parts(parts)
    if named is None:
        raise DataError(f"data.{name}: {origin}: returned {', '.join(map(str, parts))}, allowed: {', '.join(PARTS)}")
    if not data_set.split.test:
        named.pop("test", None)
    return {
        part: _checked(f"{origin}: {part}", rows, data_set, Targets(data_set, part)) for part, rows in named.items()
    }


def _is_whole(rows: Any) -> bool:
    """Whether the value must not be iterated over: a table, or a text by mistake."""
    return isinstance(rows, str | bytes) or dataframes.is_table(rows)


def _checked(where: str, rows: Any, data_set: DataSet, targets: Targets) -> list[Example]:
    if isinstance(rows, str | bytes):
        raise DataError(f"{where}: one text, a list of examples is expected")
    if dataframes.is_table(rows):
        rows = dataframes.rows(where, rows, data_set, optional=targets.optional)
    return [row_example(f"{where}: example {i}", row, data_set, targets) for i, row in enumerate(rows)]
