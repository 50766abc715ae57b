"""The trainer of any program: `command: python my_train.py --lr {learning_rate} --out {folder}` in a space file.

trainer.py   starts and stops it    template.py  its arguments from the config
process.py   its processes          output.py    the metrics in what it prints
"""

from __future__ import annotations

from hpsearch.trainers.program.trainer import Program

__all__ = ["Program"]
