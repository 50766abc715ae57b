"""Which trial comes next, and what becomes of each: a family of policies that decide, and a search that obeys.

policy.py        the seam: next(history) and judge(history, trial)     decisions.py   a policy's decisions, recorded
curve_rules.py   rules on one trial's own curve, for every policy      optuna/        Optuna's samplers and pruners
"""
