"""The trainer of a user's own function: `train: ./my_train.py:train` in a space file.

trainer.py  runs the function      trial.py  what it gets beside its config
source.py   finds and imports it   state.py  its state as bytes without code
"""

from __future__ import annotations

from hpsearch.trainers.function.trainer import Function

__all__ = ["Function"]
