"""How a trial ended, or its state before, and how MLflow, Optuna and the plots show it."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a trial ended, or its state before. The value is the text in the journal and in MLflow's tag.

    Diverged and out-of-memory trials are PRUNED in Optuna: the sampler learns from them, and they never win. FAIL is
    for bugs: the sampler ignores such trials. MLflow shows FINISHED as a green tick, KILLED and FAILED as a red cross:
    a pruned trial is FINISHED, since it ended as intended. The colours are safe for colour-blind readers.
    """

    optuna_state: str
    mlflow_status: str
    colour: str

    def __new__(cls, value: str, optuna_state: str, mlflow_status: str, colour: str) -> Outcome:
        self = str.__new__(cls, value)
        self._value_ = value
        self.optuna_state, self.mlflow_status, self.colour = optuna_state, mlflow_status, colour
        return self

    COMPLETED = "completed", "COMPLETE", "FINISHED", "#2f6db3"
    OVERFIT = "overfit", "COMPLETE", "FINISHED", "#e0861a"
    SHORT = (
        "short",
        "PRUNED",
        "FINISHED",
        "#7fa9d3",
    )  # trained out, at a shorter horizon: it says which configs to train
    PRUNED = "pruned", "PRUNED", "FINISHED", "#9aa3ad"
    DIVERGED = "diverged", "PRUNED", "KILLED", "#c5362f"
    OUT_OF_MEMORY = "out_of_memory", "PRUNED", "KILLED", "#7c4aa0"
    FAILED = "failed", "FAIL", "FAILED", "#5a3b2e"
    # Not ended:
    RUNNING = "running", "RUNNING", "RUNNING", "#4fa3a5"
    PAUSED = "paused", "RUNNING", "SCHEDULED", "#d4b21f"  # by the policy, which may resume it
    INTERRUPTED = "interrupted", "WAITING", "KILLED", "#4fa3a5"  # by a person, a kill or a clock; resumed at once
    UNFINISHED = "unfinished", "WAITING", "KILLED", "#4fa3a5"  # counts by its best evaluation so far

    @classmethod
    def of(cls, text: str) -> Outcome:
        """The outcome of this name; FAILED for a name that only a later version knows."""
        return next((outcome for outcome in cls if outcome == text), cls.FAILED)

    @property
    def ended(self) -> bool:
        """Whether the trial has ended for good."""
        return self.optuna_state in ("COMPLETE", "PRUNED", "FAIL")

    @property
    def counts(self) -> bool:
        """Whether a trial that ended so has a value by which it can win."""
        return self.optuna_state == "COMPLETE"


CUT = "cut by the budget"


def in_words(outcome: str, ending: str, *more: str) -> str:
    """An outcome with what it does not say: "overfit, cooled down"; the word for one that was cut tells all itself."""
    said = (ending,) if ending.startswith(CUT) else (outcome, ending)
    return ", ".join(filter(None, (*said, *more)))


MEANINGS: dict[str, str] = {
    Outcome.COMPLETED: "trained to its end",
    Outcome.OVERFIT: "its validation loss turned up while its training loss fell. It went back to a state before that, "
    "cooled down from there, and can still win (a schedule without a stable phase ends at its best evaluation instead)",
    Outcome.SHORT: "trained to the end of a shorter training (search.shift), which says which configs to train whole",
    Outcome.PRUNED: "worse than its peers at equal progress, and stopped early by the pruner",
    Outcome.DIVERGED: "its validation loss became infinite, NaN or far higher than at its first evaluation; "
    "or its objective became infinite or NaN, where no loss is measured",
    Outcome.OUT_OF_MEMORY: "did not fit into the memory of its device, with the smallest micro batch either",
    Outcome.FAILED: "an exception of the training ended it; its folder has error.txt",
    Outcome.RUNNING: "in training",
    Outcome.PAUSED: "paused by the policy, which may resume it (pruner: promotion)",
    Outcome.INTERRUPTED: "the run or the budget ended first; it is resumed by the next run",
    Outcome.UNFINISHED: "interrupted when the study ended; it counts by its best evaluation so far",
}
"""What each outcome says of a trial, in words."""

ENDINGS: dict[str, str] = {
    "cooled": "the trial went back to a state of its stable phase and lowered its learning rate from there, so that "
    "its value is that of a whole, shorter training: `cooled down` after an outcome, because it began to overfit; `cut "
    "by the budget at 40%`, because the rest of the budget was too short for the other 60%",
    "cut": "`cut by the budget at 40%` in place of `completed`: the budget ended before the trial could, so it cooled "
    "down after 40% of its training. Its value is that of a whole, shorter training (fewer epochs) and can win; it "
    "says little of its other params, so cliffs, good values and importances leave it out below 90%",
}
"""What the words after an outcome say of a trial."""
