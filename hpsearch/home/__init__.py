"""The home, the folder of all studies, and what is done with them beside searching.

home.py        the folder, and the history of one study of it
identity.py    what a study is: a resumed one must be the same
listing.py     each at a glance: its state, how far it is, what it takes on the disk
comparison.py  two or more side by side
renaming.py deletion.py    with all that belongs to them, in steps that can be repeated
cleaning.py caches.py      what nothing needs any more
repair.py      the views of a study, compared with its journal
"""
