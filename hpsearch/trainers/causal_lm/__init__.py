"""Language models of the Llama kind on texts, translations and labelled texts (training/, data/).

trainer.py      the member of the family               rules.py   names of sets; which keys a rule ties together
objective.py    which metric ranks trials              fit.py     whether the data fit the space
preparation.py  the data: checked, tokenised           final.py   the test, and the model directory
shape.py        what decides over memory               key.py     which configs are the same training
ending.py       the config that ends at an evaluation     kept.py   the weights that a search kept
"""

from hpsearch.trainers.causal_lm.trainer import CausalLM

__all__ = ["CausalLM"]
