"""hpsearch: hyperparameter search and experiment tracking for training language models.

    study = hpsearch.run("space.yaml")      # search, or resume; what `hpsearch run` does
    study = hpsearch.load("reviews")        # a study and its trials, also while it is searched
    result = hpsearch.train("best.yaml")    # the final training and the test

Importing it loads nothing else: each name is loaded when it is first used (__init__.pyi has their types).
"""

from importlib import import_module

__version__ = "0.1.0"

_PLACES = {
    "hpsearch.api.run": ["run"],
    "hpsearch.api.study": ["Curve", "Study", "load"],
    "hpsearch.api.trial": ["Trial"],
    "hpsearch.api.train": ["FinalResult", "train"],
    "hpsearch.contract": ["Evaluation"],
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
    "hpsearch.trainers.trainer": ["Trainer"],
    "hpsearch.verdict": ["Verdict"],
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}
__all__ = sorted(_PLACE_OF)


def __getattr__(name: str) -> object:
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'hpsearch' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
