"""`hpsearch.load`: a study and its trials as values, read from the journal, also during the search."""

from __future__ import annotations

import html
import operator
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import hpsearch.home.home as homes
from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import recorded, study_named
from hpsearch.api.tables import table
from hpsearch.api.trial import HEADS, Trial, trial_of
from hpsearch.errors import UserError
from hpsearch.home.home import Home
from hpsearch.journal.confirmation import Confirmation
from hpsearch.journal.history import History
from hpsearch.journal.study_lock import is_locked
from hpsearch.output.digits import digits
from hpsearch.policies import choice
from hpsearch.policies.choice import Choice
from hpsearch.results.evidence.pruning_audit import Audit, audit_of
from hpsearch.system.own_output import is_config, refuse_other
from hpsearch.trainers import ScaleUp, trainer_name
from hpsearch.trainers import load as load_trainer
from hpsearch.views.mlflow.store import run_ids


class Curve(NamedTuple):
    """A metric over the evaluations of a trial: `plt.plot(*study.curve(3))`."""

    x: list[float]
    values: list[float]


@dataclass(frozen=True)
class Study:
    """A study, as its journal was when it was loaded."""

    name: str
    metric: str  # the objective
    direction: str  # minimize or maximize
    trials: tuple[Trial, ...] = field(repr=False)  # by number
    best: Trial | None  # so far, trials that have not ended included; None: no trial has a finite value
    seconds: float  # of searching, over all runs
    folder: Path
    is_running: bool  # a process is searching it
    history: History = field(repr=False, compare=False)  # the content of the journal
    repeats: tuple[Trial, ...] = field(default=(), repr=False)  # of the best trials, with fresh seeds
    audits: tuple[Trial, ...] = field(default=(), repr=False)  # of stopped trials, to their end

    @property
    def confirmation(self) -> Confirmation | None:
        """The best trials ranked by their fresh seeds; None if the best trial has not been trained again."""
        return self.history.confirmation

    @property
    def audit(self) -> Audit | None:
        """What the trials that were stopped early would have come to; None if none was audited."""
        return audit_of(self.history)

    @property
    def device_hours(self) -> float:
        """Hours in which a device was held for trials, over all devices and runs: what `budget.device_hours` counts."""
        return self.history.device_seconds / 3600

    @property
    def default(self) -> Trial | None:
        """The trial of the default config, which the winner is compared with; None if the study has none."""
        found = self.history.default()
        return None if found is None else self._trial(found.number)

    @property
    def baselines(self) -> list[dict[str, Any]]:
        """The baselines of the data: the name, the metrics, the note and the seconds of each."""
        return deepcopy(self.history.baselines)

    def __repr__(self) -> str:
        best = "none yet"
        if self.best is not None and self.best.value is not None:
            best = f"trial {self.best.number}, {self.metric} {digits(self.best.value)}"
        return f"<Study {self.name!r}: {len(self.trials)} trials, best: {best}>"

    def dataframe(self) -> Any:
        """The trials as a pandas DataFrame: a row per trial; `metrics.NAME` at the best evaluation."""
        import pandas

        rows = [trial.row() for trial in self.trials]
        return pandas.DataFrame(rows, index=pandas.Index([t.number for t in self.trials], name="number"))

    def curve(self, trial: int | Trial, metric: str | None = None, *, x: str = "epoch") -> Curve:
        """Returns a metric (default: the objective) over epoch, step, tokens, progress or index of each evaluation.

        Raises UserError for an unknown trial, metric or x.
        """
        found, name = self._trial(trial), metric or self.metric
        if x not in AXES:
            raise UserError(f"x: {x!r} is not allowed; allowed: {', '.join(AXES)}")
        measured = [e for e in found.evaluations if name in e.metrics]
        if found.evaluations and not measured:
            known = ", ".join(sorted({name for e in found.evaluations for name in e.metrics}))
            raise UserError(f"trial {found.number} has no metric {name!r}; it has: {known}")
        return Curve([float(getattr(e, x)) for e in measured], [e.metrics[name] for e in measured])

    def config(self, trial: int | Trial) -> dict[str, Any]:
        """Returns the training config of a trial with its whole schedule; raises UserError for an unknown trial."""
        return deepcopy(self.history.trials[self._trial(trial).number].config)

    def export(
        self,
        path: str | Path = "best.yaml",
        *,
        cheapest: bool = False,
        trial: int | Trial | None = None,
        force: bool = False,
    ) -> Path:
        """Writes a trial as a config for `hpsearch.train`: the winner, or another one.

        cheapest: of the trials within two sigma of the best, the one that costs least to train. trial: this one, if it
        was audited as its audit trained it to its end. force: replace a file that hpsearch did not write, or that was
        edited since. Raises UserError for such a file otherwise, if no trial has a value yet, or for both of these.
        """
        from hpsearch.final import best

        refuse_other(Path(path), is_config, force=force)
        chosen = self._chosen(cheapest, trial)
        number = choice.winner(self.history).number if chosen is None else chosen.trial.number
        base, run_id = homes.base_of(self.history, self.folder), self.trials[number].mlflow_run_id
        best.write(self.history, Path(path), base=base, run_id=run_id, choice=chosen)
        return Path(path)

    def scale_up(
        self,
        to: Mapping[str, Any],
        path: str | Path | None = None,
        *,
        cheapest: bool = False,
        trial: int | Trial | None = None,
        force: bool = False,
    ) -> ScaleUp:
        """Returns what a larger training than the winner's is to have, by published rules; they are no measurements.

        to: some of width, n_layers, n_heads, context, tokens, epochs, batch_size, as in `{"width": 1024, "tokens":
        2e9}`; tokens with epochs: of larger data. path: write the config for `hpsearch.train` there, too. cheapest,
        trial, force: as for `export`. Raises UserError for a target that is wrong, and if the trainer has no rules.
        """
        from hpsearch.final import larger

        if path is not None:
            refuse_other(Path(path), is_config, force=force)
        if not isinstance(to, Mapping) or not to or not all(isinstance(key, str) for key in to):
            raise UserError(f"to: {to!r} is not allowed; allowed: a mapping, as in {{'width': 1024, 'tokens': 2e9}}")
        plain = {key: value.item() if hasattr(value, "item") else value for key, value in to.items()}  # NumPy's numbers
        chosen, base = self._chosen(cheapest, trial), homes.base_of(self.history, self.folder)
        start = choice.winner(self.history) if chosen is None else chosen.trial
        trainer, space = (
            load_trainer(trainer_name(self.history.origin), base),
            recorded(self.history, self.folder).space,
        )
        searched = {space.field_of(name) for name in start.params if name in space.params}
        found = larger.scale_up(self.history, trainer, plain, searched=searched, choice=chosen)
        if path is not None:
            run_id = self.trials[start.number].mlflow_run_id
            larger.write(found, self.history, trainer, Path(path), base=base, run_id=run_id, choice=chosen)
        return found

    def _chosen(self, cheapest: bool, trial: int | Trial | None) -> Choice | None:
        """The trial to export; None for the winner."""
        if cheapest and trial is not None:
            raise UserError("cheapest and trial: only one of the two is allowed")
        if trial is not None:
            return choice.numbered(self.history, _number(trial))
        return choice.cheapest(self.history) if cheapest else None

    def trial(self, number: int) -> Trial:
        """The trial of a number; raises UserError for an unknown one."""
        return self._trial(number)

    def _trial(self, trial: int | Trial) -> Trial:
        number = _number(trial)
        found = next((trial for trial in self.trials if trial.number == number), None)
        if found is None:
            there = f"it has 0 to {len(self.trials) - 1}" if self.trials else "it has none yet"
            raise UserError(f"study '{self.name}' has no trial {number!r}; {there}")
        return found

    def _repr_html_(self) -> str:
        rows = [t.cells(mark=self.best is not None and t.number == self.best.number) for t in self.trials]
        heading = html.escape(f"{self.name}: {self.metric}, {self.direction}")
        return f"<b>{heading}</b>" + table(HEADS, rows)


