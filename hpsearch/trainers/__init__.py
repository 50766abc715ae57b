"""Trainers: what a search trains, and how. A space file names one; hpsearch's own is `causal_lm`.

trainer.py     the base class of trainers    loading.py   loads a trainer by name
state.py       a state as a JSON file         causal_lm/   language models of the Llama kind
checked.py     errors and answers of a user's trainer
evaluations.py the evaluations that a trainer yields, checked
"""

from hpsearch.config import Config, Objective, Section
from hpsearch.contract import Command, Evaluation, Handle
from hpsearch.document.document import Fault
from hpsearch.sealed import seal
from hpsearch.trainers.loading import (
    DEFAULT,
    config_file,
    config_of,
    default,
    input_paths,
    load,
    reporting_errors,
    trainer_name,
)
from hpsearch.trainers.state import load_state, save_state
from hpsearch.trainers.trainer import Prepared, Shape, SpaceView, TestResult, Trainer
from hpsearch.verdict import Phases

__all__ = [
    "DEFAULT",
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
    "SpaceView",
    "TestResult",
    "Trainer",
    "config_file",
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
