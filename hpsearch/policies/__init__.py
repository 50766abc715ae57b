"""Policies decide which trial comes next and what becomes of each; the search obeys.

policy.py        the seam: next(history), judge(history, trial)
loading.py       loads the policy that a space file names         checked.py      checks a user's policy
optuna/          Optuna's samplers and pruners                    promotion.py    who pauses, and who resumes
curves/          a sampler that learns from learning curves, for any Optuna study
curve_rules.py   rules on one curve, for any policy
budget/          what may be spent, and has been, and when a search ends by itself
finalists.py     which trials are trained again with fresh seeds  choice.py       which trial is exported

These stand around another policy:
first_trials.py  the default config and known-good configs        enqueued.py     what people enqueue
horizons.py      short trainings first, shifted (by_config.py: the history by config)
confirmed.py     the best trials again with fresh seeds           audited.py      pruned trials to their end

A policy of your own imports the names below. Its factory gets the experiment: `experiment.space.draw(seed)` returns
random params. Its methods get the history: `history.room` is the number of new trials that the budget allows.
"""

from hpsearch.policies.curve_rules import CurveRules
from hpsearch.policies.policy import Decision, GoOn, Judgement, New, Nothing, Policy
from hpsearch.verdict import Verdict

__all__ = ["CurveRules", "Decision", "GoOn", "Judgement", "New", "Nothing", "Policy", "Verdict"]
