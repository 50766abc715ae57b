"""The final model in a real MLflow store: logged once, tied to its metrics and data, registered, without a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from hpsearch.contract import Evaluation
from hpsearch.errors import UserError
from hpsearch.serving import served
from hpsearch.views.mlflow import registry
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.registry import Registration
from hpsearch.views.mlflow.store import Store
from tests import blank
from tests.serving.directories import MAIL, directory

FINGERPRINT = "ab" * 32
FACTS = {
    "fingerprint": "f" * 64,
    "contents": {"mail": FINGERPRINT},
    "sets": {
        "mail": {split: {"examples": n, "tokens": 10 * n} for split, n in (("train", 90), ("valid", 9), ("test", 8))}
    },
}
CONFIG = {"seed": 3, "data": {"mail": MAIL.model_dump(mode="json")}, "model": {"width": 16}}
TESTED = {"test/f1_macro": 0.9, "test/mail/loss": 0.4, "val/loss": 1.5, "gap/optimism": 0.1}


def finished(
    home: Path, folder: Path, registration: Registration, *, study: str = "mail", uri: str | None = None
) -> FinalRun:
    """A final training of two evaluations, logged with the model in a folder."""
    said: list[str] = []
    final = FinalRun(home, uri, study, say=said.append)
    final.start(CONFIG, {"trial": 4}, {"hpsearch.config": "c0ffee"}, data=FACTS)
    for index, loss in ((1, 1.5), (2, 1.6)):
        final.evaluation(Evaluation(index, 10 * index, index / 2, {"val/loss": loss}, tokens=1000 * index, epoch=1.0))
    final.finish(TESTED, folder, served=served(folder), registration=registration, timeout=600)
    assert final.registered is not None, said
    return final


def place_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blank.home(tmp_path_factory.mktemp("final model") / "home")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return directory(tmp_path_factory.mktemp("exported") / "model", {"mail": MAIL})


@pytest.fixture(scope="module")
def registered(home: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The first version, made in an empty folder; gives MLflow's client, the run, and that folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd := tmp_path_factory.mktemp("empty"))
        final = finished(home, model, Registration("mail sorter"))
    assert str(final.registered) == "mail sorter version 1, alias champion"
    store = Store(home, None)
    store.prepare()
    yield store.client, store.client.get_run(final.run_id), cwd
    store.close()


@pytest.fixture
def logged(registered: Any) -> Any:
    client, run, _ = registered
    [output] = run.outputs.model_outputs
    return client.get_logged_model(output.model_id)


def test_nothing_is_left_in_the_current_folder(registered: Any) -> None:
    assert list(registered[2].iterdir()) == []


def test_the_data_sets_are_inputs_by_fingerprint_and_split(registered: Any) -> None:
    _, run, _ = registered
    found = {
        one.dataset.name: (one.dataset.digest, one.tags[0].value, json.loads(one.dataset.profile)["examples"])
        for one in run.inputs.dataset_inputs
    }
    assert found == {
        "mail/train": (FINGERPRINT[:16], "train", 90),
        "mail/valid": (FINGERPRINT[:16], "valid", 9),
        "mail/test": (FINGERPRINT[:16], "test", 8),
    }


def test_runs_are_found_by_their_data_set(registered: Any) -> None:
    client, run, _ = registered
    wanted = f"dataset.name = 'mail/test' and dataset.digest = '{FINGERPRINT[:16]}'"
    assert [one.info.run_id for one in client.search_runs([run.info.experiment_id], wanted)] == [run.info.run_id]
    assert client.search_runs([run.info.experiment_id], "dataset.name = 'other/test'") == []


def test_the_model_has_its_metrics_with_the_data_they_were_measured_on(registered: Any, logged: Any) -> None:
    client, run, _ = registered
    assert (logged.name, str(logged.status), logged.source_run_id) == ("model", "READY", run.info.run_id)
    assert logged.params == {"seed": "3", "width": "16"}
    assert logged.tags["hpsearch.trial"] == "4"
    assert logged.tags["hpsearch.config"] == "c0ffee"
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "mail sorter", "version": 1}]
    found = {metric.key: (metric.value, metric.dataset_name) for metric in logged.metrics}
    assert found == {
        "test/f1_macro": (0.9, "mail/test"),
        "test/mail/loss": (0.4, "mail/test"),
        "val/loss": (1.5, "mail/valid"),
        "gap/optimism": (0.1, None),
    }
    assert [row.value for row in client.get_metric_history(run.info.run_id, "val/loss")] == [1.5, 1.6]


def test_its_files_are_logged_once(registered: Any, logged: Any, model: Path) -> None:
    client, run, _ = registered
    theirs = place_of(logged.artifact_location)
    assert (theirs / "model" / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert not (theirs / "model" / "model.safetensors").is_symlink()
    of_run = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert of_run == {"config.yaml", "provenance.json", "metrics.json"}


def test_no_file_of_it_is_code_or_a_pickle(logged: Any) -> None:
    files = [path for path in place_of(logged.artifact_location).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {"", ".json", ".safetensors", ".txt", ".yaml"}
    assert [path.name for path in files if path.suffix == ""] == ["MLmodel"]
    assert [path for path in files if path.read_bytes()[:1] == b"\x80" or path.read_bytes()[:2] == b"PK"] == []


def test_the_version_has_an_alias_tags_and_a_description(registered: Any, logged: Any) -> None:
    client, run, _ = registered
    version = client.get_model_version_by_alias("mail sorter", "champion")
    assert (version.version, version.run_id, version.source) in [
        (number, run.info.run_id, logged.artifact_location) for number in ("1", 1)
    ]
    assert version.tags["hpsearch.study"] == "mail"
    assert version.tags["hpsearch.config"] == "c0ffee"
    assert version.description.startswith("The final training of trial 4's config: trained to its end, tested once.")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # of MLflow's own imports
def test_mlflow_loads_it_and_its_example_is_answered(logged: Any) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    place = str(place_of(logged.artifact_location))
    found = mlflow.pyfunc.load_model(place)
    answer = found.predict(found.input_example)
    assert list(answer.columns) == ["label", "probability", "probabilities"]
    assert sum(answer["probabilities"][0].values()) == pytest.approx(1)
    assert found.metadata.signature.inputs.input_names() == ["text"]
    assert found.metadata.get_serving_input(place) is not None
    with pytest.raises(MlflowException, match=r"row 1: text must be a text, not (None|nan)"):
        found.predict([{"text": "hello"}, {"text": None}])


def test_a_later_version_takes_the_alias_only_if_it_is_asked_to(home: Path, model: Path, registered: Any) -> None:
    client, _, _ = registered
    assert str(finished(home, model, Registration("mail sorter")).registered) == "mail sorter version 2"
    assert str(client.get_model_version_by_alias("mail sorter", "champion").version) == "1"
    third = finished(home, model, Registration("mail sorter", "champion")).registered
    assert str(third) == "mail sorter version 3, alias champion"
    assert str(client.get_model_version_by_alias("mail sorter", "champion").version) == "3"


def test_what_failed_is_tried_again_without_a_second_model(
    home: Path, model: Path, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was lost after the version was made."""
    client, _, _ = registered
    real, lost = registry.register, []

    def register(*arguments: Any, **options: Any) -> Any:
        found = real(*arguments, **options)
        if not lost:
            lost.append(found)
            raise ConnectionError("the answer is lost")
        return found

    monkeypatch.setattr(registry, "register", register)
    final = finished(home, model, Registration("twice"), study="twice")
    assert str(final.registered) == "twice version 1, alias champion"
    assert len(client.search_model_versions("name = 'twice'")) == 1
    assert len(client.get_run(final.run_id).outputs.model_outputs) == 1


