"""The config of a training at a shorter horizon, as the trainer shortens and shifts it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pydantic import ValidationError

from hpsearch.config import Config
from hpsearch.document import validation_errors
from hpsearch.errors import ConfigError
from hpsearch.trainers import Trainer

LONGEST = 100  # characters of an answer in an error


def shortened(trainer: Trainer, config: Config, horizon: float, *, searched: Collection[tuple[str, str]]) -> Config:
    """Returns the config with what `Trainer.shortened` changes; raises ConfigError for an answer that is no config."""
    values, changes = config.model_dump(mode="json"), trainer.shortened(config, horizon, searched)
    for section, changed in changes.items():
        if not isinstance(values.get(section), dict) or not isinstance(changed, Mapping):
            said = f"{trainer.name}: shortened() returned {repr(changes)[:LONGEST]}"
            raise ConfigError(f"{said}; allowed: a mapping of sections to mappings of keys to values")
        values[section] = {**values[section], **changed}
    try:
        return trainer.config.model_validate(values)
    except ValidationError as error:
        fault = validation_errors.fault(error, values, trainer.config)
        raise ConfigError(f"{trainer.name}: shortened() returned a value that is not allowed: {fault}") from None
