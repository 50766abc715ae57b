"""Trainers: what a search trains, and how. A space file names one, or its keys do; the default is `causal_lm`.

trainer.py     the base class of trainers    loading.py   loads a trainer by name
values.py      what its methods return       space_view.py   a space file as it sees it
state.py       a state as a JSON file         causal_lm/   language models of the Llama kind
checked.py     errors and answers of a user's trainer
costs.py       what a training costs, for `hpsearch plan`
evaluations.py the evaluations that a trainer yields, checked
scaling.py     what a larger training is to have, and by which rules
own.py         what the trainers of a user's own code share: its config, and evaluations of what it reports
function/      a user's function
huggingface/   models of transformers
program/       any program
"""

from hpsearch.config import Config, Objective, Section
from hpsearch.contract import Command, Evaluation, Handle, TrialTask
from hpsearch.document.document import Fault
from hpsearch.system.sealed import seal
from hpsearch.trainers.costs import Advice, Cost, CostModel, Sample
from hpsearch.trainers.loading import (
    DEFAULT,
    KEYS,
    ORIGINS,
    PRETRAINED,
    config_file,
    config_of,
    default,
    default_name,
    input_paths,
    load,
    reporting_errors,
    trainer_name,
)
from hpsearch.trainers.scaling import Change, ScaleUp
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.state import load_state, save_state
from hpsearch.trainers.trainer import Trainer, trains_many
from hpsearch.trainers.values import Prepared, Rule, Shape, TestResult
from hpsearch.verdict import Phases

__all__ = [
    "DEFAULT",
    "KEYS",
    "ORIGINS",
    "PRETRAINED",
    "Advice",
    "Change",
    "Command",
    "Config",
    "Cost",
    "CostModel",
    "Evaluation",
    "Fault",
    "Handle",
    "Objective",
    "Phases",
    "Prepared",
    "Rule",
    "Sample",
    "ScaleUp",
    "Section",
    "Shape",
    "SpaceView",
    "TestResult",
    "Trainer",
    "TrialTask",
    "config_file",
    "config_of",
    "default",
    "default_name",
    "input_paths",
    "load",
    "load_state",
    "reporting_errors",
    "save_state",
    "seal",
    "trainer_name",
    "trains_many",
]
