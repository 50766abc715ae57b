"""Whether a trainer keeps its contract: what `hpsearch check` trains, and what it finds.

suite.py          the trainings, one after another
trainings.py      short trainings in real workers, told when to stop, pause or die
judgement.py      what they tell of the trainer
crashes.py        what to do about a training that fails
findings.py       the result, in words
surroundings.py   the files and processes around a training
"""
