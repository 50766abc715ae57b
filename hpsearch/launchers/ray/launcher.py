"""Workers as Ray actors, one for each slot; dead ones are replaced.

Results arrive as object references, one for each slot, so that nothing here waits for a node.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.launchers.local import LONGEST_INTERVAL, REPLACE_AFTER
from hpsearch.launchers.messages import Ended, Failed, Message, Reply, Task
from hpsearch.launchers.ray.actor import ActorHeartbeat, ActorInfo
from hpsearch.launchers.ray.cluster import Cluster, import_ray
from hpsearch.launchers.ray.slot import Slot, listening
from hpsearch.launchers.ray.visibility import SharedFolder, SharedStorage
from hpsearch.launchers.session import TRAINER
from hpsearch.output.error_lines import first_line, lines
from hpsearch.system import gpus

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0  # between two heartbeats of an actor
LEAVING = 3.0  # seconds for actors to delete their folders
STARTS = 3  # failed starts until the run ends, if no actor has ever started
DEATHS = 10  # likewise for deaths of any cause: nodes may have gone
FAILED_START = "creation task"  # part of Ray's message about a failed start
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0  # seconds before the next actor after one that never started; doubled each time
UNREACHABLE = 60.0  # seconds until an unreachable actor is given up; Ray detects a dead node sooner


class RayLauncher:
    """One actor for each of `settings`; it is ready when a node has resources for it and its trainer is imported."""

    def __init__(
        self,
        settings: list[WorkerSettings],
        cluster: Cluster,
        *,
        shared: Path,
        trainer: str = TRAINER,
        **options: float,
    ) -> None:
        """`shared`: the study's folder, which every node must see; `stall_timeout`: see LocalLauncher."""
        self._ray = import_ray()
        self.settings, self._settings, self.cluster, self.trainer = [*settings], settings, cluster, trainer
        self.stall_timeout = options.pop("stall_timeout", math.inf)
        name, text, url = f".shared-{secrets.token_hex(4)}", secrets.token_hex(16), cluster.wanted.storage
        self._shared = SharedFolder(shared / name, text) if url is None else SharedStorage(url, name, text)
        self._shared.write()
        self._looked = time.monotonic()
        self._any_started = False  # whether any actor has ever started
        self._failed_starts = self._deaths = 0  # of actors that never started
        self._wait = FIRST_WAIT
        self._unusable: list[str] = []  # warnings about nodes, not logged yet
        self._slots = [self._start(slot) for slot in range(len(settings))]

    # ------------------------------------------------------------------------------------------------- as all launchers

    def ready(self, slot: int) -> bool:
        """Whether the slot's actor has started."""
        return self._slots[slot].info is not None

    def train(self, slot: int, tasks: Sequence[Task]) -> None:
        """Hands a trial to a free worker that is ready; it trains no more than one."""
        worker, [task] = self._slots[slot], tasks
        worker.turn, worker.task, worker.silent_seconds = worker.turn + 1, task, 0.0
        worker.pending = worker.actor.train.remote(worker.turn, task)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or commands a trial to pause."""
        worker = self._slots[slot]
        if worker.task is None or worker.task.trial != reply.trial:
            return
        if worker.pending is None:
            worker.silent_seconds = 0.0
            worker.pending = worker.actor.answer.remote(reply.command)
        else:
            listening(worker.actor.tell).remote(worker.turn, reply.command)

    def messages(self, timeout: float) -> list[Message]:
        """Returns the workers' messages; replaces each dead worker and returns a Failed message for its trial.

        Raises UserError if no worker can start, TrainingFailed if Ray's head is gone.
        """
        self._start_due()
        waiting = {worker.pending: slot for slot, worker in enumerate(self._slots) if worker.pending is not None}
        if not waiting:
            time.sleep(timeout)
            return self._check_heartbeats()
        self._ray.wait([*waiting], num_returns=1, timeout=timeout)
        said, _ = self._ray.wait([*waiting], num_returns=len(waiting), timeout=0)
        found = [message for reference in said for message in self._take(waiting[reference])]
        found += self._check_heartbeats()
        if not found and all(worker.info is None for worker in self._slots):
            self.cluster.nodes()  # raises TrainingFailed if the head is gone: no worker would ever start
        return found

    def rest(self) -> None:
        """Ends the actors, which have no trials: an actor keeps what it has reserved of its node."""
        for slot, worker in enumerate(self._slots):
            if worker.actor is not None:
                self.cluster.kill(worker.actor)
            self._slots[slot] = Slot(start_at=math.inf)

    def wake(self) -> None:
        """Starts the actors again."""
        for worker in self._slots:
            worker.start_at = 0.0

    def close(self) -> None:
        """Kills all workers."""
        self._shared.remove()
        if self.cluster.wanted.storage is not None:
            left = [listening(worker.actor.leave).remote() for worker in self._slots if worker.info is not None]
            self._ray.wait(left, num_returns=len(left), timeout=LEAVING) if left else None
        self.cluster.leave([worker.actor for worker in self._slots if worker.actor is not None])

    # -------------------------------------------------------------------------------------------------------- one actor

    def _start(self, slot: int) -> Slot:
        actor = self.cluster.start(slot, self._settings[slot], self.trainer)
        return Slot(actor, actor.hello.remote(self._shared))

    def _start_due(self) -> None:
        """Starts the actors whose start was delayed."""
        for slot, worker in enumerate(self._slots):
            if worker.actor is None and time.monotonic() >= worker.start_at:
                self._slots[slot] = self._start(slot)

    def _take(self, slot: int) -> list[Message]:
        """Returns the messages of the slot's pending call."""
        worker = self._slots[slot]
        reference, worker.pending, worker.silent_seconds = worker.pending, None, 0.0
        try:
            said: ActorInfo | ActorHeartbeat | list[Message] = self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:
            return self._wait_for_connection(slot)
        except self._ray.exceptions.RayError as error:
            self._count_start(worker, error)
            return self._replace(slot, *self._cause(worker, error))
        if isinstance(said, ActorHeartbeat):  # it was unreachable: the result of its call is lost
            return self._replace(slot, "lost", f"the connection to {worker.host} was cut")
        if isinstance(said, ActorInfo):
            self._register(slot, said)
            return []
        for message in said:
            if isinstance(message, Ended | Failed):
                worker.task = None
            if _needs_replacement(message):
                self._replace(slot)
        return said

    def _count_start(self, worker: Slot, error: Exception) -> None:
        """Raises UserError if several actors have failed to start, and none has ever started."""
        self._failed_starts += worker.info is None and FAILED_START in str(error)
        self._deaths += worker.info is None
        if not self._any_started and (self._failed_starts >= STARTS or self._deaths >= DEATHS):
            raise UserError(f"launcher: no worker starts on Ray: {lines(error)[-1]}") from None

    def _register(self, slot: int, info: ActorInfo) -> None:
        """Registers an actor that has started. Workers that share a GPU get the same device name (cuda:0@host)."""
        if info.problem:
            self._avoid(info)
            self._replace(slot)
            return
        self._slots[slot].info, self._any_started, self._wait = info, True, FIRST_WAIT
        device = gpus.named(info.gpus) if info.gpus else self._settings[slot].device
        self.settings[slot] = replace(self._settings[slot], device=f"{device}@{info.host}")
        self._warn()

    def _avoid(self, info: ActorInfo) -> None:
        """Excludes a node that cannot be used; raises UserError if no node is left."""
        if self.cluster.avoid(info.node):
            self._unusable.append(f"launcher: node {info.host} {info.problem}")
        if self._any_started:
            self._warn()
        elif not self.cluster.has_room_elsewhere():
            raise UserError(f"launcher: node {info.host} {info.problem}: {self._shared.remedy}")

    def _warn(self) -> None:
        for line in self._unusable:
            log.warning(f"{line}: no trial is trained there")
        self._unusable.clear()

    def _replace(self, slot: int, kind: str = "", reason: str = "") -> list[Message]:
        """Replaces an actor, after a delay if it never started; returns a Failed message for its trial, if any."""
        worker = self._slots[slot]
        self.cluster.kill(worker.actor)
        if worker.info is None:
            self._slots[slot] = Slot(start_at=time.monotonic() + self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        else:
            self._slots[slot] = self._start(slot)
        return [] if worker.task is None else [Failed(slot, worker.task.trial, kind, reason)]

    def _wait_for_connection(self, slot: int) -> list[Message]:
        """Retries an unreachable actor until Ray reports its death or UNREACHABLE seconds have passed."""
        worker, now = self._slots[slot], time.monotonic()
        worker.unreachable_since = worker.unreachable_since or now
        if self._is_gone(worker) or now - worker.unreachable_since > UNREACHABLE:
            return self._replace(slot, "lost", f"{worker.host} is gone")
        time.sleep(0.02)  # the connection may return at once
        worker.pending = listening(worker.actor.heartbeat).remote()
        return []

    def _cause(self, worker: Slot, error: Exception) -> tuple[str, str]:
        """Returns kind and reason of an actor's death."""
        if isinstance(error, self._ray.exceptions.RayTaskError):  # a bug of ours
            return "error", first_line(error).rstrip(".")
        taken = f"{worker.memory / 2**30:.2f} GiB"
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            return "out_of_memory", f"out of memory: Ray killed the worker on {worker.host}, which had taken {taken}"
        if "its node has died" in str(error) or self._is_gone(worker):
            return "lost", f"{worker.host} is gone"
        return "died", f"the worker on {worker.host} ended" + (f" (it had taken {taken})" if worker.memory else "")

    def _is_gone(self, worker: Slot) -> bool:
        return worker.info is not None and not self.cluster.is_alive(worker.info.node)

    # ------------------------------------------------------------------------------------------------------------- life

    def _check_heartbeats(self) -> list[Message]:
        """Asks all actors for a heartbeat; replaces those without a step for `stall_timeout` seconds."""
        now = time.monotonic()
        looked, self._looked = min(now - self._looked, LONGEST_INTERVAL), now
        found: list[Message] = []
        for slot, worker in enumerate(self._slots):
            if worker.info is None or (worker.task is not None and worker.pending is None):
                continue  # not started, or waiting for a reply
            worker.silent_seconds += looked
            self._check_heartbeat(slot, now)
            if worker.task is not None and worker.silent_seconds > self.stall_timeout + looked:
                found += self._replace(slot, "stalled", f"no step for {self.stall_timeout:g} s")
        return found

    def _check_heartbeat(self, slot: int, now: float) -> None:
        """Receives a heartbeat and asks for the next; replaces an actor that died while idle."""
        worker = self._slots[slot]
        if worker.heartbeat is not None and self._ray.wait([worker.heartbeat], timeout=0)[0]:
            reference, worker.heartbeat = worker.heartbeat, None
            try:
                worker.heard(self._ray.get(reference))
            except self._ray.exceptions.ActorUnavailableError:
                pass  # retried until Ray reports its death
            except self._ray.exceptions.RayError:
                if worker.task is None:
                    self._replace(slot)
                    return  # otherwise its pending call reports the death
        if worker.heartbeat is None and now - worker.asked > HEARTBEAT_SECONDS:
            worker.heartbeat, worker.asked = listening(worker.actor.heartbeat).remote(), now


def _needs_replacement(message: Message) -> bool:
    """Whether a worker must be replaced after this message."""
    if isinstance(message, Failed):
        return message.kind in REPLACE_AFTER
    return isinstance(message, Ended) and (message.leaks_memory or message.terminated)
