"""A study before it runs: what it will take, whether it fits, and what someone with experience would say of its space.

corners.py   which configs are measured        measuring.py  measures them in workers
outlook.py   trials, time, money of the study  lint.py       warnings about the space
plan.py      the plan as a value               planner.py    makes it
"""
