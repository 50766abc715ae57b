"""hpsearch: hyperparameter search and experiment tracking for training language models.

    study = hpsearch.run("space.yaml")      # search or resume, as `hpsearch run` does
    study = hpsearch.load("reviews")        # a study and its trials, also while the search runs
    result = hpsearch.train("best.yaml")    # the final training and the test

A trainer or a policy of your own needs no other import:

    from hpsearch import Command, Evaluation, Section, Trainer, load_state, save_state
    from hpsearch import GoOn, Judgement, New, Nothing, Verdict

`import hpsearch` is fast: each name is imported on first use. __init__.pyi has the types.
"""

import threading
from importlib import import_module

__version__ = "0.1.0"

_MODULES = {
    "hpsearch.api.run": ["run"],
    "hpsearch.api.study": ["Curve", "Study", "load"],
    "hpsearch.api.trial": ["Trial"],
    "hpsearch.api.train": ["FinalResult", "train"],
    "hpsearch.config": ["Config", "Objective", "Section"],
    "hpsearch.contract": ["Command", "Evaluation", "Handle", "TrainingPoint"],
    "hpsearch.errors": [
        "CheckpointDamaged",
        "ConfigError",
        "DataError",
        "HpsearchError",
        "JournalDamaged",
        "StorageFailed",
        "StudyBusy",
        "StudyMismatch",
        "TrainingFailed",
        "UserError",
    ],
    "hpsearch.outcome": ["Outcome"],
    "hpsearch.policies.policy": ["GoOn", "Judgement", "New", "Nothing", "Policy"],
    "hpsearch.space.experiment": ["Experiment"],
    "hpsearch.trainers.state": ["load_state", "save_state"],
    "hpsearch.trainers.trainer": ["Trainer"],
    "hpsearch.verdict": ["Phases", "Verdict"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)
_importing = threading.RLock()  # two threads that import parts of one cycle (in SQLAlchemy) may get half a module


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'hpsearch' has no attribute {name!r}")
    with _importing:
        found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
