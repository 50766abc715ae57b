"""Optuna's samplers and pruners by the names a space file gives them.

Each trial has a new sampler, seeded by (study seed, number of trials): a restarted driver then proposes what an
undisturbed one would have proposed, not its first configs again.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any, cast

import numpy as np
import optuna

from hpsearch.policies.optuna.priors import Draws, PriorSampler
from hpsearch.policies.optuna.seeds import mix
from hpsearch.policies.optuna.shortlist import Part, Shortlist
from hpsearch.space.experiment import Experiment
from hpsearch.space.pruners import (
    AnyPruner,
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from hpsearch.space.search import Search

FEWEST_STARTUP, MOST_STARTUP = 4, 10  # random trials before TPE or a Gaussian process is fitted


def make_sampler(
    experiment: Experiment, number: int, shortlist: Shortlist, *, draws: Draws | None = None, learnt: int = 0
) -> optuna.samplers.BaseSampler:
    """The sampler that proposes trial `number` of the study that the shortlist is of.

    draws: through priors, of the trials that are random; learnt: trials of other studies, which the sampler knows.
    """
    name, seed, space = experiment.search.sampler, mix(experiment.seed, number), experiment.space
    startup = min(MOST_STARTUP, max(FEWEST_STARTUP, len(space.params) + 2))
    random = {"tpe": startup, "gp": startup, "cmaes": MOST_STARTUP, "random": number + learnt + 1}.get(
        name, 0
    )  # first trials
    if draws and number + learnt < random:
        return PriorSampler(draws, seed=seed)
    if name == "tpe":
        options = {"multivariate": True, "constant_liar": True, "group": space.conditional}
        return BoundedTPE(shortlist, seed=seed, n_startup_trials=startup, **options)
    if name == "curves":
        return _curves(experiment, draws)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "qmc":
        return Sobol(experiment, number)
    if name == "cmaes":
        return _cmaes(shortlist.study, seed=seed)
    return _grid(experiment, number)


def make_pruner(wanted: AnyPruner, *, evaluations: int | None) -> optuna.pruners.BasePruner:
    """The pruner; its steps are the indices of a trial's `evaluations` (None: their number is not known)."""
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
        return AmongPeers(optuna.pruners.SuccessiveHalvingPruner(**options))
    if isinstance(wanted, HyperbandPruner):
        return AmongPeers(optuna.pruners.HyperbandPruner(**options, max_resource=evaluations or "auto"))
    if isinstance(wanted, PatientPruner):
        inner = Search.model_validate({"pruner": wanted.wrapped}).pruner
        return optuna.pruners.PatientPruner(make_pruner(inner, evaluations=evaluations), **options)
    return optuna.pruners.NopPruner()


def takes_notes(wanted: AnyPruner) -> bool:
    """Whether the pruner stores in the study which rung each trial reached, each time that it is asked."""
    if isinstance(wanted, PatientPruner):
        return takes_notes(Search.model_validate({"pruner": wanted.wrapped}).pruner)
    return isinstance(wanted, SuccessiveHalvingPruner | HyperbandPruner)


