"""Models of transformers: checkpoints that are fine-tuned, and architectures that are trained from scratch.

trainer.py      the trainer: its methods call the other files
config.py       the sections of a space file
checkpoint.py   a checkpoint's config, kind and fingerprint; mistakes in one line
kinds.py        encoders, decoders, encoder-decoders, and what each can learn
folders.py      whether a folder holds a checkpoint that can be tuned
shards.py       whether its files of weights are whole
loading.py      the model with its weights, which must fit its config
token_checks.py whether a tokenizer is that of the model, and knows the data
inspection.py   what a checkpoint is, for a draft of a space file
vocabulary.py   the checkpoint's tokenizer, and how it encodes data sets
corpus.py       the encoded data
preparation.py  checks checkpoints and data, encodes the data
batches.py      rows of the data for each kind of model
network.py      the model: full, LoRA or last layers; its state, its export
evaluator.py    the metrics
parts.py        all of it together, for the loop of training/
final.py        the test and the model directory of a final training
rules.py        recommended values
ranges.py       recommended ranges
costs.py        what a training costs, for `hpsearch plan`
dedup_key.py    which configs are the same training
"""

from hpsearch.trainers.huggingface.trainer import HuggingFace

__all__ = ["HuggingFace"]
