"""hpsearch: hyperparameter search and experiment tracking for training language models.

    hpsearch.new("reviews.csv", "space.yaml")  # a space file for your data
    study = hpsearch.run("space.yaml")      # search or resume, as `hpsearch run` does
    study = hpsearch.confirm("reviews")     # its best trials once more, with fresh seeds
    study = hpsearch.extend("reviews", trials=10)  # more of it
    study = hpsearch.audit("reviews")       # pruned trials to their end: what has the pruner cost?
    study = hpsearch.watch("reviews")       # the live view of a search that another process runs
    study = hpsearch.load("reviews")        # a study and its trials, also while the search runs
    path = hpsearch.report("reviews", "report.html")  # the same as a page
    found = hpsearch.studies()              # the studies of a home at a glance; compare, rename, clean, delete
    found = hpsearch.verify("best.yaml")    # does the config reproduce its trial?
    found = hpsearch.check("space.yaml")    # does its trainer resume, stop, honour the seed?
    result = hpsearch.train("best.yaml")    # the final training and the test
    hpsearch.register("model", "mail sorter")  # the model as a version in MLflow's registry
    model = hpsearch.load_model("model")    # model(text): a label, a translation, a continuation
    found = hpsearch.evaluate("model", "space.yaml")  # its metrics; also of models of others

A trainer or a policy of your own needs no other import:

    from hpsearch import Command, Evaluation, Section, Trainer, load_state, save_state
    from hpsearch import GoOn, Judgement, New, Nothing, Verdict

`import hpsearch` is fast: each name is imported on first use. __init__.pyi has the types.
"""

import os
import sys
import threading
from importlib import import_module

__version__ = "0.1.0"

if sys.platform == "win32":  # before an import that fails there
    _refusal = "hpsearch does not run on Windows, which has neither fork nor fcntl; in WSL 2 it does"
    if sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0]).startswith("hpsearch"):
        raise SystemExit(f"error: {_refusal}")  # the command: one line
    raise ImportError(_refusal)

_MODULES = {
    "hpsearch.api.audit": ["audit"],
    "hpsearch.api.check": ["check"],
    "hpsearch.api.clean": ["clean"],
    "hpsearch.api.compare": ["TrialComparison", "compare"],
    "hpsearch.api.confirm": ["confirm"],
    "hpsearch.api.delete": ["delete"],
    "hpsearch.api.enqueue": ["enqueue"],
    "hpsearch.api.evaluate": ["ModelMetrics", "evaluate"],
    "hpsearch.api.extend": ["extend"],
    "hpsearch.api.new": ["new"],
    "hpsearch.api.reference": ["explain", "schema"],
    "hpsearch.api.plan": ["plan"],
    "hpsearch.api.predict": ["load_model"],
    "hpsearch.api.register": ["register"],
    "hpsearch.api.report": ["report"],
    "hpsearch.api.pause": ["pause", "resume"],
    "hpsearch.api.rename": ["rename"],
    "hpsearch.api.run": ["run"],
    "hpsearch.api.studies": ["studies"],
    "hpsearch.api.study": ["Curve", "Study", "load"],
    "hpsearch.api.trial": ["Trial"],
    "hpsearch.api.train": ["FinalResult", "train"],
    "hpsearch.api.verify": ["verify"],
    "hpsearch.api.watch": ["watch"],
    "hpsearch.preflight.checking.findings": ["Conformance", "Finding"],
    "hpsearch.journal.confirmation": ["Confirmation", "Finalist"],
    "hpsearch.home.cleaning": ["Cleaned"],
    "hpsearch.home.comparison": ["Comparison"],
    "hpsearch.config": ["Config", "Objective", "Section"],
    "hpsearch.contract": ["Command", "Evaluation", "Handle", "TrainingPoint", "TrialTask"],
    "hpsearch.home.deletion": ["Deletion"],
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
        "TrialStopped",
        "UserError",
    ],
    "hpsearch.home.listing": ["StudySummary"],
    "hpsearch.serving.models.model": ["Model"],
    "hpsearch.serving.models.measuring": ["SetMetrics"],
    "hpsearch.serving.models.predictions": ["Completion", "Labelled", "Translation"],
    "hpsearch.outcome": ["Outcome"],
    "hpsearch.preflight.planning.plan": ["Plan"],
    "hpsearch.policies.policy": ["GoOn", "Judgement", "New", "Nothing", "Policy"],
    "hpsearch.results.evidence.pruning_audit": ["Audit", "Audited"],
    "hpsearch.final.reproduction": ["Verification"],
    "hpsearch.space.experiment": ["Experiment"],
    "hpsearch.tasks.baseline": ["Baseline"],
    "hpsearch.trainers.function.trial": ["FunctionTrial"],
    "hpsearch.trainers.state": ["load_state", "save_state"],
    "hpsearch.trainers.scaling": ["ScaleUp"],
    "hpsearch.trainers.trainer": ["Trainer"],
    "hpsearch.trainers.values": ["Rule", "Shape"],
    "hpsearch.verdict": ["Phases", "Verdict"],
    "hpsearch.views.mlflow.registry": ["Registered"],
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
