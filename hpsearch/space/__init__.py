"""A space file: its ranges and settings, read and checked.

experiment.py    the parsed file: study, settings, space    space_file.py      the file as its trainer sees it
space.py         all ranges; a trial's params and config    sections.py        the sections that may have ranges
settings.py      budget, search, tracking, resources        validation.py      checks of the whole file
random_values.py random values of ranges
"""
