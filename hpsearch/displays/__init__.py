"""Who shows what happens in a search or a training; `displayed` chooses.

terminal.py     lines and bars, by rich (text.py, bars.py: how values and bars look there)
notebook.py     one output that is redrawn, by IPython's own display: rich and tqdm need the ipywidgets package there
logs.py         Python's logging, where nobody looks
"""
