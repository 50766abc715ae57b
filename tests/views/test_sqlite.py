"""URLs of database files with odd paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from hpsearch.views import optuna as view
from hpsearch.views import sqlite

NAMES = [
    "a?b",
    "a#b",
    "a%41b",
    "a%3Fb",
    "a b",
    "ü",
    "a'b",
    'a"b',
    "a;b",
    "a&b=c",
    "a+b",
    "a:b@c",
    "a{b}",
    "%(x)s",
    "a?mode=ro",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_is_at_its_path(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    engine = create_engine(sqlite.url(home / "some.db"))
    with engine.begin() as connection:
        connection.execute(text("create table t (x)"))
    engine.dispose()
    view.release(view.file_storage(home / "optuna.db"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert sorted(path.name for path in home.iterdir()) == ["optuna.db", "some.db"]
