"""`hpsearch.delete`: deletes studies with all that belongs to them."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.errors import UserError
from hpsearch.home import deletion
from hpsearch.home.deletion import Deletion
from hpsearch.home.home import Home
from hpsearch.views.follower import Say


def delete(
    *studies: str | Path, home: str | Path = "mlruns", keep_mlflow: bool = False, say: Say = lambda line: None
) -> tuple[Deletion, ...]:
    """Deletes studies: their files, their MLflow runs, their rows in the Optuna database, data that only they use.

    It does not ask. studies: names or space files; none is touched if one of them is unknown or running. keep_mlflow:
    the runs stay in MLflow. say: called with lines about what stays. A crash leaves what the same call deletes; until
    then no study can have that name. Returns what was deleted.

    The space files, exported configs and models elsewhere, and the record of tests (tests.jsonl) stay. Raises UserError
    for an unknown study and one whose model is registered in MLflow, StudyBusy for a running one, HpsearchError if a
    store cannot be reached: the rest is deleted.
    """
    plans = to_delete(studies, home)
    for plan in plans:
        deletion.refuse_registered(plan, keep_mlflow=keep_mlflow)
    for plan in plans:
        deletion.delete(Home.at(Path(home)), plan.study, keep_mlflow=keep_mlflow, say=say)
    return plans


def to_delete(studies: tuple[str | Path, ...], home: str | Path) -> tuple[Deletion, ...]:
    """What `delete` would delete; raises what it raises before it changes anything."""
    if not studies:
        raise UserError("name the studies to delete")
    for study in studies:
        check_arguments(study=study, home=home)
    at = Home.at(Path(home))
    return tuple(deletion.planned(at, name) for name in dict.fromkeys(study_named(study)[0] for study in studies))
