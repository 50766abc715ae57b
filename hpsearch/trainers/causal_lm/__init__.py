"""Language models of the Llama kind on texts, translations and labelled texts (training/, data/).

trainer.py        the trainer: its methods call the other files
constraints.py    names of data sets; rules between keys
objective.py      the metrics of the data sets, and which of them can rank trials
preparation.py    checks and tokenizes the data
data_checks.py    warnings where contexts, batches and epochs do not fit the data
shape.py          which configs need more memory
dedup_key.py      which configs are the same training
final.py          the test and the model directory of a final training
kept_weights.py   the weights that a search kept
export_config.py  the config and the comments of best.yaml
"""

from hpsearch.trainers.causal_lm.trainer import CausalLM

__all__ = ["CausalLM"]
