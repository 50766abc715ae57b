"""Which trial comes next, and what becomes of each: a family of policies that decide, and a search that obeys.

policy.py     the seam: next(history), judge(history, trial)   curve_rules.py  rules on one curve, for all of them
loading.py    the policy that a space file names               checked.py      each answer of a user's own, checked
optuna/       Optuna's samplers and pruners

A policy of one's own needs the names that stand here, the history that it is asked about and the experiment that its
factory gets: `experiment.space.draw(seed)` returns random params, `history.room` how many new trials are allowed.
"""

from hpsearch.policies.curve_rules import CurveRules
from hpsearch.policies.policy import Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.verdict import Verdict

__all__ = ["CurveRules", "Decision", "GoOn", "Judgement", "New", "Nothing", "Policy", "Verdict"]
