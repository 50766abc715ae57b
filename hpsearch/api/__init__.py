"""The Python interface, exported by `import hpsearch`. The commands call these functions and print.

run.py          hpsearch.run: searches or resumes a study
study.py        hpsearch.load: a study and its trials as values (trial.py)
train.py        hpsearch.train: the final training and the test
interrupt.py    Ctrl-C during a search or a training
arguments.py    the arguments of these functions: of the right kind
options.py      settings of the space that arguments replace, checked
named.py        a study's name from its space file
tables.py       HTML tables for notebooks
"""
