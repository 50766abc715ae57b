"""Workers as actors of a Ray cluster, one for each slot; a dead one is seen, and replaced where there is room.

Results come as object references, one a slot, so that nothing here waits for a node.
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from dataclasses import replace
from pathlib import Path

from hpsearch.contract import WorkerSettings
from hpsearch.error_lines import first_line, lines
from hpsearch.errors import UserError
from hpsearch.launchers.local import LONGEST_LOOK, REPLACED_AFTER
from hpsearch.launchers.messages import Ended, Failed, Message, Reply, Task
from hpsearch.launchers.ray.actor import Life, Place
from hpsearch.launchers.ray.cluster import Cluster, installed
from hpsearch.launchers.ray.slot import Slot, listening
from hpsearch.launchers.ray.visibility import SharedFolder, SharedStorage
from hpsearch.launchers.session import TRAINER

log = logging.getLogger(__name__)

BEAT = 2.0  # seconds between questions for a sign of life
LEAVING = 3.0  # seconds in which actors may remove their folders
STARTS = 3  # actors that may raise an error in their start, while none has come
DEATHS = 10  # likewise, whatever they died of: some may have been on nodes that went away
FAILED_START = "creation task"  # what Ray says of such an error
FIRST_WAIT, LONGEST_WAIT = 0.1, 10.0  # seconds before another actor where the last never came; doubled each time
UNREACHABLE = 60.0  # seconds after which an actor that cannot be reached is given up; Ray finds a dead node sooner


class RayLauncher:
    """One actor for each setting; `ready` once a node has room for it and its trainer is imported."""

    def __init__(
        self,
        settings: list[WorkerSettings],
        cluster: Cluster,
        *,
        shared: Path,
        trainer: str = TRAINER,
        **options: float,
    ) -> None:
        """`shared`: the study's folder, which every node must see; `stall_timeout`: as in LocalLauncher."""
        self._ray = installed()
        self.settings, self._settings, self.cluster, self.trainer = [*settings], settings, cluster, trainer
        self.stall_timeout = options.pop("stall_timeout", math.inf)
        name, text, url = f".shared-{secrets.token_hex(4)}", secrets.token_hex(16), cluster.wanted.storage
        self._shared = SharedFolder(shared / name, text) if url is None else SharedStorage(url, name, text)
        self._shared.leave()
        self._looked = time.monotonic()
        self._settled = False  # whether any actor has come
        self._failed_starts = self._deaths = 0  # of those that never came
        self._wait = FIRST_WAIT
        self._lacking: list[str] = []  # the nodes without it, not said yet
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
            worker.pending = worker.actor.answer.remote(reply.command)
        else:
            listening(worker.actor.tell).remote(worker.turn, reply.command)

    def messages(self, timeout: float) -> list[Message]:
        """What workers have said; one that is gone with a trial is a message too, and is replaced."""
        self._start_due()
        waiting = {worker.pending: slot for slot, worker in enumerate(self._slots) if worker.pending is not None}
        if not waiting:
            time.sleep(timeout)
            return self._look_for_life()
        self._ray.wait([*waiting], num_returns=1, timeout=timeout)
        said, _ = self._ray.wait([*waiting], num_returns=len(waiting), timeout=0)
        found = [message for reference in said for message in self._take(waiting[reference])]
        found += self._look_for_life()
        if not found and all(worker.place is None for worker in self._slots):
            self.cluster.nodes()  # raises where the head has gone: no worker would ever come
        return found

    def close(self) -> None:
        """Ends all workers at once."""
        self._shared.remove()
        if self.cluster.wanted.storage is not None:
            left = [listening(worker.actor.leave).remote() for worker in self._slots if worker.place is not None]
            self._ray.wait(left, num_returns=len(left), timeout=LEAVING) if left else None
        self.cluster.leave([worker.actor for worker in self._slots if worker.actor is not None])

    # -------------------------------------------------------------------------------------------------------- one actor

    def _start(self, slot: int) -> Slot:
        actor = self.cluster.start(slot, self._settings[slot], self.trainer)
        return Slot(actor, actor.hello.remote(self._shared))

    def _start_due(self) -> None:
        """Starts the actors that were put off."""
        for slot, worker in enumerate(self._slots):
            if worker.actor is None and time.monotonic() >= worker.due:
                self._slots[slot] = self._start(slot)

    def _take(self, slot: int) -> list[Message]:
        """What the slot's reference holds."""
        worker = self._slots[slot]
        reference, worker.pending, worker.silent = worker.pending, None, 0.0
        try:
            said: Place | Life | list[Message] = self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:
            return self._doubt(slot)
        except self._ray.exceptions.RayError as error:
            self._count_start(worker, error)
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

    def _count_start(self, worker: Slot, error: Exception) -> None:
        """Raises UserError where several actors have failed in their start, and none has ever come: nothing will."""
        self._failed_starts += worker.place is None and FAILED_START in str(error)
        self._deaths += worker.place is None
        if not self._settled and (self._failed_starts >= STARTS or self._deaths >= DEATHS):
            raise UserError(f"launcher: no worker starts on Ray: {lines(error)[-1]}") from None

    def _settle(self, slot: int, place: Place) -> None:
        """An actor is there: its device gets the name that those have which share its memory."""
        if place.lacks:
            self._avoid(place)
            self._bury(slot)
            return
        self._slots[slot].place, self._settled, self._wait = place, True, FIRST_WAIT
        device = f"cuda:{place.gpus[0]}" if place.gpus else self._settings[slot].device
        self.settings[slot] = replace(self._settings[slot], device=f"{device}@{place.host}")
        self._warn()

    def _avoid(self, place: Place) -> None:
        """A node lacks the folder: it gets no worker from now on. Raises UserError where no node has it."""
        if self.cluster.avoid(place.node):
            self._lacking.append(f"launcher: node {place.host} {place.lacks}")
        if self._settled:
            self._warn()
        elif not self.cluster.has_room_elsewhere():
            raise UserError(f"launcher: node {place.host} {place.lacks}: {self._shared.remedy}")

    def _warn(self) -> None:
        for line in self._lacking:
            log.warning(f"{line}: no trial is trained there")
        self._lacking.clear()

    def _bury(self, slot: int, kind: str = "", reason: str = "") -> list[Message]:
        """Replaces an actor, by and by where it never came; its trial, if it has one, has failed."""
        worker = self._slots[slot]
        self.cluster.kill(worker.actor)
        if worker.place is None:
            self._slots[slot] = Slot(due=time.monotonic() + self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT)
        else:
            self._slots[slot] = self._start(slot)
        return [] if worker.task is None else [Failed(slot, worker.task.trial, kind, reason)]

    def _doubt(self, slot: int) -> list[Message]:
        """An actor cannot be reached: asks again until Ray knows what became of it, or it is given up."""
        worker, now = self._slots[slot], time.monotonic()
        worker.doubted = worker.doubted or now
        if self._is_gone(worker) or now - worker.doubted > UNREACHABLE:
            return self._bury(slot, "lost", f"{worker.host} went away")
        time.sleep(0.02)  # the answer may come at once
        worker.pending = listening(worker.actor.life).remote()
        return []

    def _cause(self, worker: Slot, error: Exception) -> tuple[str, str]:
        """How an actor ended: kind and reason."""
        if isinstance(error, self._ray.exceptions.RayTaskError):  # not the training's: what that raises is a message
            return "error", first_line(error).rstrip(".")
        taken = f"{worker.memory / 2**30:.2f} GiB"
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            return "out_of_memory", f"out of memory: Ray killed the worker on {worker.host}, which had taken {taken}"
        if "its node has died" in str(error) or self._is_gone(worker):
            return "lost", f"{worker.host} went away"
        return "died", f"the worker on {worker.host} ended" + (f" (it had taken {taken})" if worker.memory else "")

    def _is_gone(self, worker: Slot) -> bool:
        return worker.place is not None and not self.cluster.has(worker.place.node)

    # ------------------------------------------------------------------------------------------------------------- life

    def _look_for_life(self) -> list[Message]:
        """Asks all for a sign of life; one without a step for too long is killed."""
        now = time.monotonic()
        looked, self._looked = min(now - self._looked, LONGEST_LOOK), now
        found: list[Message] = []
        for slot, worker in enumerate(self._slots):
            if worker.place is None or (worker.task is not None and worker.pending is None):
                continue  # it is not there yet, or waits for us
            worker.silent += looked
            self._listen(slot, now)
            if worker.task is not None and worker.silent > self.stall_timeout + looked:
                found += self._bury(slot, "stalled", f"no step for {self.stall_timeout:g} s")
        return found

    def _listen(self, slot: int, now: float) -> None:
        """Takes a sign of life, and asks for the next; replaces an actor that died idle: no trial is to blame."""
        worker = self._slots[slot]
        if worker.life is not None and self._ray.wait([worker.life], timeout=0)[0]:
            reference, worker.life = worker.life, None
            try:
                worker.heard(self._ray.get(reference))
            except self._ray.exceptions.ActorUnavailableError:
                pass  # asked again, until Ray knows what became of it
            except self._ray.exceptions.RayError:
                if worker.task is None:
                    self._bury(slot)
                    return  # else its death comes with what is pending
        if worker.life is None and now - worker.asked > BEAT:
            worker.life, worker.asked = listening(worker.actor.life).remote(), now


def _spoils(message: Message) -> bool:
    """Whether a worker is to be replaced after this."""
    return (isinstance(message, Failed) and message.kind in REPLACED_AFTER) or getattr(message, "leaks", False)
