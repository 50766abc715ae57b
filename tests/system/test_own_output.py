"""Which files a command replaces without being asked: those that it wrote itself."""

import json
from pathlib import Path

import pandas
import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.preflight.reference.schema import text_of
from hpsearch.system.own_output import (
    is_config,
    is_page,
    is_predictions,
    is_schema,
    is_table,
    refuse_other,
    with_checksum,
)

CONFIG = "study: toy\ntraining: {epochs: 3}\n"


def test_a_config_is_replaced_as_long_as_nobody_has_edited_it(tmp_path):
    path = tmp_path / "best.yaml"
    refuse_other(path, is_config, force=False)  # there is none
    path.write_text(with_checksum(CONFIG))
    refuse_other(path, is_config, force=False)
    path.write_text(path.read_text().replace("3", "4"))
    with pytest.raises(
        UserError, match=r"best\.yaml was edited since hpsearch wrote it; --force \(force=True\) replaces"
    ):
        refuse_other(path, is_config, force=False)
    refuse_other(path, is_config, force=True)
    path.write_text(with_checksum(CONFIG) + "# mine\n")
    with pytest.raises(UserError, match="was edited"):
        refuse_other(path, is_config, force=False)


def test_other_files_are_refused_and_empty_ones_and_devices_written(tmp_path):
    path = tmp_path / "best.yaml"
    path.write_text(CONFIG)
    for known in (is_config, is_page, is_schema, is_table, is_predictions):
        with pytest.raises(UserError, match=r"best\.yaml exists, and is not what this command writes; --force"):
            refuse_other(path, known, force=False)
        refuse_other(Path("/dev/null"), known, force=False)
    path.write_text("")
    refuse_other(path, is_page, force=False)


def test_the_tables_of_trials_are_known_by_their_columns(tmp_path):
    frame = pandas.DataFrame(
        [{"outcome": "completed", "value": 2.0, "seconds": 1.0, "epoch": 3.0, "mlflow_run_id": "a"}]
    )
    frame.index.name = "number"
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps({"study": "toy", "state": "finished"}, indent=1))
    assert all(is_table(tmp_path / f"a.{kind}") for kind in ("csv", "parquet", "json"))
    frame[["outcome"]].to_csv(tmp_path / "b.csv")
    frame[["outcome"]].to_parquet(tmp_path / "b.parquet")
    (tmp_path / "b.json").write_text('{"study": 3}')
    assert not any(is_table(tmp_path / f"b.{kind}") for kind in ("csv", "parquet", "json"))


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ({"text": "a", "completion": "b"}, True),
        ({"source": "a", "translation": "b"}, True),
        ({"text": "a", "label": "b", "probability": 1.0, "probabilities": {"b": 1.0}}, True),
        ({"text": "a", "label": "b"}, False),  # a file of examples
        ({"source": "a", "target": "b"}, False),
        ([1], False),
    ],
)
def test_predictions_are_told_from_examples(tmp_path, line, known):
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    assert is_predictions(tmp_path / "a.jsonl") is known


def test_the_schema_is_known(tmp_path):
    (tmp_path / "a.json").write_text(text_of(hpsearch.schema()))
    assert is_schema(tmp_path / "a.json")
