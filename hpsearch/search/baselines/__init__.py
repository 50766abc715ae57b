"""Trivial models of a study's data, measured beside its trainings.

baselines.py  when they are measured, and what becomes of the results    process.py  the process that measures them
"""
