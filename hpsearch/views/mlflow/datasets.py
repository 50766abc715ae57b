"""The data sets of a study as MLflow's dataset entities, one for each split, by which the UI filters runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from hpsearch.views.mlflow.rows import PARAM_LENGTH

SPLITS = ("train", "valid", "test")
SEARCHED = ("train", "valid")  # what a trial sees
CONTEXT = "context"  # key of an input that is no field of MLflow's Dataset
SOURCES = ("task", "files", "dataset", "source")  # of a set's section in the config: what says where it is from
COLUMNS = {  # task -> keys of its section that name columns
    "text": ("text",),
    "translation": ("source", "target"),
    "classification": ("text", "label"),
}
DIGEST = 16  # characters of a data set's fingerprint; MLflow takes 36
NAME_LENGTH = 480  # characters of a set's name; MLflow takes 500 with the split


def dataset_inputs(
    data: Mapping[str, Any], config: Mapping[str, Any] | None, splits: Collection[str] = SPLITS
) -> list[dict[str, str]]:
    """The splits of each data set as MLflow describes them: name, digest, source, schema, sizes, context.

    data: the facts that a trainer's `prepare` returns; config: the section `data`. The digest is the beginning of the
    set's fingerprint, which all splits share; the name is SET/SPLIT.
    """
    contents, sets = data.get("contents") or {}, data.get("sets") or {}
    found = []
    for name, counts in sets.items():
        section = (config or {}).get(name)
        section = section if isinstance(section, Mapping) else {}
        digest = str(contents.get(name) or data.get("fingerprint") or "")[:DIGEST]
        for split in (split for split in splits if isinstance(counts.get(split), Mapping)):
            fields = {"name": entity(name, split), "digest": digest, "source_type": "local", CONTEXT: split}
            described = {"source": _source(section, split), "profile": counts[split]}
            fields |= {key: json.dumps(value, ensure_ascii=False)[:PARAM_LENGTH] for key, value in described.items()}
            found.append(fields | _schema(section))
    return found


def entity(name: str, split: str) -> str:
    """The name of the entity of a set's split."""
    return f"{name[:NAME_LENGTH]}/{split}"


def of_metric(metric: str, inputs: Collection[Mapping[str, str]]) -> Mapping[str, str] | None:
    """The data set that a metric was measured on: test/SET/bleu, or test/bleu where there is one set alone."""
    kind, *rest = metric.split("/")
    split = {"val": "valid", "test": "test"}.get(kind)
    of_split = [one for one in inputs if one[CONTEXT] == split]
    if len(rest) > 1:
        return next((one for one in of_split if one["name"] == entity("/".join(rest[:-1]), str(split))), None)
    return of_split[0] if len(of_split) == 1 else None


def _source(section: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Where a split is from: the keys of its section that say so, the file of this split alone."""
    found = {key: section[key] for key in SOURCES if section.get(key) is not None}
    files = found.get("files")
    if isinstance(files, Mapping):
        found["files"] = {split: files[split]} if files.get(split) is not None else files
    return found


def _schema(section: Mapping[str, Any]) -> dict[str, str]:
    """The columns that are read, as MLflow's pages show them; nothing for a task of the user's own."""
    keys = COLUMNS.get(section.get("task", ""), ())
    columns = list(dict.fromkeys(name for key in keys for name in _columns(section.get(key) or key)))
    specs = [{"type": "string", "name": name, "required": True} for name in columns]
    return {"schema": json.dumps({"mlflow_colspec": specs}, ensure_ascii=False)} if specs else {}


def _columns(column: Any) -> Iterator[str]:
    """The names of a column, or of several that are joined."""
    yield from column if isinstance(column, list | tuple) else [str(column)]
