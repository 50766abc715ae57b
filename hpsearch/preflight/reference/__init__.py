"""What the keys of a space file mean: the descriptions of their fields, for editors, terminals and docs/space.md.

keys.py      every key, its type, default and limits
schema.py    the JSON Schema of a space file of one trainer
every_trainer.py  that of the space files of all trainers
entries.py   what `hpsearch explain` says of a key, a section, a metric or an outcome
page.py      the tables of docs/space.md
"""
