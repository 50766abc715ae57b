"""`hpsearch.rename`: gives a study another name, everywhere."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.api.study import Study, load
from hpsearch.home import renaming
from hpsearch.home.home import Home
from hpsearch.views.follower import Say


def rename(study: str | Path, new: str, *, home: str | Path = "mlruns", say: Say = lambda line: None) -> Study:
    """Gives a study another name: its folder, its journal, its MLflow experiment and runs, its Optuna study.

    Returns the study, which resumes as if it had always had the name; its space file must say the new name for that
    (`study: NEW`, or run(space, study=NEW)). A crash leaves what the same call finishes; until then the study cannot be
    run. say: called with what the databases say.

    Raises UserError for an unknown study, and for a name that is not allowed or taken; StudyBusy while it is running;
    HpsearchError if a database cannot be written.
    """
    check_arguments(study=study, home=home)
    renaming.rename(Home.at(Path(home)), former_name(study), str(new), say=say)
    return load(str(new), home=home)


def former_name(study: str | Path) -> str:
    """The name of the study to be renamed."""
    return study_named(study)[0]
