"""The study in an Optuna database, for optuna-dashboard and scripts; the search never reads it.

It is HOME/optuna.db, or the PostgreSQL database that HPSEARCH_OPTUNA_URL names, which several homes may share.

Numeric choices are stored by value, not by the index that the sampler sees. An update of a trial adds what the database
lacks; repeating it changes nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import HpsearchError
from hpsearch.journal import Entry, iterate
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.system.file_lock import locked
from hpsearch.views import postgres, sqlite
from hpsearch.views.follower import BUSY, Say, describe, describe_loss

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

IDENTITY = "hpsearch.created"  # user attribute of the study
ORIGIN = "hpsearch.home"  # user attribute, on a server: the home of the study
TIMES = ("datetime_start", "datetime_complete")  # of a trial
NOTE = "hpsearch:shipped"  # system attribute: bytes of the journal that the database has


class OptunaView:
    """Writes one study's trials to the Optuna database."""

    name = "optuna"

    def __init__(self, study_folder: Path, home: Path, *, say: Say = lambda message: None) -> None:
        self.state: dict[str, Any] = {}  # study: its id in the database; created
        self._folder, self._file, self._say = study_folder, home / "optuna.db", say
        self._history = History()
        self._url, self._mark = postgres.address(), postgres.home_mark(home)
        self._storage: RDBStorage | None = None
        self._identity: tuple[int, int] | None = None  # of the open file
        self._ids: dict[int, int] = {}  # trial number -> id in the database

    def prepare(self) -> None:
        """Connects; creates the file, or the tables on a server, if missing (0.5 s)."""
        if self._storage is not None:
            return
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self._url is None:
            self._prepare_file()
        else:
            name = postgres.session_name(self._mark, self._folder.name)
            postgres.end_former_sessions(self._url, name)
            self._storage = server_storage(self._url, name)

    def _prepare_file(self) -> None:
        """Opens the file, one process at a time."""
        with locked(self._file.parent / ".views.lock", timeout=120, busy=BUSY):
            found = sqlite.ensure_intact(self._file, lambda path: release(file_storage(path)))
            self._identity = sqlite.identity(self._file)
            self._storage = file_storage(self._file)
        if lost := describe_loss(found, self._file, name=self.name, study=self._folder.name):
            self._say(lost)

    def open(self, state: dict[str, Any]) -> int | None:
        """Continues from `state`; returns the offset noted in the database, None if the database has lost the study."""
        self.state, self._ids, self._history = dict(state), {}, History()
        if "study" not in state:
            return 0
        try:
            attributes = self.storage.get_study_user_attrs(state["study"])
        except KeyError:
            return None
        if attributes.get(IDENTITY) != state["created"]:
            return None
        self._ids = {t.number: t._trial_id for t in self.storage.get_all_trials(state["study"], deepcopy=False)}
        self._history = History.of(iterate(self._folder / "journal.jsonl"))
        return int(self.storage.get_study_system_attrs(state["study"]).get(NOTE, 0))

    def note(self, offset: int) -> None:
        """Writes the journal offset into the database."""
        if "study" in self.state:
            self.storage.set_study_system_attr(self.state["study"], NOTE, offset)

    def abandon(self) -> list[int]:
        """Marks running trials as WAITING, since the study has no driver; returns these trials."""
        from optuna.trial import TrialState

        found = self.storage.get_all_trials(self.state["study"], deepcopy=False, states=(TrialState.RUNNING,))
        trials = (self._history.trials.get(t.number, lost_trial(t.number)) for t in found)
        running = [trial for trial in trials if not trial.paused]
        for trial in running:
            trial.running = False
            self._update(trial)
        return sorted(trial.number for trial in running)

    def gone(self) -> bool:
        """Whether the file was deleted or replaced since it was opened."""
        return self._url is None and sqlite.identity(self._file) != self._identity

    def ship(self, events: list[Entry]) -> None:
        """Updates the trials of the events; raises what the database raises."""
        touched: set[int] = set()
        for event in events:
            self._history.add(event)
            if event["event"] == "study_created":
                self._study(event)
            elif event["event"].startswith("driver_"):  # trials that ran have lost their worker
                touched |= {number for number, trial in self._history.trials.items() if trial.outcome is None}
            elif event.get("trial") in self._history.trials:  # not a repeat: optuna-dashboard would name it the best
                touched.add(event["trial"])
        for number in sorted(touched):
            self._update(self._history.trials[number])

    def caught_up(self) -> bool:
        """Returns False: nothing is deferred."""
        return False

    def close(self) -> None:
        """Closes the database."""
        storage, self._storage = self._storage, None
        if storage is not None:
            release(storage)

    def describe(self, error: Exception) -> str:
        """The error in one line; for a server, its own message and the variable that names it."""
        if self._url is None or isinstance(error, HpsearchError):
            return describe(error)
        return f"{describe(error.__cause__ or error)}; {postgres.VARIABLE} names the database"

    @property
    def storage(self) -> RDBStorage:
        if self._storage is None:
            raise RuntimeError("call prepare() first")
        return self._storage

    def _study(self, event: Entry) -> None:
        from optuna.exceptions import DuplicatedStudyError
        from optuna.study import StudyDirection

        direction = StudyDirection.MINIMIZE if self._history.direction == "minimize" else StudyDirection.MAXIMIZE
        try:
            study = self.storage.create_new_study([direction], event["study"])
        except DuplicatedStudyError:
            study = self.storage.get_study_id_from_name(event["study"])
            if not self._is_this(study, event):
                self.storage.delete_study(study)  # a former study of the same name
                study = self.storage.create_new_study([direction], event["study"])
        if self._url is not None:  # first: it says whose study this is
            self.storage.set_study_user_attr(study, ORIGIN, self._mark)
        self.storage.set_study_user_attr(study, IDENTITY, event["time"])
        names = [self._history.metric]
        self.storage.set_study_system_attr(study, "study:metric_names", names)  # as set_metric_names does
        self.state = {"study": study, "created": event["time"]}
        self._ids = {t.number: t._trial_id for t in self.storage.get_all_trials(study, deepcopy=False)}

    def _is_this(self, study: int, event: Entry) -> bool:
        """Whether a study of this name in the database is this one; raises HpsearchError if it is someone else's."""
        found = self.storage.get_study_user_attrs(study)
        if self._url is not None and found.get(IDENTITY) != event["time"] and found.get(ORIGIN) != self._mark:
            of = f"the home {found[ORIGIN]}" if ORIGIN in found else "another program"
            if ORIGIN in found or IDENTITY in found or self.storage.get_n_trials(study):
                raise HpsearchError(
                    f"the database that {postgres.VARIABLE} names has a study '{event['study']}' of {of}, which is "
                    f"not changed: rename this study, or set {postgres.VARIABLE} to another database"
                )
        return bool(found.get(IDENTITY, event["time"]) == event["time"])

    def _update(self, trial: TrialHistory) -> None:
        if trial.number not in self._ids:
            self._add(trial)
            return
        trial_id = self._ids[trial.number]
        stored, wanted = self.storage.get_trial(trial_id), frozen_trial(self._history, trial)
        if stored.state.is_finished():
            self._set_times(trial_id, stored, wanted)
            return
        for index, value in wanted.intermediate_values.items():
            if index not in stored.intermediate_values:
                self.storage.set_trial_intermediate_value(trial_id, index, value)
        for name, value in wanted.user_attrs.items():
            if stored.user_attrs.get(name) != value:
                self.storage.set_trial_user_attr(trial_id, name, value)
        if stored.state != wanted.state:
            self.storage.set_trial_state_values(trial_id, wanted.state, wanted.values)
            self._set_times(trial_id, self.storage.get_trial(trial_id), wanted)

    def _set_times(self, trial_id: int, stored: Any, wanted: Any) -> None:
        """Stores when the trial started and ended: Optuna stores the time of the call, which may be hours later."""
        from sqlalchemy import DateTime, column, table, update

        times = {name: getattr(wanted, name) for name in TIMES}
        if times != {name: getattr(stored, name) for name in TIMES}:
            trials = table("trials", column("trial_id"), *(column(name, DateTime) for name in TIMES))
            with self.storage.engine.begin() as connection:
                connection.execute(update(trials).where(trials.c.trial_id == trial_id).values(times))

    def _add(self, trial: TrialHistory) -> None:
        """Creates the trial under its own number, and before it any missing ones (FAIL if the journal lost them)."""
        for number in range(len(self._ids), trial.number):
            other = self._history.trials.get(number, lost_trial(number))
            self._ids[number] = self.storage.create_new_trial(self.state["study"], frozen_trial(self._history, other))
        self._ids[trial.number] = self.storage.create_new_trial(self.state["study"], frozen_trial(self._history, trial))


