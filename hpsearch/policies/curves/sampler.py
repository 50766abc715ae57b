"""CurvesSampler: a sampler for any Optuna study that learns from the learning curves of all its trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from hpsearch.policies.curves.conditions import Conditions
from hpsearch.policies.curves.curves import Curves, known
from hpsearch.policies.curves.encoding import Encoding
from hpsearch.policies.curves.model import Landscape, Predictions

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Space = dict[str, BaseDistribution]
Prior = Callable[[Array], Array]  # uniform positions (n, d) -> positions drawn from the prior, monotone in each column

LEAST_STARTUP = 8  # trials by Sobol
FEWEST = 4  # trials with a value, before there is a model
LEAST_RANDOM, MOST_RANDOM = 0.2, 0.95  # share of the trials without the model
NO_TRUST, TRUSTED = 0.15, 1.6  # the trust that chance may give; times what is above, the model's share of the trials
CANDIDATES = 500  # draws from the prior
CENTRES, AROUND = 6, 30  # the best trials, and perturbations of each
NEAREST, FARTHEST = 0.02, 0.3  # deviation of a perturbation, in positions
MOVED = 0.6  # of the parameters in a perturbation
SAME = 1e-4  # distance of positions below which two configs are one


class CurvesSampler(optuna.samplers.BaseSampler):
    """Samples where the learning curves of all trials, finished, pruned and running, promise an improvement.

    The intermediate values of each trial are extrapolated to the end of its training, rung by rung (chain.py); a
    Gaussian process with the variance of each extrapolation as its noise (process.py) predicts new configs; the sampler
    proposes the one with the highest expected improvement on every trial (model.py). Trials without a value yet are
    pending. The first trials, and a share of all others, are points of a scrambled Sobol sequence.

    The proposal for a trial depends on the seed, the trial's number and the study's trials alone, not on what the
    sampler was asked before. A proposal takes under 0.1 s however long the study is: the Gaussian process sees 140
    trials, the best and a random part of the others, and of a study of more than 1,000 trials the best and the latest
    are read.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        n_startup_trials: int | None = None,
        random_share: float | None = None,
        max_resource: int | None = None,
        search_space: Mapping[str, BaseDistribution] | None = None,
        prior: Prior | None = None,
    ) -> None:
        """n_startup_trials: trials before there is a model (default: the number of parameters + 2, at least 8).

        random_share: of the later trials, those that the Sobol sequence proposes (default: 0.2 to 0.95, the more the
        worse the model ranks trials that it has not seen); max_resource: the step at which a training ends (default:
        the largest that was reported); search_space: all parameters, also those that only some trials have (default:
        those of the earlier trials); prior: where to draw (default: uniform).
        """
        self._seed = _entropy() if seed is None else seed
        self._startup, self._share, self._end = n_startup_trials, random_share, max_resource
        self._space = dict(search_space) if search_space is not None else None
        self._prior = prior or (lambda positions: positions)

    def reseed_rng(self) -> None:
        """Draws a new seed, for a copy of the sampler in another process."""
        self._seed = _entropy()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        """All parameters of more than one value, conditional ones too: what a trial does not ask for is left over."""
        _refuse_several_objectives(study)
        found = dict(self._space) if self._space is not None else _parameters(study)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """The point of the Sobol sequence, or the proposal of the model."""
        if not search_space:
            return {}
        encoding, rng = Encoding(search_space), np.random.default_rng((self._seed, trial.number))
        startup = self._startup if self._startup is not None else max(LEAST_STARTUP, len(encoding) + 2)
        if trial.number < startup:
            return self._spread(encoding, trial.number)
        return self._proposed(study, trial, encoding, rng) or self._spread(encoding, trial.number)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, of a parameter that no earlier trial had."""
        _refuse_several_objectives(study)
        encoding = Encoding({param_name: param_distribution})
        word = int.from_bytes(sha256(param_name.encode()).digest()[:4], "big")
        rng = np.random.default_rng((self._seed, trial.number, word))
        return encoding.params(rng.random((1, 1))[0])[param_name]

    # --------------------------------------------------------------------------------------------------------- inwards

    def _spread(self, encoding: Encoding, number: int) -> dict[str, Any]:
        """Point `number` of the scrambled Sobol sequence, through the prior."""
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(encoding), scramble=True, rng=np.random.default_rng(self._seed))
        if number:
            sequence.fast_forward(number)
        return encoding.params(self._prior(sequence.random(1))[0])

    def _proposed(
        self, study: optuna.Study, trial: FrozenTrial, encoding: Encoding, rng: np.random.Generator
    ) -> dict[str, Any] | None:
        """The config with the highest expected improvement; None: the Sobol sequence proposes the trial.

        So it does for a share of the trials, and if too few have a value or no candidate is new.
        """
        seen = self._seen(study, encoding, rng, without=trial.number)
        if seen is None:
            return None
        landscape, tried = seen.landscape, seen.tried
        if rng.random() < self._random_share(landscape):
            return None
        best = tried.positions[seen.valued][np.argsort(seen.predictions.means, kind="stable")[:CENTRES]]
        positions = tried.new(self._candidates(encoding, best, rng))
        if not len(positions):
            return None
        landscape = landscape.with_pending(tried.columns[~seen.valued])
        columns = encoding.columns(positions, tried.conditions.active(positions))
        return encoding.params(positions[int(np.argmax(landscape.improvement(columns)))])

    def _seen(self, study: optuna.Study, encoding: Encoding, rng: np.random.Generator, *, without: int) -> Seen | None:
        """What the model makes of the study's trials but one; None: too few have a value."""
        trials = known([t for t in study.get_trials(deepcopy=False) if t.number != without], study.direction)
        read = Curves.read(trials, direction=study.direction, end=self._end)
        valued = np.array([bool(curve) for curve in read.curves], dtype=bool)
        if valued.sum() < FEWEST:
            return None
        predictions = Predictions.of([curve for curve in read.curves if curve], read.rungs)
        tried = Tried.of(encoding, read.params)
        landscape = Landscape.fit(predictions, tried.columns[valued], groups=encoding.groups, rng=rng)
        return Seen(valued, predictions, tried, landscape)

    def _random_share(self, landscape: Landscape) -> float:
        """The share of trials that are drawn: the less the model can be trusted, the more."""
        by_trust = min(MOST_RANDOM, max(LEAST_RANDOM, 1.0 - TRUSTED * (landscape.trust - NO_TRUST)))
        return by_trust if self._share is None else self._share

    def _candidates(self, encoding: Encoding, best: Array, rng: np.random.Generator) -> Array:
        """Draws from the prior, and perturbations of the best trials by normal steps of very different sizes."""
        draws, d = self._prior(rng.random((CANDIDATES, len(encoding)))), len(encoding)
        sizes = np.exp(rng.uniform(np.log(NEAREST), np.log(FARTHEST), (len(best), AROUND, 1)))
        moved = rng.random((len(best), AROUND, d)) < MOVED
        around = best[:, None] + rng.normal(size=(len(best), AROUND, d)) * sizes * moved
        return encoding.snapped(np.clip(np.vstack([draws, around.reshape(-1, d)]), 0.0, 1.0))


