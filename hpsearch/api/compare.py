"""`hpsearch.compare`: studies, or trials of one study, beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.api.study import Curve, Study, load
from hpsearch.api.trial import Trial
from hpsearch.errors import UserError
from hpsearch.home.comparison import Comparison, Contender, compared, progress
from hpsearch.home.home import Home, history_of
from hpsearch.journal.confirmation import finite

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class TrialComparison:
    """Trials of one study beside each other."""

    study: Study
    trials: tuple[Trial, ...]

    def curves(self) -> list[Curve]:
        """The objective of each trial over its epochs."""
        return [self.study.curve(trial) if trial.evaluations else Curve([], []) for trial in self.trials]

    def params(self) -> dict[str, list[Any]]:
        """Hyperparameters that differ -> the value in each trial; None: it has none."""
        read = [self.study.history.trial(trial.number).read_params for trial in self.trials]
        names = dict.fromkeys(name for params in read for name in params)
        found = {name: [params.get(name) for params in read] for name in names}
        return {name: values for name, values in found.items() if any(value != values[0] for value in values)}

    def metrics(self) -> dict[str, list[float | None]]:
        """Metrics at the best evaluation -> the value in each trial; None: it was not measured, or is not finite."""
        best = [{} if trial.best is None else trial.best.metrics for trial in self.trials]
        names = dict.fromkeys(name for found in best for name in found)
        return {name: [finite(found[name]) if name in found else None for found in best] for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data; numbers that are not finite become None."""
        trials = [
            {
                "number": trial.number,
                "outcome": trial.outcome,
                "value": trial.value,
                "epoch": trial.best.epoch if trial.best else None,
                "seconds": trial.seconds,
                "params": trial.params,
                "sampled_params": trial.sampled,
                "cut": trial.cut,
                "curve": {"epoch": curve.x, "value": [finite(value) for value in curve.values]},
            }
            for trial, curve in zip(self.trials, self.curves(), strict=True)
        ]
        found = {"study": self.study.name, "metric": self.study.metric, "direction": self.study.direction}
        return {**found, "trials": trials, "params": self.params(), "metrics": self.metrics()}


@overload
def compare(*studies: str | Path, home: str | Path = ..., trials: None = ...) -> Comparison: ...
@overload
def compare(*studies: str | Path, home: str | Path = ..., trials: Iterable[int]) -> TrialComparison: ...
def compare(
    *studies: str | Path, home: str | Path = "mlruns", trials: Iterable[int] | None = None
) -> Comparison | TrialComparison:
    """Compares studies with each other, or with `trials` the trials of these numbers of one study.

    studies: names, space files, or folders of studies, also of other homes. The comparison says what differs in their
    spaces, data and objectives, why values cannot be compared if they cannot, which winner is better or whether that is
    a tie, and the best values so far at equal numbers of trials and at equal device time. It reads journals only.

    Raises UserError for an unknown study or trial, and for too few of them.
    """
    for study in studies:
        check_arguments(study=study, home=home)
    if trials is not None:
        return _trials(studies, home, list(trials))
    if len(studies) < 2:
        raise UserError("a comparison needs two studies, or one and the numbers of some of its trials (trials)")
    folders = [_folder(study, Home.at(Path(home))) for study in studies]
    if twice := [str(folder) for folder in folders if folders.count(folder) > 1]:
        raise UserError(f"{twice[0]}: is named twice; a comparison needs two studies")
    return compared([_contender(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)])


def _contender(folder: Path, label: str) -> Contender:
    history = history_of(Home(folder.parent), folder.name, curves=False)
    return Contender(label, folder, history, progress(folder / JOURNAL))


def _folder(study: str | Path, home: Home) -> Path:
    """The folder of a study that is given by its name, space file or folder; raises UserError."""
    if os.path.isfile(Path(study) / JOURNAL):
        path = Path(os.path.normpath(study))
        return path if path.name not in ("", "..") else path.resolve()
    if os.path.isdir(study) and os.sep in str(study):
        raise UserError(f"{study}: is no study's folder: it has no {JOURNAL}")
    name, _ = study_named(study)
    history_of(home, name, curves=False, space=study)
    return home.study(name)


def _labels(folders: Sequence[Path]) -> list[str]:
    """The studies' names, with their homes where two have the same."""
    names = [folder.name for folder in folders]
    return [str(folder) if names.count(folder.name) > 1 else folder.name for folder in folders]


def _trials(studies: Sequence[str | Path], home: str | Path, numbers: list[int]) -> TrialComparison:
    if len(studies) != 1:
        raise UserError("trials: they are of one study; name one")
    if len(dict.fromkeys(numbers)) < 2:
        raise UserError("trials: a comparison needs the numbers of two different trials, as in 3,7")
    folder = _folder(studies[0], Home.at(Path(home)))
    study = load(folder.name, home=folder.parent)
    return TrialComparison(study, tuple(study.trial(number) for number in dict.fromkeys(numbers)))
