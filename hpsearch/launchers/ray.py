"""Workers as actors of a Ray cluster, one for each slot; a dead one is seen, and replaced where there is room.

Ray places processes on nodes, sees nodes come and go, and carries messages between them: an engine of that kind is
nothing to write oneself. Results come as object references, one a slot, so that nothing here waits for a node.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch.environment import refuse_old
from hpsearch.errors import UserError
from hpsearch.launchers.actor import Actor, Life, Place, Shared
from hpsearch.launchers.devices import cores
from hpsearch.launchers.local import LONGEST_LOOK, REPLACED_AFTER
from hpsearch.launchers.messages import Ended, Failed, Message, Reply, Task
from hpsearch.launchers.worker import TRAINER
from hpsearch.space.settings import RayWorkers, Resources
from hpsearch.training.contract import Setting

BEAT = 2.0  # seconds between questions for a sign of life
UNREACHABLE = 60.0  # seconds after which an actor that cannot be reached is given up; Ray finds a dead node sooner
STORE = 100 * 2**20  # bytes of Ray's object store: messages are small, and larger data lie in files
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
        self._ray = _installed()
        self._joined = not self._ray.is_initialized()
        if self._joined:
            self._join()

    def _join(self) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if self.address == "local":
            asked = self.resources.workers if isinstance(self.resources.workers, int) else 0
            wanted = math.ceil(asked * self.num_cpus)
            options |= {"num_cpus": max(cores(), wanted), "include_dashboard": False, "object_store_memory": STORE}
        self._ray._private.worker._worker_logs_enabled = False  # else it prints the end of a worker; we say that better
        try:
            with _silent():
                self._ray.init(address=self.address, **options)
        except Exception as error:  # by version: ConnectionError, RuntimeError, AuthenticationError, ValueError
            with contextlib.suppress(Exception):
                self._ray.shutdown()
            raise UserError(f"launcher: cannot join Ray at {self.address}: {_said(error)}{self._hint}") from None

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

    @property
    def device(self) -> str:
        """The kind of device that workers train on."""
        wanted = self.resources.device
        if wanted != "auto":
            return wanted
        has_gpus = any(node.get("GPU", 0) for node in self.nodes().values())
        return "cuda" if has_gpus and self.wanted.num_gpus != 0 else "cpu"

    def nodes(self) -> dict[str, dict[str, float]]:
        """The living nodes, and what each has in all."""
        return {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}

    def plan(self, *, cache: Path, base: Path) -> list[Setting]:
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
        return [Setting(device=device, threads=self.resources.threads or 1, cache=cache, base=base)] * count

    def _carries(self, node: dict[str, float]) -> int:
        """Workers that fit on a node."""
        needs = [(node.get("CPU", 0.0), self.num_cpus), (node.get("GPU", 0.0), self.num_gpus)]
        return min((math.floor(has / need + 1e-9) for has, need in needs if need > 0), default=cores())

    def start(self, slot: int, setting: Setting, trainer: str) -> Any:
        """A new actor; it comes as soon as a node has room."""
        kind = self._ray.remote(
            num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_restarts=0, concurrency_groups={"listen": 1}
        )(Actor)
        return kind.remote(slot, setting, trainer)

    def leave(self) -> None:
        """Ends the connection, and with it a Ray that was started here."""
        if self._joined:
            self._ray.shutdown()


@dataclass
class _Slot:
    """The driver's end of one actor."""

    actor: Any
    pending: Any  # the reference of what it says next; None: it waits for us
    place: Place | None = None  # None: not there yet
    task: Task | None = None
    turn: int = 0
    life: Any = None  # the reference of a sign of life
    asked: float = 0.0  # when
    looks: int = -1  # between steps, as it last said
    memory: int = 0
    silent: float = 0.0  # seconds since it was last heard of
    doubted: float = 0.0  # when it could first not be reached

    @property
    def host(self) -> str:
        """Where it is, for people."""
        return "a node" if self.place is None else f"node {self.place.host}"


