"""The policy that a space file names: `search: {policy: optuna}`, or `python:module:factory` of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch.data import user_modules
from hpsearch.errors import ConfigError, DataError, HpsearchError
from hpsearch.policies.checked import CheckedPolicy, line
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.policy import Policy
from hpsearch.space.experiment import Experiment

PREFIX = "python:"
REMEDY = "put what a script does under: if __name__ == '__main__':"


def load(experiment: Experiment) -> Policy:
    """Loads the policy that the space file names; raises ConfigError with file, line and column if that fails."""
    name = experiment.search.policy
    if not name.startswith(PREFIX):
        return OptunaPolicy(experiment)
    where = f"{experiment.where('search', 'policy')}: search.policy: {name}"
    return CheckedPolicy(_imported(name, experiment, where), experiment.space, where=where)


def _imported(name: str, experiment: Experiment, where: str) -> Policy:
    """Loads the policy of a module, which may lie beside the space file."""
    module, _, factory = name.removeprefix(PREFIX).partition(":")
    try:
        with user_modules.running(module, base=experiment.base, what=where, remedy=REMEDY):
            return _made(where, experiment, _factory(module, factory, where, experiment.base))
    except DataError as error:  # the module called sys.exit
        raise ConfigError(str(error)) from error


def _made(where: str, experiment: Experiment, factory: Callable[[Experiment], Any]) -> Policy:
    """Calls the factory with the experiment; raises ConfigError if the result is no policy."""
    try:
        made = factory(experiment)
    except HpsearchError:
        raise
    except Exception as error:
        raise ConfigError(f"{where}: the factory raised {line(error)}") from error
    missing = [method for method in ("next", "judge") if not callable(getattr(made, method, None))]
    if missing:
        raise ConfigError(f"{where}: returned {type(made).__name__}, which has no method {missing[0]}()")
    return made  # type: ignore[no-any-return]


def _factory(module: str, factory: str, where: str, base: Path) -> Callable[[Experiment], Any]:
    try:
        found = getattr(user_modules.imported(module, base=base, what=where), factory, None)
    except DataError:
        raise
    except Exception as error:  # whatever a user's module does wrong while it is imported
        raise ConfigError(f"{where}: cannot be imported ({line(error)})") from error
    if not callable(found):
        raise ConfigError(f"{where}: module {module} has no function {factory!r}")
    return found  # type: ignore[no-any-return]
