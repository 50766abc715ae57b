"""Starts the launcher that a space file names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from hpsearch.home.home import Home
from hpsearch.launchers.devices import plan
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Launcher
from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers


@contextlib.contextmanager
def open_launcher(experiment: Experiment, home: Home, folder: Path, *, trainer: str) -> Iterator[Launcher]:
    """Starts a study's workers and closes them at the end of the block; `folder` is the study's.

    Raises UserError if the machine or the cluster lacks what `resources` asks for.
    """
    wanted = experiment.resources.launcher
    if isinstance(wanted, RayWorkers):
        with _on_ray(wanted, experiment, home, folder=folder, trainer=trainer) as launcher:
            yield launcher
    else:
        with contextlib.closing(_here(wanted.name, experiment, home, trainer=trainer)) as launcher:
            yield launcher


def _here(name: str, experiment: Experiment, home: Home, *, trainer: str) -> Launcher:
    """Starts workers on this machine."""
    settings = plan(experiment.resources, cache=home.cache.resolve(), base=experiment.base.resolve())
    if name == "inline":
        return InlineLauncher(settings[0], trainer=trainer)
    return LocalLauncher(settings, trainer=trainer, stall_timeout=experiment.search.stall_timeout)


@contextlib.contextmanager
def _on_ray(
    wanted: RayWorkers, experiment: Experiment, home: Home, *, folder: Path, trainer: str
) -> Iterator[Launcher]:
    """Connects to a Ray cluster, starts workers there, and disconnects at the end."""
    from hpsearch.launchers.ray.cluster import Cluster  # an optional dependency, a second to import
    from hpsearch.launchers.ray.launcher import RayLauncher

    with contextlib.ExitStack() as stack:
        cluster = Cluster(wanted, experiment.resources)
        stack.callback(cluster.leave)
        launcher = RayLauncher(
            cluster.plan(cache=home.cache.resolve(), base=experiment.base.resolve()),
            cluster,
            shared=folder.resolve(),
            trainer=trainer,
            stall_timeout=experiment.search.stall_timeout,
        )
        stack.callback(launcher.close)
        yield launcher
