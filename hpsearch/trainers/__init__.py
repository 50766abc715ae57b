"""Trainers: what a search trains, and how. A space file names one; hpsearch's own is `causal_lm`.

trainer.py     the class to derive one's own from     loading.py   trainers by name
state.py       a training's state as a JSON file      causal_lm/   language models of the Llama kind
"""

from hpsearch.config import Config, Objective, Section
from hpsearch.contract import Command, Evaluation, Handle
from hpsearch.document.document import Fault
from hpsearch.sealed import seal
from hpsearch.trainers.loading import DEFAULT, blamed, config_of, default, files_of, load, named_in
from hpsearch.trainers.state import load_state, save_state
from hpsearch.trainers.trainer import Asked, Prepared, Shape, Tested, Trainer
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
    "Tested",
    "Trainer",
    "blamed",
    "config_of",
    "default",
    "files_of",
    "load",
    "load_state",
    "named_in",
    "save_state",
    "seal",
]