def test_files_of_an_unknown_kind_are_registered_without_a_way_to_serve_them(home: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"1234")
    final = finished(home, tmp_path, Registration("other"), study="other")
    assert str(final.registered) == "other version 1, alias champion"
    import yaml

    store = Store(home, None)
    store.prepare()
    version = store.client.get_model_version("other", "1")
    place = place_of(version.source)
    store.close()
    assert (place / "model" / "weights.bin").read_bytes() == b"1234"
    assert yaml.safe_load((place / "MLmodel").read_text())["flavors"] == {}


def test_a_training_that_wrote_no_model_is_not_registered(home: Path, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    said: list[str] = []
    final = FinalRun(home, None, "empty", say=said.append)
    final.start(CONFIG, {})
    final.finish(TESTED, tmp_path, registration=Registration("none"), timeout=600)
    assert final.registered is None
    assert said == ["nothing is registered as none: the training has written no file of a model"]


@pytest.mark.parametrize("name", ["a/b", "a:b", " ", "", "..", "x" * 257])
def test_a_name_that_mlflow_refuses_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"cannot register a model as .*: ") as raised:
        Registration(name)
    assert "\n" not in str(raised.value)
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_model_name

    if len(name) <= 256:  # the length is a limit of MLflow's tables
        with pytest.raises(MlflowException):
            _validate_model_name(name)


@pytest.mark.parametrize("alias", ["latest", "v2", "my alias", ""])
def test_an_alias_that_mlflow_refuses_is_one_line(alias: str) -> None:
    with pytest.raises(UserError, match=r"cannot give a model the alias .*: "):
        Registration("mail", alias)
    Registration("mail", "challenger-2")
