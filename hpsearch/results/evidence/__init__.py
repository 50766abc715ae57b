"""What speaks for a result and against it; all of it is read from a history.

bands.py          values of each hyperparameter among the best trials    cliffs.py         worse ones beside them
band_lines.py     what they say, in lines of text
short_budgets.py  larger models that were stopped too early               range_scale.py    positions in a range
comparisons.py    the default config and the baselines beside the winner  caveats.py        what values do not say
pruning_audit.py  what the pruner has cost                                optimism.py       search, fresh seeds, test
looks.py          how often test data were looked at                      margins.py        what few examples tell
"""
