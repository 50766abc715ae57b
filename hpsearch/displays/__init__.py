"""Displays for the events of a search or a training.

show.py         chooses the display
live/           a running search as one value     frame.py        that value as lines of text
terminal.py     a search in a terminal, by rich; training.py: a final training; text.py, bars.py: values and bars
lines.py        what terminal and notebook say alike
notebook.py     one notebook output, redrawn by IPython's display: rich and tqdm would need the ipywidgets package
logs.py         Python's logging, without a terminal or notebook
"""
