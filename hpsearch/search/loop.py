"""The driver's loop: asks the policy, places and trains trials, judges them. A generator of events for the displays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch.contract import Command
from hpsearch.events import Event, Measured, Notice, SearchPaused, SearchResumed, Started
from hpsearch.journal.device_time import device_of
from hpsearch.journal.pause_file import PauseFile
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.messages import CanRest, Evaluated, Failed, Launcher, Message, Noted, Reply, Task
from hpsearch.policies.budget.deadline import must_cool_down, soonest_value
from hpsearch.policies.budget.spending import limits
from hpsearch.policies.loading import load
from hpsearch.policies.policy import Judgement, Policy
from hpsearch.results.evidence.caveats import in_vain
from hpsearch.search.allowance import Allowance, take_extension
from hpsearch.search.attempts import STOPPED, Attempts
from hpsearch.search.decisions import Decisions
from hpsearch.search.placement.placement import Placement
from hpsearch.search.requests import Requests
from hpsearch.search.study import Study
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.system import failpoints
from hpsearch.verdict import Phases, Verdict

POLL_SECONDS = 0.25  # between two checks whether a person wants to stop
SPENT = "the budget is spent"  # why trials are interrupted
KEPT = "the rest of the budget is for the confirmation"
HELD = "the search is paused"
AGAIN = 1.2  # times the seconds that a new trial needs must be left, before trials start again
COMMANDS = {
    Verdict.CONTINUE: Command.CONTINUE,
    Verdict.PAUSE: Command.PAUSE,
    Verdict.PRUNE: Command.STOP,
    Verdict.DIVERGED: Command.STOP,
    Verdict.OVERFIT: Command.FINISH,  # it can still win: its best weights are kept
}


class Search:
    """One driver's work on a study."""

    def __init__(
        self,
        study: Study,
        launcher: Launcher,
        *,
        checkpoints: Path | Checkpoints,
        policy: Policy | None = None,
        prepared: dict[str, Path] | None = None,
        requests: Requests | None = None,
        pause: PauseFile | None = None,
    ) -> None:
        """Prepares a search; `checkpoints`: the trials' checkpoints, or the folder for them.

        policy: None for the one that the space file names; prepared: the trainer's data (see WorkerSettings);
        requests: what people enqueue meanwhile (None: nothing); pause: where they ask for a pause (None: they cannot).
        """
        self.study, self.launcher, self._prepared = study, launcher, prepared or {}
        if isinstance(checkpoints, Path):
            checkpoints = Checkpoints(checkpoints, study.history)
        self.checkpoints = checkpoints
        self.policy = load(study.experiment) if policy is None else policy
        self._disk_space = DiskSpace(checkpoints.path, checkpoints.study_storage)
        self._decisions, self._requests = Decisions(study, self.policy), requests
        self._placement = Placement(study, launcher, self._decisions)
        self._attempts = Attempts(study, self._placement, checkpoints, self._disk_space)
        self._interrupting = False  # a person or the end of the budget's time ends the search
        self._pause, self._holding, self._held = pause, False, False  # a pause is asked for; it has begun
        self._known_phases: dict[int, Phases] = {}  # of trials, whose configs never change
        self._allowance = Allowance(study, lambda: [device_of(s.device, n) for n, s in enumerate(launcher.settings)])

    def run(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Searches until the budget is spent or `stopping()`; interrupted trials are resumed by the next run.

        Raises TrainingFailed when too many trials fail, UserError when the user's data or config are wrong,
        StorageFailed when a disk refuses writes for too long.
        """
        while True:
            if not self._interrupting and (stopping() or self._allowance.left().is_over):
                self._interrupt(STOPPED if stopping() else SPENT)
                if stopping():
                    yield Notice("stopping: trials save their state (once more to leave at once)")
            yield from self._hold()
            yield from self._extend()
            if not self._holding:
                yield from self._close_in_time()
                yield from self._start_no_more()
                yield from self._cool_in_time()
            if (line := self._disk_space.retry()) is not None:
                yield Notice(line)
            if self._requests is not None:
                yield from self._requests.record()
            if not self._interrupting and not self._holding and not self._disk_space.blocked:
                for slot, group in self._placement.placements():
                    yield from self._start(slot, group)
            if self._is_over():
                if self._decisions.reason and not self._interrupting:
                    yield Notice(self._decisions.reason)
                return
            if self._held:
                time.sleep(POLL_SECONDS)  # a launcher without trials may not wait
            for message in self.launcher.messages(timeout=self._timeout()):
                yield from self._handle(message)
            yield from self._give_up()

    def _start(self, slot: int, group: list[int]) -> Iterator[Event]:
        """Hands the trials of a group to a worker."""
        tasks = [self._task(slot, number) for number in group]
        self.launcher.train(slot, tasks)
        failpoints.hit("trial_placed")
        for task in tasks:
            yield Started(self.study.history.trial(task.trial), slot, task.attempt)

    def _task(self, slot: int, number: int) -> Task:
        settings = self.launcher.settings[slot]
        attempt = self.study.start(number, device=settings.device, threads=settings.threads, worker=slot)
        config = self.study.experiment.placed(self.study.history.trial(number).config)
        self.checkpoints.lend(self.study.history.trial(number))
        folder, remote = self.checkpoints.folder(number), self.checkpoints.remote(number)
        return Task(number, attempt, config, folder, self._prepared, remote)

    # -------------------------------------------------------------------------------------------------------- messages

    def _handle(self, message: Message) -> Iterator[Event]:
        if self._placement.running.get(message.trial) != message.slot:
            return  # of a worker that was replaced
        if isinstance(message, Noted):
            yield Notice(f"{self._trials_of(message.slot)}: {message.line}")
        elif isinstance(message, Evaluated):
            yield from self._judge(message)
        else:
            self._placement.ended(message.trial)
            if isinstance(message, Failed):
                yield from self._attempts.failed(message)
            else:
                yield self._attempts.ended(message, requeue=not self._interrupting)

    def _judge(self, message: Evaluated) -> Iterator[Event]:
        """Records an evaluation and replies with what the policy decides for the trial."""
        trial, index = self.study.history.trial(message.trial), message.evaluation.index
        if message.evaluation.branch:
            yield from self._note_branch(message)
            return
        is_old = index < max(trial.evaluations, default=0)  # of its checkpoint; the policy judged it before
        is_new = index not in trial.evaluations  # else an earlier attempt measured it, perhaps on another device
        self.study.report(message.trial, message.evaluation)
        was_judged = is_old or index <= trial.paused_at
        judgement = Judgement() if was_judged else self._decisions.judge(message.trial)
        failpoints.hit("report_done")
        if is_new:
            self._placement.measured(message.trial, message.evaluation)
        command = self._command(trial, judgement)
        if command is not Command.CONTINUE:
            self._attempts.judgements[message.trial] = judgement
        elif self._must_pause(message.trial):
            command = Command.PAUSE
        self.launcher.reply(message.slot, Reply(message.trial, command, index))
        if not is_old:
            yield Measured(trial, message.slot, message.evaluation)

    def _command(self, trial: TrialHistory, judgement: Judgement) -> Command:
        """What the trial is told; one that overfits cools down, if its trainer can."""
        trainer = self.study.experiment.trainer
        if judgement.verdict is Verdict.OVERFIT and trainer.cools_down(trainer.config.model_validate(trial.config)):
            return Command.COOL_DOWN
        return COMMANDS[judgement.verdict]

    def _note_branch(self, message: Evaluated) -> Iterator[Event]:
        """Records the end of a branch: its value counts, and no one judges it."""
        is_new = message.evaluation.index not in self.study.history.trial(message.trial).branches
        self.study.report(message.trial, message.evaluation)
        self._placement.measured(message.trial, message.evaluation)
        command = Command.PAUSE if self._must_pause(message.trial) else Command.CONTINUE
        self.launcher.reply(message.slot, Reply(message.trial, command, message.evaluation.index))
        yield Measured(self.study.history.trial(message.trial), message.slot, message.evaluation)
        if is_new and (line := in_vain(self.study.history, message.trial)):
            yield Notice(line)

    def _trials_of(self, slot: int) -> str:
        """Names the trials of a worker, in a line that may be about any of them."""
        names = [self.study.history.trial(number).name for number in self._placement.trials_of(slot)]
        plural = len(names) > 1 and all(name.startswith("trial ") for name in names)
        return "trials " + ", ".join(name.removeprefix("trial ") for name in names) if plural else ", ".join(names)

    # ------------------------------------------------------------------------------------------------------------- end

    def _is_over(self) -> bool:
        """Whether no trial is in training and none will be."""
        if self._placement.running:
            return False
        if self._holding and not self._interrupting:
            return False
        return self._interrupting or not (self._disk_space.blocked or self._placement.awaits_worker())

    def _must_pause(self, number: int) -> bool:
        """Whether a trial in training is to save its state and end."""
        return self._interrupting or self._holding or not self.study.is_open(number)

    def _hold(self) -> Iterator[Event]:
        """Pauses and resumes the search as people ask: trials save their state, then the workers free their devices."""
        asked = self._pause is not None and self._pause.is_asked and not self._interrupting
        if asked and not self._holding:
            self._holding, self._attempts.why = True, HELD
            self._pause_running()
            yield Notice("pausing: trials save their state")
        if self._holding and not asked:
            yield from self._go_on()
        if self._holding and not self._held and not self._placement.running:
            self._held = True
            self._allowance.hold()
            if isinstance(self.launcher, CanRest):
                self.launcher.rest()
            self.study.record("search_paused")
            self.study.journal.sync()
            yield SearchPaused(self.study.history)

    def _go_on(self) -> Iterator[Event]:
        """Ends a pause; a stop of the search ends it too, and records nothing."""
        was_held, self._holding, self._held = self._held, False, False
        if self._interrupting:
            return
        self._attempts.why = KEPT if self.study.history.closed else STOPPED
        if was_held:
            self._allowance.go_on()
            if isinstance(self.launcher, CanRest):
                self.launcher.wake()
            self.study.record("search_resumed")
            yield SearchResumed(self.study.history)

    def _extend(self) -> Iterator[Event]:
        """Takes the larger budget that a person asks for from another process."""
        if self._interrupting or not take_extension(self.study):
            return
        self._placement.reopen()
        yield Notice(f"the budget is extended: {', '.join(limits(self.study.budget))}")

    def _close_in_time(self) -> Iterator[Event]:
        """Ends the search, but not the confirmation, once what is left of the budget is needed for the latter."""
        history = self.study.history
        idle = self._placement.is_ending and self._placement.is_idle
        if self._interrupting or history.closed or not (idle or self._allowance.is_for_confirmation()):
            return
        history.closed = True
        self._attempts.why = KEPT
        self._placement.close()
        self._pause_running()
        if not idle:
            yield Notice("the rest of the budget is for training the best trials again with fresh seeds")

    def _start_no_more(self) -> Iterator[Event]:
        """Starts no further trial while a new one would have no value of use within the time that is left.

        It is judged anew while a worker is free: early trials are slower than they look (they start up, the machine may
        be busy for a while), and none of this matters while all workers train.
        """
        if self._interrupting or self.study.history.closed or not self._placement.has_free_worker:
            return
        seconds = self._allowance.seconds_to_search()
        if seconds == float("inf"):
            return
        soonest = soonest_value(self.study.history.trials.values(), self._phases)
        if self._placement.is_ending:
            if soonest is None or soonest * AGAIN < seconds:
                self._placement.reopen()
                yield Notice("trials start again: the latest ones are faster than those before")
        elif soonest is not None and soonest > seconds:
            self._placement.end()
            left, needs = max(0.0, seconds), f"at the pace of the trials so far a new one needs {soonest:.3g} s"
            yield Notice(f"no new trial starts: the budget lasts another {left:.3g} s, and {needs} for a value of use")

    def _cool_in_time(self) -> Iterator[Event]:
        """Tells the trials that the end of the budget would interrupt to cool down, so that they have a value."""
        left = self._allowance.seconds_to_search()
        if left == float("inf") or self._interrupting or self.study.history.closed:
            return
        trainer, now = self.study.experiment.trainer, time.time()
        for number, slot in self._placement.running.items():
            if number in self._attempts.cooling or number in self._attempts.judgements:
                continue
            trial = self.study.history.trial(number)
            if trial.horizon < 1:
                continue  # its value would be of a horizon that no other trial has
            if not must_cool_down(trial, self._phases(trial), seconds_left=left, now=now):
                continue
            self._attempts.cooling.add(number)
            if trainer.cools_down(trainer.config.model_validate(trial.config)):
                self.launcher.reply(slot, Reply(number, Command.COOL_DOWN))
                yield Notice(f"trial {number} cools down now, to end before the budget is spent")

    def _phases(self, trial: TrialHistory) -> Phases:
        if trial.number not in self._known_phases:
            trainer = self.study.experiment.trainer
            self._known_phases[trial.number] = trainer.phases(trainer.config.model_validate(trial.config))
        return self._known_phases[trial.number]

    def _give_up(self) -> Iterator[Event]:
        """Ends the workers whose trials are still at a step, an evaluation or a checkpoint long after the time's end.

        Without a winner so far it waits for the evaluation, whatever that takes.
        """
        late = self._attempts.why == SPENT and self._allowance.is_overdrawn and self._placement.running
        if late and isinstance(self.launcher, CanRest) and self.study.history.leader() is not None:
            self.launcher.rest()
            for number, slot in list(self._placement.running.items()):
                self._placement.ended(number)
                yield self._attempts.given_up(number, slot)

    def _timeout(self) -> float:
        """Seconds to wait for messages."""
        return POLL_SECONDS if self._interrupting else max(0.0, min(POLL_SECONDS, self._allowance.seconds()))

    def _interrupt(self, why: str) -> None:
        """Asks all trials in training to save their state and end."""
        self._interrupting = True
        self._attempts.why = why
        self._pause_running()

    def _pause_running(self) -> None:
        for number, slot in self._placement.running.items():
            if self._must_pause(number) and self._attempts.may_pause(number):
                self.launcher.reply(slot, Reply(number, Command.PAUSE))


def nothing_left(study: Study, policy: Policy) -> str:
    """The line that says why the policy has no trial for a study; empty if it has one or names no reason."""
    decisions = Decisions(study, policy)
    if decisions.has_next():
        return ""
    if study.history.trials:
        return decisions.reason
    return f"0 trials: the policy has none to train{': ' * bool(decisions.reason)}{decisions.reason}"
