"""Versions of a model in MLflow's registry: names, aliases, tags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpsearch.errors import UserError
from hpsearch.views.mlflow.rows import text

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FIRST_ALIAS = "champion"  # of the first version of a name, if no other is asked for
NAME_LENGTH, ALIAS_LENGTH = 256, 255  # columns of MLflow's tables
ALIAS = re.compile(r"[\w\-]+", re.ASCII)
RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)
VERSIONS = "mlflow.modelVersions"  # the tag of a logged model that its page reads
SECONDS = 60  # to wait until a registry has a version ready


@dataclass(frozen=True)
class Registration:
    """The name under which a model is registered, and the alias that its version gets.

    Without an alias the first version of a name becomes its champion; later ones leave the aliases as they are.
    """

    name: str
    alias: str | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a name or an alias that MLflow refuses."""
        if fault := _fault_of_name(self.name):
            raise UserError(f"cannot register a model as {self.name[:80]!r}: {fault}")
        if self.alias is not None and (fault := _fault_of_alias(self.alias)):
            raise UserError(f"cannot give a model the alias {self.alias[:80]!r}: {fault}")


@dataclass(frozen=True)
class Registered:
    """A version in the registry."""

    name: str
    version: int
    alias: str | None  # that it was given; None: the aliases are as they were

    @property
    def uri(self) -> str:
        """What MLflow loads it by."""
        return f"models:/{self.name}/{self.version}"

    def __str__(self) -> str:
        return f"{self.name} version {self.version}" + (f", alias {self.alias}" if self.alias else "")


def register(
    client: MlflowClient, wanted: Registration, model: Any, *, tags: Mapping[str, Any], description: str
) -> Registered:
    """Registers a logged model; a repeated call finds the version that the first one made. Raises what MLflow raises.

    The source is the place of the files: MLflow looks up `models:/ID` in the global tracking store, not in this one.
    """
    _ensure_name(client, wanted.name)
    found = _made_before(client, wanted.name, model)
    if found is None:
        found = client.create_model_version(
            wanted.name,
            model.artifact_location,
            run_id=model.source_run_id,
            tags={key: text(value) for key, value in tags.items()},
            description=description,
            model_id=model.model_id,
            await_creation_for=SECONDS,
        )
    version = int(found.version)
    client.set_logged_model_tags(model.model_id, {VERSIONS: json.dumps([{"name": wanted.name, "version": version}])})
    alias = wanted.alias or _first_alias(client, wanted.name, version)
    if alias is not None:
        client.set_registered_model_alias(wanted.name, alias, str(version))
    return Registered(wanted.name, version, alias)


def _first_alias(client: MlflowClient, name: str, version: int) -> str | None:
    """The alias of the first version, unless another version has it."""
    holder = client.get_registered_model(name).aliases.get(FIRST_ALIAS, version)
    return FIRST_ALIAS if version == 1 and int(holder) == 1 else None


def _ensure_name(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _made_before(client: MlflowClient, name: str, model: Any) -> Any | None:
    """The version of a name that this logged model has already."""
    found = client.search_model_versions(f"run_id = '{model.source_run_id}'")
    return next((one for one in found if one.name == name and one.source == model.artifact_location), None)


def _fault_of_name(name: str) -> str:
    """Why MLflow refuses the name of a model; empty if it does not."""
    if not name.strip():
        return "the name is empty"
    if "/" in name or ":" in name:
        return "MLflow allows no / and no : in it"
    if name == "." or name.startswith("..") or not name.isprintable():
        return "it must not be . nor begin with .., and have no control characters"
    return f"at most {NAME_LENGTH} characters are allowed" if len(name) > NAME_LENGTH else ""


def _fault_of_alias(alias: str) -> str:
    """Why MLflow refuses an alias; empty if it does not."""
    if not ALIAS.fullmatch(alias):
        return "letters, digits, _ and - are allowed"
    if RESERVED.fullmatch(alias):
        return "MLflow reserves latest and v1, v2, ..."
    return f"at most {ALIAS_LENGTH} characters are allowed" if len(alias) > ALIAS_LENGTH else ""
