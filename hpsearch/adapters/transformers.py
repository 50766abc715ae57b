"""A callback of `transformers.Trainer` that reports to a trial, and lets it resume from the checkpoints."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from hpsearch.adapters.names import named
from hpsearch.trainers.function.trial import FunctionTrial

LIBRARY = "transformers"  # the user's own package, none of hpsearch's
_Callback: Any = import_module(LIBRARY).TrainerCallback
OF_TRAINER = ("total_flos", "epoch")  # in its logs; no metrics


class ReportCallback(_Callback):  # type: ignore[misc]
    """Reports each evaluation (`eval_loss` as `val/loss`) and each log (`loss` as `train/loss`).

    With `output_dir=trial.folder` and a `save_strategy`, a trial resumes by
    `trainer.train(resume_from_checkpoint=report.checkpoint)`.
    """

    def __init__(self, trial: FunctionTrial) -> None:
        self._trial = trial

    @property
    def checkpoint(self) -> str | None:
        """The Trainer's checkpoint to resume from; None in a new trial, or if it is gone."""
        saved = self._trial.load()
        path = None if saved is None else self._trial.folder / saved["checkpoint"]
        return str(path) if path is not None and path.is_dir() else None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
        """Reports what the Trainer logs between evaluations."""
        between = {k: v for k, v in (logs or {}).items() if not k.startswith("eval_") and k not in OF_TRAINER}
        if between and not any(name.startswith("train_") for name in between):  # those are of the whole training
            self._trial.log_metrics(named(between, otherwise="train/"), step=state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **more: Any) -> None:
        """Reports an evaluation; raises TrialStopped when the trial is to stop."""
        self._trial.report(named(metrics or {}), **_place(state))

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Notes the checkpoint that the Trainer has written; raises TrialStopped when the trial is to stop."""
        path = Path(args.output_dir).absolute() / f"checkpoint-{state.global_step}"
        own = path.relative_to(self._trial.folder) if path.is_relative_to(self._trial.folder) else path
        self._trial.save({"checkpoint": str(own)})


def _place(state: Any) -> dict[str, float]:
    place = {"step": state.global_step, "epoch": state.epoch or 0.0}
    return place | ({"steps": state.max_steps} if state.max_steps > 0 else {})
