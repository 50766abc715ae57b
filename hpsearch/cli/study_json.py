"""A study as JSON data: `hpsearch show --json`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hpsearch.displays.live.following import state_of
from hpsearch.journal.queue_file import QueueFile
from hpsearch.results.evidence import bands

if TYPE_CHECKING:
    from hpsearch.api.study import Study
    from hpsearch.api.trial import Trial


def as_dict(study: Study) -> dict[str, Any]:
    """Returns the study as JSON data; numbers that are not finite become None."""
    return {
        "study": study.name,
        "state": state_of(study.history, study.folder),
        "objective": {"metric": study.metric, "direction": study.direction},
        "best": _as_dict(study, study.best) if study.best else None,
        "default": study.default.number if study.default else None,
        "bands": bands.as_dict(bands.of(study.history)),
        "baselines": study.history.baselines,
        "warnings": study.history.warnings,
        "hours": study.seconds / 3600,
        "device_hours": study.device_hours,
        "trials": [_as_dict(study, trial) for trial in study.trials],
        "enqueued": enqueued(study),
        **_confirmation(study),
        **({"audit": study.audit.to_dict()} if study.audit is not None else {}),
    }


def enqueued(study: Study) -> list[dict[str, Any]]:
    """The enqueued configs that no trial has tried, also those that no driver has read."""
    unread = [entry for entry in QueueFile(study.folder).new() if entry["id"] not in study.history.requests]
    return [*(dict(one.params) for one in study.history.waiting()), *(entry["params"] for entry in unread)]


def _confirmation(study: Study) -> dict[str, Any]:
    """The keys about the repeats; none if the study has none."""
    if not study.repeats:
        return {}
    repeats = [_as_dict(study, one) | {"confirms": one.confirms, "seed": one.seed} for one in study.repeats]
    found = study.confirmation
    return {"confirmation": found.to_dict() if found is not None else None, "repeats": repeats}


def _as_dict(study: Study, trial: Trial) -> dict[str, Any]:
    history = study.history.trial(trial.number)
    place = study.history.so_far(history).best
    at = trial.best or (trial.evaluations[-1] if trial.evaluations else None)
    return {
        "number": trial.number,
        "outcome": trial.outcome,
        "state": history.state or "RUNNING",
        **({"horizon": history.horizon, "of": history.of} if history.stage else {}),
        "params": trial.params,
        "sampled_params": trial.sampled,
        "cut": trial.cut,
        "value": trial.value,
        "best_evaluation": asdict(place) if place else None,
        "metrics": {k: v if math.isfinite(v) else None for k, v in at.metrics.items()} if at else {},
        "reason": trial.reason,
        "seconds": trial.seconds,
        "device_seconds": trial.device_seconds,
        "peak_memory": trial.peak_memory,
        "mlflow_run_id": trial.mlflow_run_id,
    }
