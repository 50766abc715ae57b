"""Optuna's samplers and pruners by the names a space file gives them.

A sampler is made anew for each trial, seeded by (study seed, number of trials): a restarted driver then proposes what an
undisturbed one would have, instead of its first configs again.
"""

from __future__ import annotations

import hashlib

import optuna

from hpsearch.experiment import Experiment
from hpsearch.settings import (
    AnyPruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    Search,
    SuccessiveHalvingPruner,
)

FEWEST_STARTUP, MOST_STARTUP = 4, 10  # random trials before a model of the space is asked


def make_sampler(experiment: Experiment, number: int, study: optuna.Study) -> optuna.samplers.BaseSampler:
    """The sampler that proposes trial `number`."""
    name, seed, space = experiment.search.sampler, mix(experiment.seed, number), experiment.space
    startup = min(MOST_STARTUP, max(FEWEST_STARTUP, len(space.params) + 2))
    if name == "tpe":
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True, group=space.conditional
        )
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "qmc":
        return _qmc(experiment, number, study)
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False, x0=_centre(study)
        )
    return optuna.samplers.GridSampler(space.grid(), seed=experiment.seed)


def make_pruner(wanted: AnyPruner, *, evaluations: int) -> optuna.pruners.BasePruner:
    """The pruner; its steps are the indices of a trial's `evaluations`, the same for every trial."""
    options = wanted.model_dump(exclude={"name", "wrapped"})
    if isinstance(wanted, MedianPruner | PercentilePruner):
        renamed = {
            "n_startup_trials": options.pop("startup_trials"),
            "n_warmup_steps": options.pop("warmup_evaluations"),
            "interval_steps": options.pop("interval"),
        }
        kind = optuna.pruners.MedianPruner if wanted.name == "median" else optuna.pruners.PercentilePruner
        return kind(**options, **renamed)
    if isinstance(wanted, SuccessiveHalvingPruner):
        return optuna.pruners.SuccessiveHalvingPruner(**options)
    if isinstance(wanted, HyperbandPruner):
        return optuna.pruners.HyperbandPruner(**options, max_resource=evaluations)
    if isinstance(wanted, PatientPruner):
        inner = Search.model_validate({"pruner": wanted.wrapped}).pruner
        return optuna.pruners.PatientPruner(make_pruner(inner, evaluations=evaluations), **options)
    return optuna.pruners.NopPruner()


def mix(*numbers: int) -> int:
    """A seed of 31 bits from several numbers, far apart for near ones."""
    text = ",".join(str(number) for number in numbers)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _qmc(experiment: Experiment, number: int, study: optuna.Study) -> optuna.samplers.BaseSampler:
    """Scrambled Sobol, one sequence for the whole study: the seed is the same for every trial."""
    return optuna.samplers.QMCSampler(
        seed=mix(experiment.seed), scramble=True, warn_asynchronous_seeding=False, warn_independent_sampling=False
    )


def _centre(study: optuna.Study) -> dict[str, float] | None:
    """Where CMA-ES begins (anew after a restart): the best trial's numeric params."""
    done = [t for t in study.get_trials(deepcopy=False) if t.state == optuna.trial.TrialState.COMPLETE]
    if not done:
        return None
    return {k: v for k, v in study.best_params.items() if isinstance(v, int | float)} or None