@dataclass(frozen=True)
class Seen:
    """A study as the model sees it."""

    valued: Mask  # which trials have a value
    predictions: Predictions  # of those
    tried: Tried
    landscape: Landscape


@dataclass(frozen=True)
class Tried:
    """The configs of a study's trials."""

    positions: Array  # (n, d), snapped
    columns: Array
    conditions: Conditions

    @classmethod
    def of(cls, encoding: Encoding, params: Sequence[Mapping[str, Any]]) -> Tried:
        """The configs with these params."""
        positions, active = encoding.read(params)
        conditions = Conditions.learn(positions, active, [axis.count for axis in encoding.axes])
        return cls(positions, encoding.columns(positions, active), conditions)

    def new(self, positions: Array) -> Array:
        """The positions (m, d) at which no trial stands: what stays of them."""
        squares = (positions**2).sum(1)[:, None] + (self.positions**2).sum(1)[None] - 2 * positions @ self.positions.T
        found: Array = positions[(squares > SAME**2).all(axis=1)]
        return found


def _entropy() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _parameters(study: optuna.Study) -> Space:
    """The parameters of the study's trials, each with its latest distribution, by name."""
    found: Space = {}
    for trial in study.get_trials(deepcopy=False):
        found.update(trial.distributions)
    return dict(sorted(found.items()))


def _refuse_several_objectives(study: optuna.Study) -> None:
    if len(study.directions) > 1:
        raise ValueError("CurvesSampler is for one objective")
