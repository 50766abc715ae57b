"""The journal of a small study: one trial completes, one overfits, one diverges, one is interrupted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch.journal import encode
from hpsearch.views import shipping
from tests import blank

Event = dict[str, Any]
NewStudy = Callable[[str], "Written"]
BEGAN = 1_700_000_000.0
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "step": None, "log": True},
    "batch_size": {"choices": [8, 16, 32]},
    "n_layers": {"low": 1, "high": 6, "step": 1, "log": False},
}
CURVES = {0: [3.0, 2.5, 2.0], 1: [2.4, 1.5, 1.9], 2: [3.0, math.nan], 3: [2.8, 2.2]}
OUTCOMES = {0: ("completed", "COMPLETE", 2.0), 1: ("overfit", "COMPLETE", 1.5), 2: ("diverged", "PRUNED", 3.0)}


def evaluation(index: int, loss: float) -> Event:
    points = [
        {
            "step": 10 * index - before,
            "tokens": 1000 * index - 100 * before,
            "time": BEGAN + index,
            "metrics": {"train/loss": 2.0 - index / 4 + before / 50},
        }
        for before in (5, 0)  # the last one stands where the evaluation does
    ]
    return {
        "index": index,
        "step": 10 * index,
        "tokens": 1000 * index,
        "epoch": index / 2,
        "progress": index / 4,
        "seconds": float(index),
        "metrics": {"val/loss": loss, "val/f1_macro": 0.1 * index, "train/interval_loss": 9.0},
        "precision": "bf16",
        "points": points,
    }


def trial_events(trial: int) -> list[Event]:
    params = {"learning_rate": 0.003, "batch_size": 16, "n_layers": 2 + trial}
    events: list[Event] = [
        {"event": "trial_asked", "params": params, "config": {"seed": 7, "model": {"width": 64}}},
        {"event": "trial_started", "attempt": 1, "device": "cpu", "worker": 0},
    ]
    for index, loss in enumerate(CURVES[trial], start=1):
        events.append({"event": "evaluation", "attempt": 1, "evaluation": evaluation(index, loss)})
    if trial in OUTCOMES:
        outcome, state, value = OUTCOMES[trial]
        best = {"index": 1, "step": 10, "tokens": 1000, "epoch": 0.5, "progress": 0.25, "value": value}
        end = {"outcome": outcome, "state": state, "value": value, "best_evaluation": best, "reason": f"it {outcome}"}
        events.append({"event": "trial_finished", "seconds": 3.0, "signatures": {"bleu": "nrefs:1"}, **end})
    else:
        events.append({"event": "trial_interrupted"})
    return [{"trial": trial, **event} for event in events]


def study_events(study: str) -> list[Event]:
    environment = {"git_commit": "abc123", "git_dirty": True, "python": "3.11.0", "versions": {"torch": "2.13.0"}}
    events: list[Event] = [
        {
            "event": "study_created",
            "study": study,
            "experiment": {"seed": 7},
            "source": f"study: {study}\n",
            "objective": {"metric": "val/loss", "direction": "minimize"},
            "space": SPACE,
            "environment": environment,
            "data": {"fingerprint": "f00d"},
        },
        {"event": "driver_started", "pid": 1, "host": "here", "workers": 1, "device": "cpu"},
        *(event for trial in CURVES for event in trial_events(trial)),
    ]
    return [{"time": BEGAN + second, **event} for second, event in enumerate(events)]


class Written:
    """A study folder whose journal grows."""

    def __init__(self, home: Path, study: str) -> None:
        self.home, self.study, self.folder = home, study, home / study
        self.folder.mkdir(parents=True)
        self.events = study_events(study)
        self.add(*self.events)

    def add(self, *events: Event) -> None:
        with (self.folder / "journal.jsonl").open("ab") as file:
            file.write(b"".join(map(encode, events)))

    def follow(self, *names: str, say: Callable[[str], None] = lambda line: None) -> None:
        """Ships everything, as the shipping process does: running trials stay running."""
        with shipping.followers(self.folder, self.home, None, names, say=say) as found:
            for follower in found:
                shipping.follow(follower, finishing=lambda: True, pause=time.sleep)

    def later(self, **event: Any) -> Event:
        """Adds one event, a second after the last."""
        self.events.append({"time": self.events[-1]["time"] + 1, **event})
        self.add(self.events[-1])
        return self.events[-1]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests of the views."""
    return blank.home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def new_study(home: Path) -> NewStudy:
    return lambda study: Written(home, study)


@pytest.fixture(scope="session")
def client(home: Path) -> Any:
    """MLflow's client of that store."""
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def runs_of(client: Any, study: str) -> dict[str, Any]:
    """The runs of a study by name, as MLflow returns them."""
    experiment = client.get_experiment_by_name(study)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