class BoundedTPE(optuna.samplers.TPESampler):
    """TPE that reads the best and the latest trials of a long study, so that the cost of an `ask` does not grow.

    Its good side are the 25 best at most (default_gamma of Optuna), and its weights let the older ones on the other
    side fade (arXiv 2304.11127, section 3.4): what is left out would hardly count.
    """

    def __init__(self, shortlist: Shortlist, **options: Any) -> None:
        """`options`: those of Optuna's TPESampler."""
        super().__init__(**options)
        self._shortlist = shortlist

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """As Optuna's, with the trials of the shortlist."""
        self._looked_at = self._shortlist.part()  # once: a sampler proposes one trial
        return super().infer_relative_search_space(self._looked_at, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """As Optuna's, with the trials of the shortlist."""
        return super().sample_relative(self._looked_at, trial, search_space)


class AmongPeers(optuna.pruners.BasePruner):
    """Halving that stops no trial before four have reached the same evaluation: half of fewer says nothing."""

    fewest = 4

    def __init__(self, halving: optuna.pruners.BasePruner) -> None:
        self._halving = halving

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether the trial falls behind. The halving is always asked: it stores which rung the trial reached."""
        if not self._halving.prune(study, trial):
            return False
        step, trials = trial.last_step, study.get_trials(deepcopy=False)
        peers = (True for peer in trials if step in peer.intermediate_values)
        return len(list(islice(peers, self.fewest))) >= self.fewest


class OwnTrials(optuna.pruners.BasePruner):
    """A pruner that does not compare with the first trials of the study, which are of other studies."""

    def __init__(self, pruner: optuna.pruners.BasePruner, *, others: int) -> None:
        self._pruner, self._others = pruner, others

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether the pruner stops the trial among those of this study."""
        own = Part(study, study.get_trials(deepcopy=False)[self._others :])
        return self._pruner.prune(cast(optuna.Study, own), trial)


class Sobol(optuna.samplers.QMCSampler):
    """Scrambled Sobol in which trial n takes the n-th point of one sequence for the whole study.

    Optuna counts its points in memory, and draws the first trials independently: a restarted driver would begin the
    sequence again, and trials that begin together could be twins.
    """

    def __init__(self, experiment: Experiment, number: int) -> None:
        """Takes the point of trial `number`."""
        super().__init__(seed=mix(experiment.seed), scramble=True, warn_independent_sampling=False)
        self._space, self._number = experiment.space, number

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """All parameters, conditional ones too: what a trial does not ask for is left over."""
        return {name: self._space.distribution(name) for name in self._space.params}

    def _find_sample_id(self, study: object, search_space: object) -> int:
        return self._number


def _curves(experiment: Experiment, draws: Draws | None) -> optuna.samplers.BaseSampler:
    """The sampler that reads curves. It derives what it draws from the seed and each trial's number itself."""
    from hpsearch.policies.curves.sampler import CurvesSampler  # imports scipy's optimizers

    space = experiment.space
    drawn = [name for name in space.params if not space.distribution(name).single()]
    return CurvesSampler(
        seed=mix(experiment.seed),
        max_resource=experiment.evaluations,
        search_space={name: space.distribution(name) for name in space.params},
        prior=partial(draws.through, drawn) if draws else None,
    )


def _grid(experiment: Experiment, number: int) -> optuna.samplers.BaseSampler:
    """The grid in an order that the seed shuffles: trial n takes its n-th point."""
    size = experiment.space.size or 1
    index = int(np.random.default_rng(experiment.seed).permutation(size)[number % size])
    point = experiment.space.point(index)
    return optuna.samplers.PartialFixedSampler(point, optuna.samplers.RandomSampler(seed=mix(experiment.seed, number)))


def _cmaes(study: optuna.Study, *, seed: int) -> optuna.samplers.BaseSampler:
    """CMA-ES, warm-started from the trials there are.

    Optuna keeps its state as a pickle, which the journal must not hold: a restarted driver begins a new distribution
    around the best trials, so that it proposes others than an undisturbed one would.
    """
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    shared = optuna.search_space.intersection_search_space(study.get_trials(deepcopy=False))
    ranges = {
        name: distribution
        for name, distribution in shared.items()
        if not isinstance(distribution, optuna.distributions.CategoricalDistribution) and not distribution.single()
    }
    known = [
        optuna.trial.create_trial(value=t.value, params={name: t.params[name] for name in ranges}, distributions=ranges)
        for t in done
    ]
    return optuna.samplers.CmaEsSampler(
        seed=seed,
        n_startup_trials=MOST_STARTUP,  # a warm start reads the best tenth: at least one trial
        warn_independent_sampling=False,
        source_trials=known or None,
    )
