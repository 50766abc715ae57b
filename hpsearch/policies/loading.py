"""The policy that a space file names: `search: {policy: optuna}`, or `python:module:factory` of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpsearch.errors import ConfigError, DataError, HpsearchError
from hpsearch.output.error_lines import with_line
from hpsearch.policies.checked import CheckedPolicy
from hpsearch.policies.first_trials import FirstTrials
from hpsearch.policies.horizons import Horizons
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.policy import Policy
from hpsearch.space.experiment import Experiment
from hpsearch.system import user_modules
from hpsearch.system.user_modules import PREFIX, REMEDY


def load(experiment: Experiment) -> Policy:
    """Loads the policy that the space file names; raises ConfigError with file, line and column if that fails."""
    name = experiment.search.policy
    if not name.startswith(PREFIX):
        policy = FirstTrials(experiment, OptunaPolicy(experiment))
        return Horizons(experiment, policy) if experiment.search.shift else policy
    where = f"{experiment.where('search', 'policy')}: search.policy: {name}"
    return CheckedPolicy(_imported(name, experiment, where), experiment.space, where=where)


def _imported(name: str, experiment: Experiment, where: str) -> Policy:
    """Loads the policy of a module, which may lie beside the space file."""
    module, attribute = user_modules.split(name)
    factory = user_modules.load(name, base=experiment.base, where=where, error=ConfigError)
    if not callable(factory):
        raise ConfigError(f"{where}: module {module} has no function {attribute!r}")
    try:
        with user_modules.running(module, base=experiment.base, what=where, remedy=REMEDY):
            return _made(where, experiment, factory)
    except DataError as error:  # the factory called sys.exit
        raise ConfigError(str(error)) from error


def _made(where: str, experiment: Experiment, factory: Callable[[Experiment], Any]) -> Policy:
    """Calls the factory with the experiment; raises ConfigError if the result is no policy."""
    try:
        made = factory(experiment)
    except HpsearchError:
        raise
    except Exception as error:
        raise ConfigError(f"{where}: the factory raised {with_line(error, experiment.base)}") from error
    missing = [method for method in ("next", "judge") if not callable(getattr(made, method, None))]
    if missing:
        raise ConfigError(f"{where}: returned {type(made).__name__}, which has no method {missing[0]}()")
    return made  # type: ignore[no-any-return]
