"""A study's name, from the name itself or from a space file; its experiment, from its journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import ConfigError, UserError
from hpsearch.journal.history import History

if TYPE_CHECKING:
    from hpsearch.space.experiment import Experiment  # not needed by `load`, which is to be fast


def study_named(space_or_study: str | Path) -> tuple[str, str | None]:
    """Returns the study's name and, if a space file sets one, its tracking URI.

    Raises ConfigError for a file that cannot be read, naming the study that it seems to describe.
    """
    from hpsearch.document.document import study_in
    from hpsearch.space.experiment import Experiment
    from hpsearch.space.validation import wrong_study

    path = Path(space_or_study)
    if path.suffix in (".yaml", ".yml") or os.path.isfile(path):  # path.is_file() raises for a very long name
        try:
            experiment = Experiment.load(path)
        except ConfigError as error:
            raise ConfigError(f"{error}; the study's name works as well: {study_in(path)}") from None
        return experiment.study, experiment.tracking.uri
    if reason := wrong_study(str(space_or_study)):
        raise UserError(f"neither a space file (.yaml) nor the name of a study: {reason}")
    return str(space_or_study), None


def recorded(history: History, folder: Path) -> Experiment:
    """The experiment of a study as its journal has it; `folder`: where the study is now."""
    from hpsearch.home.home import base_of
    from hpsearch.space.experiment import Experiment

    value = {key: found for key, found in history.origin.experiment.items() if found is not None}
    return Experiment.of(value, base=base_of(history, folder), study=history.study)
