"""hpsearch from Python; `import hpsearch` offers all of it. The commands are calls of these functions, and printing.

run.py          hpsearch.run: search, or resume a study
study.py        hpsearch.load: a study and its trials as values
train.py        hpsearch.train: the final training and the test
interrupt.py    what Ctrl-C does meanwhile
options.py      settings that a caller may change, checked
"""
