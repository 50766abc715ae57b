"""Which study a person means: by its name, or by the space file that names it."""

from __future__ import annotations

import os
from pathlib import Path

from hpsearch.errors import ConfigError, UserError


def study_named(space_or_study: str | Path) -> tuple[str, str | None]:
    """The study's name and its tracking URI, from a space file or from the name itself.

    Raises ConfigError for a file that cannot be read, with the name that it seems to give.
    """
    from hpsearch.document.document import study_in
    from hpsearch.space.experiment import Experiment
    from hpsearch.space.validation import wrong_study

    path = Path(space_or_study)
    if path.suffix in (".yaml", ".yml") or os.path.isfile(path):  # path.is_file() raises for a name that is too long
        try:
            experiment = Experiment.load(path)
        except ConfigError as error:
            raise ConfigError(f"{error}; the study's name would do, too: {study_in(path)}") from None
        return experiment.study, experiment.tracking.uri
    if reason := wrong_study(str(space_or_study)):
        raise UserError(f"neither a space file (.yaml) nor the name of a study: {reason}")
    return str(space_or_study), None
