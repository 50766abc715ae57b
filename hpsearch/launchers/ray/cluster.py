"""The connection to Ray, which places processes on nodes, sees nodes come and go, and carries messages between them.

An engine of that kind is nothing to write oneself.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.contract import WorkerSettings
from hpsearch.environment import refuse_old
from hpsearch.error_lines import first_line
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.launchers.devices import cores
from hpsearch.launchers.ray import local_ray
from hpsearch.launchers.ray.actor import Actor
from hpsearch.space.settings import RayWorkers, Resources

HEAD = 45.0  # seconds for Ray's head to answer: after 60 s without one Ray ends the whole process
HEAD_HERE = 10.0  # the same where it is of this machine
ALIVE = 0  # the state of a node, in Ray's protocol
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no advice about it on the terminal
}


class Cluster:
    """The connection to Ray: joined where there is an address, else a Ray of this machine, which ends with it."""

    def __init__(self, wanted: RayWorkers, resources: Resources) -> None:
        """Raises UserError when Ray is not installed, not to be reached, or refuses the token."""
        self.wanted, self.resources = wanted, resources
        self.address = wanted.address or os.environ.get("RAY_ADDRESS") or "local"
        self._ray = installed()
        self._avoided: set[str] = set()  # nodes
        self._joined = not self._ray.is_initialized()
        if self._joined:
            self._join()
        # Ray's own client of the head takes a limit of time; to make one takes 30 s where the head hangs already.
        self._head = self._ray._raylet.GcsClient(address=self._ray.get_runtime_context().gcs_address)

    def _join(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self.address == "local":
            asked = self.resources.workers if isinstance(self.resources.workers, int) else 0
            wanted = math.ceil(asked * self.num_cpus)
            options |= local_ray.options(wanted)
        self._ray._private.worker._worker_logs_enabled = False  # else it prints the end of a worker; we say that better
        try:
            with _silent(), local_ray.deaf() if self.address == "local" else contextlib.nullcontext():
                self._ray.init(address=self.address, **options)
        except Exception as error:  # by version: ConnectionError, RuntimeError, AuthenticationError, ValueError
            with contextlib.suppress(Exception):
                self._ray.shutdown()
            raise UserError(
                f"launcher: cannot join Ray at {self.address}: {first_line(error).rstrip('.')}{self._hint}"
            ) from None

    @property
    def _hint(self) -> str:
        """What to look after when a cluster refuses: Ray says the same of a wrong token and of a wrong address."""
        if self.address == "local":
            return ""
        return "; is it running there, and is its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (RAY_AUTH_MODE=token)?"

    @property
    def num_cpus(self) -> float:
        """CPUs that each worker takes."""
        return float(self.resources.threads or 1) if self.wanted.num_cpus is None else self.wanted.num_cpus

    @property
    def num_gpus(self) -> float:
        """GPUs (or a share of one) that each worker takes."""
        if self.wanted.num_gpus is not None:
            return self.wanted.num_gpus
        return 1.0 if self.device == "cuda" else 0.0

    @cached_property
    def device(self) -> str:
        """The kind of device that workers train on."""
        wanted = self.resources.device
        if wanted != "auto":
            return wanted
        has_gpus = any(node.get("GPU", 0) for node in self.nodes().values())
        return "cuda" if has_gpus and self.wanted.num_gpus != 0 else "cpu"

    def nodes(self) -> dict[str, dict[str, float]]:
        """The living nodes, and what each has in all; raises TrainingFailed where the head does not say.

        `ray.nodes()` says the same, but waits for a head that has taken the question and does not answer it.
        """
        patience = HEAD_HERE if self.address == "local" else HEAD
        try:
            found = self._head.get_all_node_info(timeout=patience) if self._answers(patience) else None
        except self._ray.exceptions.RpcError:
            found = None
        if found is None:
            raise TrainingFailed(
                f"launcher: the Ray at {self.address} does not answer: its head node has gone or cannot be reached; "
                "the same command goes on with the study"
            )
        return {key.hex(): dict(node.resources_total) for key, node in found.items() if node.state == ALIVE}

    def has(self, node: str) -> bool:
        """Whether a node is alive; where the head does not say, it is as good as gone."""
        with contextlib.suppress(TrainingFailed):
            return self._answers(1.0) and node in self.nodes()
        return False

    def plan(self, *, cache: Path, base: Path) -> list[WorkerSettings]:
        """A setting for each worker: as many as were asked for, or as the nodes carry that are there now."""
        count = self.resources.workers
        if not isinstance(count, int):
            count = sum(self._carries(node) for node in self.nodes().values())
        if count == 0:
            wanted = f"{self.num_cpus:g} CPUs and {self.num_gpus:g} GPUs"
            raise UserError(
                f"workers: no node of the Ray at {self.address} has {wanted} for a worker; "
                "give a number of workers to wait for nodes that join"
            )
        device = "cuda:0" if self.device == "cuda" else self.device  # the first that Ray lets the process see
        return [WorkerSettings(device=device, threads=self.resources.threads or 1, cache=cache, base=base)] * count

    def _carries(self, node: dict[str, float]) -> int:
        """Workers that fit on a node."""
        needs = [(node.get("CPU", 0.0), self.num_cpus), (node.get("GPU", 0.0), self.num_gpus)]
        return min((math.floor(has / need + 1e-9) for has, need in needs if need > 0), default=cores())

    @cached_property
    def _kind(self) -> Any:
        """The actors' class, made known to the cluster."""
        wanted = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "max_restarts": 0}
        return self._ray.remote(concurrency_groups={"listen": 1}, **wanted)(Actor)

    def start(self, slot: int, settings: WorkerSettings, trainer: str) -> Any:
        """A new actor; it comes as soon as a node has room that is not avoided."""
        avoided = f"!in({','.join(sorted(self._avoided))})"
        kind = self._kind.options(label_selector={"ray.io/node-id": avoided}) if self._avoided else self._kind
        return kind.remote(slot, settings, trainer, self.wanted.storage)

    def avoid(self, node: str) -> bool:
        """Starts no actor on this node any more; gives whether that is new."""
        is_new = node not in self._avoided
        self._avoided.add(node)
        return is_new

    def has_room_elsewhere(self) -> bool:
        """Whether any living node that is not avoided carries a worker."""
        return any(self._carries(has) > 0 for node, has in self.nodes().items() if node not in self._avoided)

    def leave(self, actors: Sequence[Any] = ()) -> None:
        """Ends these actors and the connection, and with it a Ray that was started here."""
        for actor in actors if actors and self._answers(1.0) else ():
            self._kill(actor)
        if self._joined:
            if self.address == "local":
                local_ray.kill_at_shutdown(self._ray)
            self._ray.shutdown()
            self._joined = False

    def kill(self, actor: Any) -> None:
        """Ends an actor at once."""
        if self._answers(1.0):
            self._kill(actor)

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(Exception):  # it may be dead, or Ray itself
            self._ray.kill(actor)

    def _answers(self, patience: float) -> bool:
        """Whether Ray's head can be reached: what asks one that is gone, waits a minute and ends the whole process."""
        if not self._ray.is_initialized():
            return False
        host, _, port = self._ray.get_runtime_context().gcs_address.rpartition(":")
        address, deadline = (host.strip("[]"), int(port)), time.monotonic() + patience
        while True:
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=patience):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps what Ray's C++ parts say of a connection from the terminal, where it goes past all logging."""
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def installed() -> Any:
    """Ray's module; raises UserError where it is not installed, or too old to be safe."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    refuse_old("ray")
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("launcher: ray needs Ray: pip install 'hpsearch[ray]'") from None
    return ray
