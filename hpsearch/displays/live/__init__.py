"""A search as people look at it while it runs: one value, whoever asks.

plan.py       what a run has to do: its budget, its confirmation
state.py      the value: progress, the best trial, the trials in training, counts, rates, memory
progress.py   how much is done, and when the search ends
following.py  the events of a search that another process runs, read from its journal
"""
