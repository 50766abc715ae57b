"""Learns from learning curves where to search: a sampler for any Optuna study, and the parts that it is made of.

sampler.py     CurvesSampler: what it proposes for a trial         curves.py    the curves of an Optuna study's trials
model.py       predictions for trials; expected improvement        rungs.py     where curves are compared
stretch.py     the scale of the values                             encoding.py  parameters as numbers
chain.py       extrapolation, rung by rung                         conditions.py  which parameters a trial has
process.py     the Gaussian process

Outside hpsearch:

    from hpsearch.policies.curves.sampler import CurvesSampler
    study = optuna.create_study(sampler=CurvesSampler(seed=0))
"""