class RayLauncher:
    """One actor for each setting; `ready` once a node has room for it and its trainer is imported."""

    def __init__(
        self, settings: list[Setting], cluster: Cluster, *, shared: Path, trainer: str = TRAINER, **options: float
    ) -> None:
        """`shared`: the study's folder, which every node must see; `stall_timeout`: as in LocalLauncher."""
        self._ray = _installed()
        self.settings, self._settings, self.cluster, self.trainer = [*settings], settings, cluster, trainer
        self.stall_timeout = options.pop("stall_timeout", math.inf)
        self._shared = Shared(shared / f".shared-{secrets.token_hex(4)}", secrets.token_hex(16))
        self._shared.path.write_text(self._shared.text)
        self._looked = time.monotonic()
        self._slots = [self._start(slot) for slot in range(len(settings))]

    # ------------------------------------------------------------------------------------------------- as all launchers

    def ready(self, slot: int) -> bool:
        """Whether its actor has said where it is."""
        return self._slots[slot].place is not None

    def train(self, slot: int, task: Task) -> None:
        """Hands a trial to a free worker that is ready."""
        worker = self._slots[slot]
        worker.turn, worker.task, worker.silent = worker.turn + 1, task, 0.0
        worker.pending = worker.actor.train.remote(worker.turn, task)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""
        worker = self._slots[slot]
        if worker.task is None or worker.task.trial != reply.trial:
            return
        if worker.pending is None:
            worker.silent = 0.0
            worker.pending = worker.actor.answer.remote(reply.answer)
        else:
            _listening(worker.actor.tell).remote(worker.turn, reply.answer)

    def messages(self, timeout: float) -> list[Message]:
        """What workers have said; one that is gone with a trial is a message too, and is replaced."""
        waiting = {worker.pending: slot for slot, worker in enumerate(self._slots) if worker.pending is not None}
        if not waiting:
            time.sleep(timeout)
            return []
        self._ray.wait([*waiting], num_returns=1, timeout=timeout)
        said, _ = self._ray.wait([*waiting], num_returns=len(waiting), timeout=0)
        found = [message for reference in said for message in self._take(waiting[reference])]
        return found + self._look_for_life()

    def close(self) -> None:
        """Ends all workers at once."""
        with contextlib.suppress(OSError):
            self._shared.path.unlink()
        for worker in self._slots:
            self._kill(worker)
        self.cluster.leave()

    # -------------------------------------------------------------------------------------------------------- one actor

    def _start(self, slot: int) -> _Slot:
        actor = self.cluster.start(slot, self._settings[slot], self.trainer)
        return _Slot(actor, actor.hello.remote(self._shared))

    def _take(self, slot: int) -> list[Message]:
        """What the slot's reference holds."""
        worker = self._slots[slot]
        reference, worker.pending, worker.silent = worker.pending, None, 0.0
        try:
            said: Place | Life | list[Message] = self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:
            return self._doubt(slot)
        except self._ray.exceptions.RayError as error:
            return self._bury(slot, *self._cause(worker, error))
        if isinstance(said, Life):  # it was in doubt, and what it said before is lost
            return self._bury(slot, "lost", f"the connection to {worker.host} was cut")
        if isinstance(said, Place):
            self._settle(slot, said)
            return []
        for message in said:
            if isinstance(message, Ended | Failed):
                worker.task = None
            if _spoils(message):
                self._bury(slot)
        return said

    def _settle(self, slot: int, place: Place) -> None:
        """An actor is there: its device gets a name that no other node's has. Raises UserError where it lacks files."""
        if not place.shares:
            raise UserError(
                f"launcher: node {place.host} does not see {self._shared.path.parent}: "
                "--home must be on a path that all nodes of the Ray cluster share"
            )
        self._slots[slot].place = place
        if place.gpus:
            self.settings[slot] = replace(self._settings[slot], device=f"cuda:{place.gpus[0]}@{place.host}")

    def _bury(self, slot: int, kind: str = "", reason: str = "") -> list[Message]:
        """Replaces an actor; its trial, if it has one, has failed."""
        worker = self._slots[slot]
        self._kill(worker)
        self._slots[slot] = self._start(slot)
        return [] if worker.task is None else [Failed(slot, worker.task.trial, kind, reason)]

    def _doubt(self, slot: int) -> list[Message]:
        """An actor cannot be reached: asks again until Ray knows what became of it, or it is given up."""
        worker, now = self._slots[slot], time.monotonic()
        worker.doubted = worker.doubted or now
        if self._is_gone(worker) or now - worker.doubted > UNREACHABLE:
            return self._bury(slot, "lost", f"{worker.host} went away")
        time.sleep(0.02)  # the answer may come at once
        worker.pending = _listening(worker.actor.life).remote()
        return []

    def _cause(self, worker: _Slot, error: Exception) -> tuple[str, str]:
        """How an actor ended: kind and reason."""
        if isinstance(error, self._ray.exceptions.RayTaskError):  # not the training's: what that raises is a message
            return "error", _said(error)
        taken = f"{worker.memory / 2**30:.2f} GiB"
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            return "out_of_memory", f"out of memory: Ray killed the worker on {worker.host}, which had taken {taken}"
        if "its node has died" in str(error) or self._is_gone(worker):
            return "lost", f"{worker.host} went away"
        return "died", f"the worker on {worker.host} ended" + (f" (it had taken {taken})" if worker.memory else "")

    def _is_gone(self, worker: _Slot) -> bool:
        return worker.place is not None and worker.place.node not in self.cluster.nodes()

    def _kill(self, worker: _Slot) -> None:
        with contextlib.suppress(Exception):  # it may be dead, or Ray itself
            self._ray.kill(worker.actor)

    # ------------------------------------------------------------------------------------------------------------- life

    def _look_for_life(self) -> list[Message]:
        """Asks those that train for a sign of life; one without a step for too long is killed."""
        now = time.monotonic()
        looked, self._looked = min(now - self._looked, LONGEST_LOOK), now
        found: list[Message] = []
        for slot, worker in enumerate(self._slots):
            if worker.task is None or worker.pending is None:
                continue
            worker.silent += looked
            self._listen(worker, now)
            if worker.silent > self.stall_timeout + looked:
                found += self._bury(slot, "stalled", f"no step for {self.stall_timeout:g} s")
        return found

    def _listen(self, worker: _Slot, now: float) -> None:
        if worker.life is not None and self._ray.wait([worker.life], timeout=0)[0]:
            reference, worker.life = worker.life, None
            with contextlib.suppress(self._ray.exceptions.RayError):  # its death comes with what is pending
                life: Life = self._ray.get(reference)
                worker.silent = 0.0 if life.looks != worker.looks else worker.silent
                worker.looks, worker.memory = life.looks, life.memory
        if worker.life is None and now - worker.asked > BEAT:
            worker.life, worker.asked = _listening(worker.actor.life).remote(), now


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


def _spoils(message: Message) -> bool:
    """Whether a worker is to be replaced after this."""
    return (isinstance(message, Failed) and message.kind in REPLACED_AFTER) or getattr(message, "leaks", False)


def _listening(method: Any) -> Any:
    """A method, called beside the training."""
    return method.options(concurrency_group="listen")


def _installed() -> Any:
    """Ray's module; raises UserError where it is not installed, or too old to be safe."""
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    refuse_old("ray")
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("launcher: ray needs Ray: pip install 'hpsearch[ray]'") from None
    return ray


def _said(error: Exception) -> str:
    """What Ray says of an error, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
