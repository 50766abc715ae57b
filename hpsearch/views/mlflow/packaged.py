"""A model directory as an MLflow model: its files under `model/`, beside them MLmodel, signature and input example.

The flavor is a python_function with a loader module: MLflow imports that module of the installed package to load the
files. So the artifacts hold no code and no pickle, which models from code and `python_model=` objects do.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hpsearch.views.mlflow.served_model import ServedModel

DATA = "model"  # the folder of the model's own files
REQUIREMENTS, PYTHON = "requirements.txt", "python_env.yaml"
EXAMPLE, REQUEST = "input_example.json", "serving_input_example.json"
PACKAGES = ("hpsearch", "mlflow")
LEFT_OUT = {"checkpoints", "run.json"}  # of a training that has not ended; what its run has


def package(folder: Path, into: Path, served: ServedModel | None, *, about: Mapping[str, Any]) -> None:
    """Writes MLflow's files into the empty folder `into`, and links to the model's own.

    served: None for a directory that MLflow can keep but not serve: it gets no flavor. about: the fields of an MLmodel
    that say where the model is from (model_id, run_id, artifact_path, metadata).
    """
    from mlflow.models import Model

    size = _link(folder, into / DATA)
    model = Model(**about, model_size_bytes=size)
    if served is not None:
        model.signature = _signature(served)
        model.saved_input_example_info = _write_example(served, into)
        _write_requirements(into)
        model.add_flavor("python_function", **_flavor(served.loader))
    model.save(str(into / "MLmodel"))


def _flavor(loader: str) -> dict[str, Any]:
    """The flavor as `mlflow.pyfunc.add_to_model` writes it; importing that module takes seconds, and warns."""
    return {"loader_module": loader, "python_version": _python(), "data": DATA, "env": {"virtualenv": PYTHON}}


def _link(folder: Path, into: Path) -> int:
    """Links every file of a folder; returns their bytes. An upload follows the links: nothing is copied twice."""
    size = 0
    for path in _files(folder):
        place = into / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path.resolve())
        size += path.stat().st_size
    return size


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        left_out = LEFT_OUT if Path(place) == folder else set()
        folders[:] = [name for name in folders if name not in left_out]
        yield from (Path(place, name) for name in sorted(names) if name not in left_out)


def _signature(served: ServedModel) -> Any:
    """MLflow's signature of the columns and params."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Map

    kinds: dict[str, Any] = {"string": DataType.string, "double": DataType.double, "map": Map(DataType.double)}
    numbers = {int: DataType.long, float: DataType.double}
    inputs: list[Any] = [ColSpec(DataType.string, name, required=needed) for name, needed in served.inputs.items()]
    outputs: list[Any] = [ColSpec(kinds[kind], name, required=served.always) for name, kind in served.outputs.items()]
    specs = [ParamSpec(name, numbers[type(value)], value) for name, value in served.params.items()]
    params: Any = ParamSchema(specs) if specs else None
    return ModelSignature(Schema(inputs), Schema(outputs), params)


def _write_example(served: ServedModel, into: Path) -> dict[str, Any]:
    """Writes the input example, and the same as a request; returns what MLmodel says of them."""
    columns = list(served.inputs)
    table = {"columns": columns, "data": [[row[name] for name in columns] for row in served.example]}
    (into / EXAMPLE).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    (into / REQUEST).write_text(json.dumps({"dataframe_split": table}, ensure_ascii=False, indent=2), encoding="utf-8")
    place = {"artifact_path": EXAMPLE, "serving_input_path": REQUEST}
    return {**place, "type": "dataframe", "pandas_orient": "split"}


def _write_requirements(into: Path) -> None:
    """Writes what must be installed to serve it; `--env-manager local` takes what is there."""
    lines = [f"{name}=={metadata.version(name)}\n" for name in PACKAGES]
    (into / REQUIREMENTS).write_text("".join(lines), encoding="utf-8")
    environment = f"python: '{_python()}'\nbuild_dependencies:\n- pip\ndependencies:\n- -r {REQUIREMENTS}\n"
    (into / PYTHON).write_text(environment, encoding="utf-8")


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))
