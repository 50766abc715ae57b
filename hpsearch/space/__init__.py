"""What a space file says, and how it is read.

nodes.py       YAML with the place of every key        mistakes.py   what is wrong with a file that is no YAML
document.py    a file as mappings that know their places
ranges.py      a value, a range, choices               sections.py   which keys a config has, and which may be ranges
space.py       all ranges of a file; a trial's config  settings.py   what a search needs beside the training config
checking.py    the file as a whole                    objective.py   which metric ranks trials
wording.py     how all of it is said to people
"""
