"""A space file: its ranges and settings, read and checked.

experiment.py    the parsed file: study, settings, space    space_file.py      the file as its trainer sees it
space.py         all ranges; a trial's params and config    sections.py        the sections that may have ranges
settings.py      every other key of the file, of these sections:
                 budget.py  search.py (pruners.py)  resources.py
validation.py    checks of the whole file                   random_values.py   random values of ranges
default_config.py  the first config that is tried, by rules (middle.py)
priors.py        where good values are expected             shortened.py       a config of a shorter training
branch_values.py   choices between sub-configs by what they set
"""
