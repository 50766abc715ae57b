"""The connection to Ray, which places actors on nodes, watches the nodes, and passes messages."""

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
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.launchers.devices import cores
from hpsearch.launchers.ray import local_ray
from hpsearch.launchers.ray.actor import Actor
from hpsearch.output.error_lines import first_line
from hpsearch.space.resources import RayWorkers, Resources
from hpsearch.system.environment import refuse_old

HEAD_TIMEOUT = 45.0  # seconds for Ray's head to answer: after 60 s without it Ray ends this process
LOCAL_HEAD_TIMEOUT = 10.0  # the same for a Ray of this machine
ALIVE = 0  # the state of a node, in Ray's protocol
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no advice about it in the terminal
}


class Cluster:
    """The connection to the Ray at an address; without one, to a Ray of this machine that it starts and ends."""

    def __init__(self, wanted: RayWorkers, resources: Resources) -> None:
        """Raises UserError if Ray is not installed, cannot be reached, or refuses the token."""
        self.wanted, self.resources = wanted, resources
        self.address = wanted.address or os.environ.get("RAY_ADDRESS") or "local"
        self._ray = import_ray()
        self._avoided: set[str] = set()  # nodes
        self._joined = not self._ray.is_initialized()
        if self._joined:
            self._join()
        # This client of Ray's head takes a timeout. Made now: if the head hangs, making it takes 30 s.
        self._head = self._ray._raylet.GcsClient(address=self._ray.get_runtime_context().gcs_address)

    def _join(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self.address == "local":
            asked = self.resources.workers if isinstance(self.resources.workers, int) else 0
            wanted = math.ceil(asked * self.num_cpus)
            options |= local_ray.init_options(wanted)
        self._ray._private.worker._worker_logs_enabled = False  # else Ray prints the death of a worker, too
        try:
            with _silent(), local_ray.ending_signals_blocked() if self.address == "local" else contextlib.nullcontext():
                self._ray.init(address=self.address, **options)
        except Exception as error:  # ConnectionError, RuntimeError, AuthenticationError or ValueError
            with contextlib.suppress(Exception):
                self._ray.shutdown()
            raise UserError(
                f"launcher: cannot join Ray at {self.address}: {first_line(error).rstrip('.')}{self._hint}"
            ) from None

    @property
    def _hint(self) -> str:
        """What to check: Ray raises the same error for a wrong token and for a wrong address."""
        if self.address == "local":
            return ""
        return "; is it running there, and is its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH (RAY_AUTH_MODE=token)?"

    @property
    def num_cpus(self) -> float:
        """The number of CPUs of each worker."""
        return float(self.resources.threads or 1) if self.wanted.num_cpus is None else self.wanted.num_cpus

    @property
    def num_gpus(self) -> float:
        """The number of GPUs of each worker; may be a fraction."""
        if self.wanted.num_gpus is not None:
            return self.wanted.num_gpus
        return float(self.resources.gpus_per_trial) if self.device == "cuda" else 0.0

    @cached_property
    def device(self) -> str:
        """The kind of device of the workers: cpu, cuda."""
        wanted = self.resources.device
        if wanted != "auto":
            return wanted
        has_gpus = any(node.get("GPU", 0) for node in self.nodes().values())
        return "cuda" if has_gpus and self.wanted.num_gpus != 0 else "cpu"

    def nodes(self) -> dict[str, dict[str, float]]:
        """Returns the resources of each living node; raises TrainingFailed if the head does not answer.

        `ray.nodes()` has no timeout: it waits for a head that hangs.
        """
        patience = LOCAL_HEAD_TIMEOUT if self.address == "local" else HEAD_TIMEOUT
        try:
            found = self._head.get_all_node_info(timeout=patience) if self._is_head_reachable(patience) else None
        except self._ray.exceptions.RpcError:
            found = None
        if found is None:
            raise TrainingFailed(
                f"launcher: the Ray at {self.address} does not answer: its head node has gone or cannot be reached; "
                "the same command resumes the study"
            )
        return {key.hex(): dict(node.resources_total) for key, node in found.items() if node.state == ALIVE}

    def is_alive(self, node: str) -> bool:
        """Whether a node is alive; False also if the head does not answer."""
        with contextlib.suppress(TrainingFailed):
            return self._is_head_reachable(1.0) and node in self.nodes()
        return False

    def plan(self, *, cache: Path, base: Path) -> list[WorkerSettings]:
        """Returns the settings of each worker: `workers` of them, or as many as fit on the present nodes.

        Raises UserError if none fits.
        """
        self._refuse_cpus()
        count = self.resources.workers
        if not isinstance(count, int):
            count = sum(self._capacity(node) for node in self.nodes().values())
        if count == 0:
            wanted = f"{self.num_cpus:g} CPUs and {self.num_gpus:g} GPUs"
            raise UserError(
                f"workers: no node of the Ray at {self.address} has {wanted} for a worker; "
                "give a number of workers to wait for nodes that join"
            )
        device = "cuda:0" if self.device == "cuda" else self.device  # Ray hides all other GPUs from the actor
        threads, each = self.resources.threads or 1, max(1, int(self.num_gpus))
        return [WorkerSettings(device=device, threads=threads, cache=cache, base=base, gpus=each)] * count

    def _refuse_cpus(self) -> None:
        """Raises UserError if a trial wants several GPUs of a cluster without any."""
        wanted = self.resources.gpus_per_trial
        if wanted > 1 and self.device != "cuda":
            raise UserError(
                f"gpus_per_trial: {wanted}, but no node of the Ray at {self.address} has a GPU; allowed here: 1, or "
                "device: cuda and a number of workers, to wait for nodes that join"
            )

    def _capacity(self, node: dict[str, float]) -> int:
        """Returns the number of workers that fit on a node with these resources."""
        needs = [(node.get("CPU", 0.0), self.num_cpus), (node.get("GPU", 0.0), self.num_gpus)]
        return min((math.floor(has / need + 1e-9) for has, need in needs if need > 0), default=cores())

    @cached_property
    def _actor_class(self) -> Any:
        """The actor class, registered with Ray."""
        wanted = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "max_restarts": 0}
        return self._ray.remote(concurrency_groups={"listen": 1}, **wanted)(Actor)

    def start(self, slot: int, settings: WorkerSettings, trainer: str) -> Any:
        """Returns a new actor; it starts when a node that is not avoided has free resources."""
        avoided = f"!in({','.join(sorted(self._avoided))})"
        actor_class = self._actor_class
        if self._avoided:
            actor_class = actor_class.options(label_selector={"ray.io/node-id": avoided})
        return actor_class.remote(slot, settings, trainer, self.wanted.storage)

    def avoid(self, node: str) -> bool:
        """Excludes a node from new actors; returns False if it already was excluded."""
        is_new = node not in self._avoided
        self._avoided.add(node)
        return is_new

    def has_room_elsewhere(self) -> bool:
        """Whether a worker fits on any living node that is not avoided."""
        return any(self._capacity(has) > 0 for node, has in self.nodes().items() if node not in self._avoided)

    def leave(self, actors: Sequence[Any] = ()) -> None:
        """Kills these actors and disconnects; ends a Ray that was started here."""
        for actor in actors if actors and self._is_head_reachable(1.0) else ():
            self._kill(actor)
        if self._joined:
            if self.address == "local":
                local_ray.kill_at_shutdown(self._ray)
            self._ray.shutdown()
            self._joined = False

    def kill(self, actor: Any) -> None:
        """Kills an actor."""
        if self._is_head_reachable(1.0):
            self._kill(actor)

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(Exception):  # the actor or Ray may be dead
            self._ray.kill(actor)

    def _is_head_reachable(self, patience: float) -> bool:
        """Whether Ray's head accepts connections. Check before each request: without a head Ray ends this process."""
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
    """Hides what Ray's C++ parts print about a connection, which bypasses logging."""
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def import_ray() -> Any:
    """Returns the module `ray`; raises UserError if it is missing or too old to be safe."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    refuse_old("ray")
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("launcher: ray needs Ray: pip install 'hpsearch[ray]'") from None
    return ray