def _number(trial: int | Trial) -> int:
    """The number of a trial; raises UserError for what is none."""
    if isinstance(trial, Trial):
        return trial.number
    check_arguments(trial=trial)
    return operator.index(trial)


AXES = ("epoch", "step", "tokens", "progress", "index")


def load(study: str | Path, *, home: str | Path = "mlruns", curves: bool = True) -> Study:
    """Loads a study, given its name or its space file.

    It reads the journal only, so it works during a search and does not wait for MLflow. curves: with all evaluations;
    False is twice as fast, and trials that have ended then have only their best evaluation.
    Raises UserError if the home has no such study.
    """
    check_arguments(study=study, home=home)
    name, _ = study_named(study)
    at = Home.at(Path(home))
    history = homes.history_of(at, name, curves=curves, space=study)
    folder = at.study(name)
    is_running, runs = is_locked(folder / "lock"), run_ids(at.path, name)
    for trial in history.everything.values():
        trial.running = trial.running and is_running  # a killed driver leaves its trials marked as running
    trials = tuple(trial_of(history, trial, runs) for _, trial in sorted(history.trials.items()))
    leader = history.leader()
    return Study(
        name=history.study,
        metric=history.metric,
        direction=history.direction,
        trials=trials,
        best=next((trial for trial in trials if leader is not None and trial.number == leader.number), None),
        seconds=history.seconds,
        folder=folder,
        is_running=is_running,
        history=history,
        repeats=tuple(trial_of(history, one, runs) for _, one in sorted(history.repeats.items()) if not one.audits),
        audits=tuple(trial_of(history, one, runs) for one in history.audits.values()),
    )
