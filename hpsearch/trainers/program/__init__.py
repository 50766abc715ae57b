"""The trainer of any program: `command: python my_train.py --lr {learning_rate} --out {folder}` in a space file.

trainer.py   its section            template.py  its arguments from the config
run.py       starts and stops it    output.py    the metrics in what it prints
process.py   its processes          reading.py   the evaluations of all its starts
spooler.py   stores what it prints  spool.py     the files with that
"""

from __future__ import annotations

from hpsearch.trainers.program.trainer import Program

__all__ = ["Program"]
