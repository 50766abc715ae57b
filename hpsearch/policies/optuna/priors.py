"""Draws from the priors of ranges: three quarters of the draws of a value through its prior, the others uniformly.

A prior is a distribution to draw from and no penalty: what the trials say decides. A quarter of the draws does not
depend on it, so that a wrong prior costs a few trials and hides no region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from hpsearch.document.ranges import Choices, Number, Prior, Range
from hpsearch.policies.curves.encoding import Encoding
from hpsearch.policies.optuna.seeds import mix
from hpsearch.space.space import Space

Array = NDArray[np.float64]
THROUGH = 0.75  # of the draws
CELLS = 256  # of a range, in which the density of a prior is constant


class Draws:
    """Positions drawn through priors, of the parameters of a space that have one."""

    def __init__(self, space: Space, priors: Mapping[str, Prior]) -> None:
        self._quantiles = {
            name: _quantiles(space.params[name], space.distribution(name), prior) for name, prior in priors.items()
        }

    def __bool__(self) -> bool:
        return bool(self._quantiles)

    def through(self, names: Sequence[str], positions: Array) -> Array:
        """Uniform positions (n, d) -> positions drawn from the priors; monotone in each column, as CurvesSampler asks.

        names: of the parameters (d,).
        """
        found = positions.copy()
        for column, name in enumerate(names):
            if (known := self._quantiles.get(name)) is not None:
                found[:, column] = np.interp(positions[:, column], *known)
        return found


class PriorSampler(optuna.samplers.BaseSampler):
    """Random values, through the priors. What it draws depends on the seed and the parameter's name alone."""

    def __init__(self, draws: Draws, *, seed: int) -> None:
        self._draws, self._seed = draws, seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """No parameter: each is drawn by itself."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value drawn through the parameter's prior, or uniformly."""
        rng = np.random.default_rng(mix(self._seed, *param_name.encode()))
        position = self._draws.through([param_name], rng.random((1, 1)))
        return Encoding({param_name: param_distribution}).params(position[0])[param_name]


def _quantiles(node: Range, distribution: BaseDistribution, prior: Prior) -> tuple[Array, Array]:
    """The distribution function of a draw at the edges of cells, and these edges, in positions."""
    count = len(node.choices) if isinstance(node, Choices) else CELLS
    edges = np.linspace(0.0, 1.0, count + 1)
    if not isinstance(node, Number | Choices):
        return edges, edges
    axis = Encoding({"": distribution}).axes[0]
    values = np.array([float(str(node.value(axis.value(float(at))))) for at in (edges[:-1] + edges[1:]) / 2])
    scale = np.log10 if prior.decades else np.asarray
    exponents = -0.5 * ((scale(values) - scale(np.float64(prior.center))) / prior.spread) ** 2
    weights = np.exp(exponents - exponents.max())  # of a center that is far outside of the range, the nearest value
    density = THROUGH * weights / weights.sum() + (1 - THROUGH) / count
    return np.r_[0.0, np.cumsum(density)], edges


def drawn(space: Space, priors: Mapping[str, Prior], count: int) -> list[dict[str, Any]]:
    """The values (by short name) of random trials, as a study draws its first ones: through priors, or uniformly."""
    if not priors:
        return [space.draw(seed) for seed in range(count)]
    draws, found = Draws(space, priors), list[dict[str, Any]]()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for seed in range(count):
        study = optuna.create_study(sampler=PriorSampler(draws, seed=mix(seed)))
        found.append(space.values(space.suggest(study.ask())))
    return found