def remove(home: Path, study: str, created: float | None) -> None:
    """Deletes a study from the Optuna database; does nothing if it is gone, or on a server another home's.

    created: the time of its creation; None: unknown. Raises what the database raises.
    """
    with _existing(home) as view, contextlib.suppress(KeyError):
        if view is not None:
            known = view.storage.get_study_id_from_name(study)
            if view._url is None or view.storage.get_study_user_attrs(known).get(IDENTITY) == created:
                view.storage.delete_study(known)


def check_name(home: Path, new: str) -> None:
    """Raises HpsearchError if the Optuna database has a study of this name; raises what the database raises."""
    with _existing(home) as view:
        if view is not None and new in {one.study_name for one in view.storage.get_all_studies()}:
            raise HpsearchError(f"the Optuna database has a study '{new}' already; choose another name")


def rename(home: Path, study: str, new: str, created: float) -> None:
    """Gives a study another name in the Optuna database; does nothing if it has that name, or is not there."""
    from sqlalchemy import column, table, update

    with _existing(home) as view:
        ids = {} if view is None else {one.study_name: one for one in view.storage.get_all_studies()}
        if view is not None and study in ids and ids[study].user_attrs.get(IDENTITY) == created:
            studies = table("studies", column("study_id"), column("study_name"))
            with view.storage.engine.begin() as connection:
                known = studies.c.study_id == ids[study]._study_id
                connection.execute(update(studies).where(known).values(study_name=new))


