"""A draft of a space file for a user's files: what they are, what fits them, and why.

origins.py     which files belong together: splits, aligned files, folders
table.py       the first rows of a table, and whether its first row is a header
guesses.py     the task, and the columns of texts and labels
sets.py        data sets that the readers of data/ have read
sizes.py       examples, tokens and lengths of what was read
questions.py   what only the user can say
plan.py        what the study may cost, and where it trains
own_model.py   the sections for a model of hpsearch's own
pretrained.py  the sections for checkpoints that are fine-tuned
writing.py     the commented file
draft.py       all of it
"""
