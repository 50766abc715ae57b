"""Databases of other MLflow versions are refused and not changed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import UserError
from hpsearch.views import shipping, sqlite
from hpsearch.views.mlflow.store import Store, schema
from tests.faults.stores import Small, held

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow 1.3 created it."""
    from alembic import command
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    path = tmp_path_factory.mktemp("older") / "mlflow.db"
    engine = create_engine(sqlite.url(path))
    Base.metadata.create_all(engine)
    config = utils._get_alembic_config(sqlite.url(path))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "7ac759974ad8")
    engine.dispose()
    return path


@pytest.fixture
def study(older: Path, tmp_path: Path) -> Small:
    shutil.copy(older, tmp_path)
    return Small(tmp_path, "study")


def change(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def test_the_head_is_the_one_of_mlflow() -> None:
    from mlflow.store.db.utils import _get_latest_schema_revision

    revisions, head = schema.known()
    assert head == _get_latest_schema_revision()
    assert {"451aebb31d03", "7ac759974ad8", head} <= revisions


def test_a_home_without_a_store_is_checked_without_sqlalchemy(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from hpsearch.views.mlflow.schema import check_home; "
        f"check_home(pathlib.Path({str(tmp_path)!r}), None); print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_store_of_the_installed_mlflow_passes(client: Any, home: Path) -> None:
    schema.check_home(home, None)
    schema.check(sqlite.url(home / "mlflow.db"))


@pytest.mark.parametrize("uri", [None, "http://127.0.0.1:9", "file:///nowhere", "postgresql://127.0.0.1:9/none"])
def test_a_missing_database_and_a_server_pass(tmp_path: Path, uri: str | None) -> None:
    schema.check_home(tmp_path, uri)
    assert list(tmp_path.iterdir()) == []


def commands(home: Path, space: Path) -> dict[str, tuple[Any, ...]]:
    return {
        "run": ("run", space, "--home", home, "--launcher", "inline"),
        "sync": ("sync", "study", "--home", home),
        "repair": ("repair", "study", "--home", home),
        "ui": ("ui", "--home", home, "--port", 4999),
        "train": ("train", space, "--home", home, "-o", home / "model"),
    }


@pytest.mark.parametrize("command", ["run", "sync", "repair", "ui", "train"])
def test_an_older_database_is_refused_and_not_changed(call: Call, study: Small, space_file: Any, command: str) -> None:
    before = (study.home / "mlflow.db").read_bytes()
    body = "study: fresh\ntraining: {learning_rate: 0.1}\n"
    body += "budget: {trials: 1}\nmodel: {n_layers: {low: 1, high: 2}}\n" if command == "run" else ""
    code, out, err = call(*commands(study.home, space_file(body))[command])
    assert (code, out if command != "repair" else "") == (2, "")
    database = study.home / "mlflow.db"
    assert err.startswith(f"error: {database}: is of an older MLflow than the installed 3.")
    assert f"run: mlflow db upgrade sqlite:///{database} " in err
    assert err.count("\n") == 1
    assert database.read_bytes() == before
    there = {path.name for path in study.home.iterdir()} - {"data", "space.yaml"}
    assert there == {"mlflow.db", "study"}
    assert {path.name for path in study.folder.iterdir()} <= {"journal.jsonl", "lock"}


def test_the_store_refuses_an_older_database(study: Small) -> None:
    before = (study.home / "mlflow.db").read_bytes()
    with pytest.raises(UserError, match="older MLflow"):
        Store(study.home, None).prepare()
    with pytest.raises(UserError, match="older MLflow"):
        Store(study.home, sqlite.url(study.home / "mlflow.db")).prepare()
    assert (study.home / "mlflow.db").read_bytes() == before


def test_the_suggested_command_upgrades_the_database(study: Small) -> None:
    from click.testing import CliRunner
    from mlflow.db import commands as mlflow_db

    done = CliRunner().invoke(mlflow_db, ["upgrade", f"sqlite:///{study.home / 'mlflow.db'}"])
    assert done.exit_code == 0, done.output
    schema.check_home(study.home, None)


def test_a_newer_database_is_refused(study: Small) -> None:
    change(study.home / "mlflow.db", "update alembic_version set version_num = 'fffffffffff1'")
    with pytest.raises(UserError, match=r"mlflow\.db: is of a newer MLflow than the installed 3\."):
        schema.check_home(study.home, None)


def test_a_database_without_a_revision_is_older(study: Small) -> None:
    change(study.home / "mlflow.db", "drop table alembic_version")
    with pytest.raises(UserError, match="older MLflow"):
        schema.check_home(study.home, None)


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    change(tmp_path / "mlflow.db", "create table songs (name)")
    with pytest.raises(UserError, match=r"mlflow\.db: is not an MLflow database; .* another home"):
        shipping.check(tmp_path, None)


@pytest.mark.parametrize("damage", ["no database", "a block of zeros"])
def test_a_damaged_database_passes(study: Small, damage: str) -> None:
    database = study.home / "mlflow.db"
    if damage == "no database":
        database.write_bytes(b"dear diary " * 1000)
    else:  # of an index, so that the revision can be read
        with contextlib.closing(sqlite3.connect(database)) as opened:
            [(page,)] = opened.execute("select rootpage from sqlite_master where name = 'sqlite_autoindex_tags_1'")
        content = bytearray(database.read_bytes())
        content[4096 * (page - 1) : 4096 * page] = bytes(4096)
        database.write_bytes(content)
    schema.check_home(study.home, None)


def test_a_locked_database_passes_without_waiting(study: Small) -> None:
    with held(study.home / "mlflow.db"):
        schema.check_home(study.home, None)
