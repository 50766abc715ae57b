"""The whole space file with values for its ranges: the sections of every trainer, and a trainer's own."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import Field, create_model, field_validator, model_validator

from hpsearch.config import Config, Section
from hpsearch.output.redaction import HIDDEN, NO_PASSWORDS, url_with_password
from hpsearch.output.webhook import ALLOWED, wrong_url
from hpsearch.space.budget import Budget
from hpsearch.space.resources import Resources
from hpsearch.space.search import Search
from hpsearch.trainers import DEFAULT


class Tracking(Section):
    """Where MLflow keeps the runs."""

    uri: str | None = Field(
        None,
        description=(
            "an MLflow server; if left out, SQLite in the home. Put its password into the environment, not into "
            "the file"
        ),
        examples=["http://127.0.0.1:5000"],
    )

    @field_validator("uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri is not None and url_with_password(uri) is not None:
            raise ValueError(NO_PASSWORDS)
        return uri


class Settings(Config):
    """The whole space file with values for its ranges; `settings_of` adds a trainer's sections."""

    study: str | None = Field(
        None,
        description="the study's name: letters, digits, `.`, `_`, `-`, at most 100; if left out, the file's name",
        examples=["reviews"],
    )
    trainer: str = Field(
        DEFAULT,
        description=(
            "`causal_lm`: hpsearch's own language models; `huggingface`: those of transformers, also chosen by "
            "`model.pretrained`; or `python:package.module:Class` (see A trainer of your own). It is "
            "part of the study's identity"
        ),
        examples=["python:polynomial:Polynomial"],
    )
    base: str | None = Field(
        None,
        description="the folder for relative data paths, itself relative to the file; if left out, the file's folder",
        examples=["../data"],
    )
    budget: Budget = Budget()
    search: Search = Search()
    tracking: Tracking = Tracking()
    resources: Resources = Resources()
    notify: str | None = Field(
        None,
        exclude=True,  # a secret: it is stored nowhere
        repr=False,
        examples=["https://hooks.slack.com/services/T0/B0/xxxx"],
        description="the URL of a webhook (http or https), which gets a JSON message when the search ends, fails or is "
        "stopped, and when a loss first diverges; if left out, `HPSEARCH_NOTIFY` of the environment. The URL is a "
        "secret: it is stored nowhere, and is not part of a study's identity",
    )
    provenance: dict[str, Any] = Field(default_factory=dict, description="what `export` records; a run ignores it")

    @field_validator("notify", mode="before")
    @classmethod
    def _webhook(cls, raw: Any) -> Any:
        """Reads the mark of a removed URL, as in a study's own copy of the file, as left out; never shows the value."""
        if raw is None or raw == HIDDEN:
            return None
        if reason := wrong_url(raw) if isinstance(raw, str) else ALLOWED:
            raise ValueError(reason)
        return raw

    @model_validator(mode="before")
    @classmethod
    def _sections_may_be_left_out(cls, raw: Any) -> Any:
        """Reads a key without a value (`budget:`) as left out."""
        return {key: value for key, value in raw.items() if value is not None} if isinstance(raw, dict) else raw


@cache
def settings_of(kind: type[Config]) -> type[Settings]:
    """The settings of a space whose trainer has this config; raises ValueError for a section with a reserved name."""
    ours = [name for name in kind.model_fields if name in Settings.model_fields and name not in Config.model_fields]
    if ours:
        raise ValueError(f"its section '{ours[0]}' has the name of a key of every space file; choose another")
    return create_model("Settings", __base__=(Settings, kind))  # type: ignore[arg-type]  # both are the same Config