def note(home: Path, study: int, offset: int) -> None:
    """Notes the offset in the study's rewritten journal; `study`: its id in the database."""
    with _existing(home) as view:
        if view is not None:
            view.storage.set_study_system_attr(study, NOTE, offset)


@contextlib.contextmanager
def _existing(home: Path) -> Iterator[OptunaView | None]:
    """The database of a home, if there is one."""
    view = OptunaView(home / "none", home)
    if view._url is None and not view._file.exists():
        yield None
        return
    with contextlib.closing(view):
        view.prepare()
        yield view


def file_storage(path: Path) -> RDBStorage:
    """Returns the Optuna storage in a file, created if missing."""
    from optuna.storages import RDBStorage

    return RDBStorage(sqlite.url(path), engine_kwargs={"connect_args": {"timeout": sqlite.BUSY_TIMEOUT}})


def server_storage(url: str, name: str) -> RDBStorage:
    """Returns the Optuna storage in a PostgreSQL database; creates missing tables."""
    from optuna.storages import RDBStorage

    connector = postgres.Connector(url, name)
    try:
        return RDBStorage(postgres.DIALECT, engine_kwargs={"creator": connector, "pool_pre_ping": True})
    except BaseException:
        connector.close()
        raise


def load() -> None:
    """Imports what a storage needs: seconds of a core."""
    import optuna.storages
    import optuna.study  # noqa: F401


def release(storage: RDBStorage) -> None:
    """Closes a storage's connections."""
    storage.remove_session()
    storage.engine.dispose()


def lost_trial(number: int) -> TrialHistory:
    """Returns a failed trial in place of one that the journal has lost: Optuna's numbers have no gaps."""
    return TrialHistory(number, outcome=Outcome.FAILED)


def frozen_trial(history: History, trial: TrialHistory) -> Any:
    """Returns the trial as an optuna FrozenTrial, params by value; interrupted is WAITING, paused is RUNNING."""
    from optuna.trial import FrozenTrial, TrialState

    from hpsearch.results.pictures import distributions, local_time

    known = distributions(history.space)
    params = {name: value for name, value in trial.params.items() if name in known}
    state = TrialState[trial.status.optuna_state]
    curve = zip(*trial.curve(history.metric, "index"), strict=True)
    return FrozenTrial(
        number=trial.number,
        trial_id=-1,  # set by the storage
        state=state,
        value=trial.value if trial.outcome and trial.outcome is not Outcome.FAILED else None,
        datetime_start=local_time(trial.asked),
        datetime_complete=local_time(trial.last) if state.is_finished() else None,
        params=params,
        distributions={name: known[name] for name in params},
        user_attrs=attributes(trial),
        system_attrs={},
        intermediate_values={int(index): value for index, value in curve},
    )


def attributes(trial: TrialHistory) -> dict[str, Any]:
    """Returns the user attributes of a trial: outcome, reason, attempt, device, best evaluation."""
    reason = trial.reason if trial.outcome else ""  # the reason of a pause would outlive the pause
    found = {"outcome": trial.outcome, "reason": reason, "attempt": trial.attempt, "device": trial.device}
    found["best_evaluation"] = json.dumps(asdict(trial.best)) if trial.best else None
    return {name: value for name, value in found.items() if value}
