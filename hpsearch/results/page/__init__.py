"""The report: a study as one self-contained html page that needs no network.

html.py     the page from its parts: template.html with page.css and page.js
words.py    what was searched and found, and how sure that is, in sentences
winner.py   the winner: its values, bands, fresh seeds, baselines       trials.py     the table of all trials
curves.py   the curves of all trials, for page.js to draw              charts.py     all other charts, as plotly's JSON
parameters.py  the value over the hyperparameters
samples.py  its translations and confusion matrices                    reproduce.py  commands, versions, data, files
figures.py  numbers and untrusted text, as people read them            bundle.py     plotly's JavaScript, compressed
"""

from __future__ import annotations

from hpsearch.results.page.html import page

__all__ = ["page"]
