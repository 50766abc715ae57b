"""optuna-dashboard as `hpsearch ui` starts it; tests/cli/test_ui.py starts and kills it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.views import dashboard

PORT = 8123


def answer(method: str = "GET", **headers: str) -> str:
    """The status that a request gets."""
    told: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"yes"]

    environ = {"REQUEST_METHOD": method, **{f"HTTP_{name}": value for name, value in headers.items()}}
    list(dashboard.guarded(application, PORT)(environ, lambda status, _: told.append(status)))
    return told[0]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8123", "127.0.0.1:1", "10.0.0.1:8123", ""])
def test_a_foreign_host_is_refused(host: str) -> None:
    assert answer(HOST=host) == "403 Forbidden"
    assert answer() == "403 Forbidden"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_foreign_page_changes_nothing(method: str) -> None:
    own = {"HOST": "127.0.0.1:8123"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1.evil.example:8123", "https://localhost:8123"):
        assert answer(method, **own, ORIGIN=origin) == "403 Forbidden"
    assert answer(method, **own, ORIGIN="http://127.0.0.1:8123") == "200 OK"
    assert answer(method, **own) == "200 OK"  # a program of this machine, as curl


def test_this_machines_names_are_answered() -> None:
    for host in ("127.0.0.1:8123", "localhost:8123"):
        assert answer(HOST=host) == "200 OK"


def test_there_is_a_command_where_there_is_something_to_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dashboard.command(tmp_path, PORT) is None  # no optuna.db
    (tmp_path / "optuna.db").touch()
    found = dashboard.command(tmp_path, PORT)
    assert found is not None
    command, environment = found
    assert command[-2:] == ["hpsearch.views.dashboard", str(PORT)]
    assert environment[dashboard.HOME] == str(tmp_path)
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)  # not installed
    assert dashboard.command(tmp_path, PORT) is None


def test_the_address_of_a_server_is_in_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_OPTUNA_URL", "postgresql://mina:S3CRET@db.example/studies")
    found = dashboard.command(tmp_path, PORT)
    assert found is not None
    assert "S3CRET" not in " ".join(found[0])


def test_links(tmp_path: Path) -> None:
    assert dashboard.link(tmp_path / "none", PORT) == "http://127.0.0.1:8123/dashboard/"
    (tmp_path / "s" / "views").mkdir(parents=True)
    (tmp_path / "s" / "views" / "optuna.json").write_text('{"offset": 1, "state": {"study": 3}}')
    assert dashboard.link(tmp_path / "s", PORT) == "http://127.0.0.1:8123/dashboard/studies/3"
