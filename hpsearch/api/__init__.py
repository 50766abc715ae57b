"""The Python interface, exported by `import hpsearch`. The commands call these functions and print.

new.py          hpsearch.new: drafts a space file
reference.py    hpsearch.schema, hpsearch.explain: what its keys mean
run.py          hpsearch.run: searches or resumes a study
confirm.py      hpsearch.confirm: trains its best trials again
enqueue.py      hpsearch.enqueue: a config that it tries next
study.py        hpsearch.load: a study and its trials as values (trial.py)
report.py       hpsearch.report: a study as one html page
train.py        hpsearch.train: the final training and the test
notifications.py a webhook hears how a search ends
interrupt.py    Ctrl-C during a search or a training
arguments.py    the arguments of these functions: of the right kind
options.py      settings of the space that arguments replace, checked
named.py        a study's name from its space file, its experiment from its journal
tables.py       HTML tables for notebooks
"""
