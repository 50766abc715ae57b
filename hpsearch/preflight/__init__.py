"""Before a search: each command that needs a space file or makes one, and trains no study.

draft/          `hpsearch new`: a space file for a user's files
reference/      `hpsearch schema`, `hpsearch explain`: what the keys of a space file mean
planning/       `hpsearch plan`: what a study will take
checking/       `hpsearch check`: whether a trainer keeps its contract
preparation.py  the data of a run, checked and prepared by its trainer
"""
