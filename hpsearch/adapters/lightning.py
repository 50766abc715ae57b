"""A callback of Lightning's Trainer that reports to a trial, and keeps a checkpoint to resume from."""

from __future__ import annotations

import contextlib
import math
from importlib import import_module
from typing import Any

from hpsearch.adapters.names import named
from hpsearch.trainers.function.trial import FunctionTrial

LIBRARIES = ("lightning.pytorch", "pytorch_lightning")  # the user's own package, none of hpsearch's


def _callback() -> Any:
    """Lightning's base class, of the package that the user has."""
    try:
        return import_module(LIBRARIES[0]).Callback
    except ModuleNotFoundError:
        return import_module(LIBRARIES[1]).Callback


_Callback: Any = _callback()


class ReportCallback(_Callback):  # type: ignore[misc]
    """Reports the logged metrics (`val_loss` as `val/loss`) after each validation.

    save: writes a checkpoint after each report; a trial resumes by `trainer.fit(..., ckpt_path=report.checkpoint)`.
    """

    def __init__(self, trial: FunctionTrial, *, save: bool = True) -> None:
        super().__init__()
        self._trial, self._save = trial, save

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint to resume from; None in a new trial, or if it is gone."""
        saved = self._trial.load()
        path = None if saved is None else self._trial.folder / saved["checkpoint"]
        return str(path) if path is not None and path.is_file() else None

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Reports, and saves; raises TrialStopped when the trial is to stop."""
        if trainer.sanity_checking:
            return
        total = getattr(trainer, "estimated_stepping_batches", math.inf)
        steps = {"steps": int(total)} if math.isfinite(total) and total > 0 else {}
        place = {"step": trainer.global_step, "epoch": trainer.current_epoch, **steps}
        self._trial.report(named(trainer.callback_metrics), **place)
        if self._save:
            self._keep(trainer)

    def _keep(self, trainer: Any) -> None:
        """Writes this step's checkpoint, then the state that names it; the one before stays, others go."""
        before = sorted(self._trial.folder.glob("step-*.ckpt"), key=lambda path: path.stat().st_mtime)
        name = f"step-{trainer.global_step}.ckpt"
        trainer.save_checkpoint(str(self._trial.folder / name))
        for path in [path for path in before if path.name != name][:-1]:
            with contextlib.suppress(OSError):
                path.unlink()
        self._trial.save({"checkpoint": name})
