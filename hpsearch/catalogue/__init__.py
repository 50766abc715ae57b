"""What is done with the studies of a home, beside searching.

listing.py     each at a glance: its state, how far it is, what it takes on the disk
comparison.py  two or more side by side
renaming.py deletion.py    with all that belongs to them, in steps that can be repeated
cleaning.py caches.py      what nothing needs any more
"""
