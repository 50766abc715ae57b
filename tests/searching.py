"""What the tests of the search share: experiments without files, and searches with the toy trainer in this process."""

import textwrap
from weakref import WeakKeyDictionary

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.messages import Ended, Evaluated, Failed
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.search.loop import Search
from hpsearch.search.study import Study
from hpsearch.space.experiment import Experiment
from hpsearch.system.process import hostname
from hpsearch.testing.toy import Toy

TOY = "python:hpsearch.testing.toy:Toy"
FACTS = {"fingerprint": "f" * 64, "sets": {"text": {"train": {"examples": 1, "tokens": 400}}}}
DATA = "data: {text: {task: text, dataset: 'python:a:b'}}\n"
RANGES = """
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  epochs: {low: 1, high: 12}
"""


def toy_with(train):
    """The toy trainer with another `train(config, handle)`: a class, to be named `python:MODULE:NAME`."""
    return type(train.__name__, (Toy,), {"train": lambda self, config, handle: train(config, handle)})


def experiment(body="", *, ranges=RANGES, folder="."):
    text = DATA + textwrap.dedent(body) + textwrap.dedent(ranges)
    return Experiment.loads("study: toy\n" * ("study:" not in text) + text, path=f"{folder}/space.yaml")


def opened(wanted, folder, facts=FACTS):
    folder.mkdir(exist_ok=True)
    return Study.open(wanted, folder, facts)


POLICIES = WeakKeyDictionary()  # study -> the policy that its search or its test asked


def policy_of(study):
    """The study's Optuna policy."""
    return POLICIES.setdefault(study, OptunaPolicy(study.experiment))


def optuna_trials(study):
    """The trials of its policy's Optuna study, which knows all that the history does."""
    policy = policy_of(study)
    policy._catch_up(study.history)
    for number in policy.proposals.open:
        policy.proposals.hear(study.history.trials[number])
    return policy.proposals.study.get_trials(deepcopy=False)


def ask(study):
    """Records the trial that Optuna proposes next; gives its number."""
    return study.accept(policy_of(study).next(study.history))


def judged(study, number, evaluation):
    """Records an evaluation; gives what becomes of the trial."""
    study.report(number, evaluation)
    return policy_of(study).judge(study.history, study.history.trials[number])


def inline(folder):
    return InlineLauncher(WorkerSettings(device="cpu", threads=1, cache=folder, base=folder), trainer=TOY)


def go(wanted, folder, *, launcher=None, policy=None, kill_after=None, stop_after=None):
    """One driver's work: to the end, killed after some events, or asked to stop after some."""
    study, seen = opened(wanted, folder), []
    search = Search(
        study,
        launcher or inline(folder),
        checkpoints=folder / "checkpoints",
        policy=policy,
    )
    POLICIES[study] = getattr(search.policy, "policy", search.policy)  # what FirstTrials leaves the rest to
    study.record("driver_started", pid=1, host=hostname(), workers=1, device="cpu")
    running = search.run(lambda: stop_after is not None and len(seen) >= stop_after)
    try:
        for event in running:
            seen.append(event)
            if len(seen) == kill_after:
                running.close()  # what a kill leaves: no interrupted trial, no driver_stopped in the journal
                return study, seen
        study.record("driver_stopped", reason="finished")
    finally:
        study.journal.close()
    return study, seen


def trials(study):
    """All that matters of a study's trials, to be compared."""
    return [
        (t.number, t.params, t.outcome, t.state, t.value, t.best, t.reason, losses(t))
        for t in study.history.trials.values()
    ]


def losses(trial):
    return {index: repr(e.metrics["val/loss"]) for index, e in sorted(trial.evaluations.items())}


def evaluation(index, loss, *, train=None, times=20, metric="val/loss", **metrics):
    """An evaluation as a worker sends it."""
    return Evaluation(
        index=index,
        step=10 * index,
        tokens=1000 * index,
        epoch=index / times,
        progress=index / times,
        seconds=float(index),
        metrics={metric: loss, "train/loss": loss if train is None else train, **metrics},
    )


class Scripted:
    """A launcher of several slots whose workers say what a script gives: `script(task)` is an iterator of messages'
    makers, each called with the slot; the next one is said once the last was answered. A group takes turns.
    """

    def __init__(self, settings, script):
        self.settings, self._script = settings, script
        self.tasks, self.replies, self.late = [], [], []
        self._running = {}  # (slot, trial) -> script

    def ready(self, slot):
        return True

    def train(self, slot, tasks):
        self.tasks += tasks
        self._running |= {(slot, task.trial): iter(self._script(task)) for task in tasks}

    def reply(self, slot, reply):
        self.replies.append(reply)
        if (slot, reply.trial) in self._running and reply.command is not Command.CONTINUE:
            self.says_next(slot, reply.trial, lambda s: Ended(s, reply.trial, reply.command))

    def says_next(self, slot, trial, maker):
        """Replaces the rest of a trial's script by one message."""
        self._running[slot, trial] = iter([maker])

    def messages(self, timeout):
        found = list(self.late)
        self.late.clear()
        for slot, trial in list(self._running):
            made = next(self._running[slot, trial])(slot)
            if isinstance(made, Ended | Failed):
                self._running.pop((slot, trial), None)
            found.append(made)
        return found

    def close(self):
        self._running.clear()


def says(task, *losses, end=True, times=20):
    """The messages of a trial that measures these losses, and ends."""
    yield from (
        lambda slot, i=i, loss=loss: Evaluated(slot, task.trial, evaluation(i, loss, times=times))
        for i, loss in enumerate(losses, start=1)
    )
    if end:
        yield lambda slot: Ended(slot, task.trial, Command.CONTINUE)


def dies(task, *losses):
    """The messages of a trial whose worker dies after these losses."""
    yield from says(task, *losses, end=False)
    yield lambda slot: Failed(slot, task.trial, "died", "the worker was killed by SIGKILL")
