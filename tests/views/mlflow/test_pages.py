"""The script that has MLflow's page open in the mode for trainings, and the command that serves it."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's own imports


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    from starlette.testclient import TestClient

    from hpsearch.views.mlflow.pages import app

    return TestClient(app, base_url="http://localhost:5000")


def test_the_page_notes_the_mode_once_and_is_never_an_old_one_from_a_cache(client) -> None:
    from hpsearch.views.mlflow.pages import SCRIPT

    found = client.get("/")
    assert found.status_code == 200
    assert found.content.count(SCRIPT) == 1
    assert found.content.index(b"<head>") < found.content.index(SCRIPT) < found.content.index(b"</head>")
    assert int(found.headers["content-length"]) == len(found.content)
    again = client.get("/", headers={"If-None-Match": found.headers.get("etag", "*")})
    assert (again.status_code, SCRIPT in again.content) == (200, True)


def test_all_else_is_mlflows_own(client) -> None:
    assert client.get("/health").text == "OK"
    assert client.get("/nosuch").status_code == 404


@pytest.mark.parametrize("installed", [True, False])
def test_a_checkout_without_metadata_has_mlflows_own_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    from hpsearch.views.mlflow import ui

    point = EntryPoint("hpsearch", "hpsearch.views.mlflow.pages:app", "mlflow.app")
    monkeypatch.setattr(ui, "entry_points", lambda **asked: EntryPoints([point] * installed).select(**asked))
    command, _ = ui.ui_command(tmp_path, None, 5000)
    assert ("--app-name" in command) == installed
