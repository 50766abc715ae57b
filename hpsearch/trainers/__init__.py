"""Trainers: what a search trains, and how. A space file names one; hpsearch's own is `causal_lm`.

trainer.py     the class to derive one's own from     loading.py   trainers by name
state.py       a training's state as a JSON file      causal_lm/   language models of the Llama kind
"""

from hpsearch.config import Config, Objective, Section
from hpsearch.contract import Command, Evaluation, Handle
from hpsearch.document.document import Fault
from hpsearch.sealed import seal
from hpsearch.trainers.loading import DEFAULT, config_of, default, input_paths, load, reporting_errors, trainer_name
from hpsearch.trainers.state import load_state, save_state
from hpsearch.trainers.trainer import Asked, Prepared, Shape, TestResult, Trainer
from hpsearch.verdict import Phases

__all__ = [
    "DEFAULT",
    "Asked",
    "Command",
    "Config",
    "Evaluation",
    "Fault",
    "Handle",
    "Objective",
    "Phases",
    "Prepared",
    "Section",
    "Shape",
    "TestResult",
    "Trainer",
    "config_of",
    "default",
    "input_paths",
    "load",
    "load_state",
    "reporting_errors",
    "save_state",
    "seal",
    "trainer_name",
]
