"""A callback of Keras's `fit` that reports to a trial."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from hpsearch.adapters.names import named
from hpsearch.trainers.function.trial import FunctionTrial

LIBRARY = "keras"  # the user's own package, none of hpsearch's
_Callback: Any = import_module(LIBRARY).callbacks.Callback


class ReportCallback(_Callback):  # type: ignore[misc]
    """Reports the logs of each epoch: `val_loss` as `val/loss`, `loss` as `train/loss`; the step is the epoch."""

    def __init__(self, trial: FunctionTrial) -> None:
        super().__init__()
        self._trial = trial

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports an epoch; raises TrialStopped when the trial is to stop."""
        epochs = (getattr(self, "params", None) or {}).get("epochs")
        steps = {"steps": epochs} if epochs else {}
        self._trial.report(named(logs or {}, otherwise="train/"), step=epoch + 1, epoch=epoch + 1, **steps)
