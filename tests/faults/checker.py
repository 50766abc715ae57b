"""Compares what a driver has acknowledged with the journal, Optuna's database, MLflow's database and the files.

The expected values are known: the toy's curve is a formula. The databases are read with SQL.
"""

import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from hpsearch import journal
from hpsearch.journal.history import History
from hpsearch.space.experiment import Experiment
from hpsearch.testing.toy import STEPS, cooled, curve_of
from hpsearch.training.config import TrainConfig

FINISHED = re.compile(r"^trial (\d+) finished: (\w+)", re.MULTILINE)
REPEATED = re.compile(r"^repeat (\d+) of trial (\d+) finished: (\w+)", re.MULTILINE)
WAITS = ("interrupted", "running")  # states of a trial that is not finished; a paused one was given up
STATUS = {**dict.fromkeys(("completed", "overfit", "pruned"), "FINISHED"), "failed": "FAILED"}


@dataclass
class Found:
    """The faults found; all lists are empty if there are none."""

    lost: list = field(default_factory=list)  # trials reported as finished and missing
    points: list = field(default_factory=list)  # missing evaluations that were answered
    doubled: list = field(default_factory=list)  # duplicate or wrong entries
    zombies: list = field(default_factory=list)  # entries that are running without a driver
    litter: list = field(default_factory=list)  # files that should be deleted

    def __bool__(self):
        return any((self.lost, self.points, self.doubled, self.zombies, self.litter))


def check(cwd, *, said="", views=True, finished=True, mlflow=None, trials=None):
    """Checks the study `toy` in cwd/home. `said`: the drivers' output; `finished`: the budget is spent.

    `mlflow`: the database of the MLflow server, if any; `trials`: the budget, if it differs from the space file's.
    """
    home, found = cwd / "home", Found()
    events = journal.read(home / "toy" / "journal.jsonl")
    history = History.of(events)
    _check_acknowledged(found, history, cwd / "acknowledged.jsonl", said)
    _check_journal(found, history, events)
    if finished:
        budget = trials or Experiment.load(cwd / "space.yaml").budget.trials
        found.lost += [f"trial {n} is not finished" for n in range(budget) if history.trials[n].status in WAITS]
        found.doubled += [f"{history.configs} trials instead of {budget}"] * (history.configs != budget)
        found.lost += [f"{t.name} is not finished" for t in history.repeats.values() if t.outcome is None]
        found.zombies += [f"{t.name} runs" for t in history.everything.values() if t.running]
        found.litter += litter(home / "toy", history)
    if views:
        _check_optuna(found, history, home / "optuna.db")
        _check_mlflow(found, history, mlflow or home / "mlflow.db", finished)
    return found


def _check_acknowledged(found, history, path, said):
    for number, outcome in FINISHED.findall(said):
        if history.trials[int(number)].outcome != outcome:
            found.lost.append(f"trial {number} was said to be finished: {outcome}")
    repeats = {(one.repeat, one.confirms): one.outcome for one in history.repeats.values()}
    for repeat, number, outcome in REPEATED.findall(said):
        if repeats.get((int(repeat), int(number))) != outcome:
            found.lost.append(f"repeat {repeat} of trial {number} was said to be finished: {outcome}")
    for line in path.read_bytes().split(b"\n") if path.exists() else []:
        if not line:
            continue
        answered = json.loads(line)
        trial, index = history.trial(answered["trial"]), answered["index"]
        evaluation = trial.evaluations.get(index) if index > 0 else trial.branches.get(-index)
        if evaluation is None:
            found.points.append(f"trial {answered['trial']} evaluation {answered['index']}")
        elif not same(evaluation.metrics["val/loss"], answered["value"]):
            found.doubled.append(f"trial {answered['trial']} evaluation {answered['index']} has another value")


def _check_journal(found, history, events):
    ends = Counter(event["trial"] for event in events if event["event"] == "trial_finished")
    found.doubled += [f"trial {number} ended {times} times" for number, times in ends.items() if times > 1]
    asked = Counter(event["trial"] for event in events if event["event"] == "trial_asked")
    found.doubled += [f"trial {number} was asked for {times} times" for number, times in asked.items() if times > 1]
    measured = [(event["trial"], event["evaluation"]) for event in events if event["event"] == "evaluation"]
    seen = Counter((trial, evaluation["index"], "branch" in evaluation) for trial, evaluation in measured)
    found.doubled += [f"evaluation {key} stands {times} times" for key, times in seen.items() if times > 1]
    for trial in history.everything.values():
        config = TrainConfig.model_validate(trial.config)
        for index, evaluation in trial.evaluations.items():
            right = curve_of(config).val_loss(index * (STEPS // config.evaluation.times) / STEPS)
            if not same(evaluation.metrics["val/loss"], right):
                found.doubled.append(f"trial {trial.number} evaluation {index} is wrong")
        for index, branch in trial.branches.items():
            if branch != replace(cooled(config, curve_of(config), branch.step, index), time=branch.time, points=[]):
                found.doubled.append(f"trial {trial.number} branch {index} is wrong")
        if trial.outcome == "overfit" and len(trial.branches) != 1:
            found.lost.append(f"trial {trial.number} overfits and has {len(trial.branches)} branches")
        if sorted(trial.evaluations) != list(range(1, len(trial.evaluations) + 1)):
            found.points.append(f"trial {trial.number} has the evaluations {sorted(trial.evaluations)}")


def killed_and_resumed(zygote, studies, point):
    """Yields each study (a folder) after it was killed at the k-th pass of a point and resumed: k = 1, 2, 3 ...

    studies: (k, folder) of fresh ones. It ends with a run that does not reach its k-th pass, which is not yielded.
    """
    run = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
    for k, cwd in studies:
        environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
        first = zygote.run(cwd, *run, HPSEARCH_FAILPOINT=f"{point}:{k}", **environment)
        if first.code == 0:
            return
        assert first.code == -9, first.said
        again = zygote.run(cwd, *run, HPSEARCH_FAILPOINT="", **environment)
        assert again.code == 0, again.said
        assert not (found := check(cwd, said=first.said + again.said, views=False)), found
        yield cwd


def litter(study, history):
    """Returns files that should be deleted from a finished study's folder."""
    wrong = [str(path) for path in study.rglob("*") if path.suffix == ".tmp"]
    kept = {trial.number for trial in history.ranked()[:3]}
    paused = {number for number, trial in history.trials.items() if trial.paused}
    for folder in (study / "checkpoints").glob("*"):
        if int(folder.name) in paused:
            continue
        if int(folder.name) not in kept:
            wrong.append(str(folder))
        wrong += [str(path) for path in folder.iterdir() if path.name not in ("best.pt", "samples.json")]
    return wrong


def _check_optuna(found, history, path):
    rows = query(path, "select trial_id, number, state from trials")
    values = defaultdict(dict)
    for trial_id, step, value in query(
        path, "select trial_id, step, intermediate_value from trial_intermediate_values"
    ):
        values[trial_id][step] = value
    numbers = Counter(number for _, number, _ in rows)
    found.doubled += [f"optuna: trial {number} {times} times" for number, times in numbers.items() if times > 1]
    found.lost += [f"optuna: trial {number}" for number in history.trials if number not in numbers]
    for trial_id, number, state in rows:
        trial = history.trials[number]
        if state == "RUNNING" and not trial.running and not trial.paused:
            found.zombies.append(f"optuna: trial {number}")
        if trial.state is not None and state != trial.state:
            found.lost.append(f"optuna: trial {number} is {state} instead of {trial.state}")
        expected = {index: e.metrics["val/loss"] for index, e in trial.evaluations.items()}
        _compare(found, f"optuna: trial {number}", expected, values[trial_id])


def _compare(found, what, expected, there):
    found.points += [f"{what} {index}" for index in expected if index not in there]
    found.doubled += [f"{what} {i}" for i, v in there.items() if i not in expected or not same(v, expected[i])]


def _check_mlflow(found, history, path, finished):
    tags = defaultdict(dict)
    for run, key, value in query(path, "select run_uuid, key, value from tags"):
        tags[run][key] = value
    runs, of = {}, defaultdict(list)
    for run, status, start, end in query(path, "select run_uuid, status, start_time, end_time from runs"):
        runs[run] = status
        kind = tags[run].get("hpsearch.kind")
        of[kind if kind == "study" else int(tags[run].get("hpsearch.trial", -1))].append(run)
        if end is not None and end < start:
            found.doubled.append(f"mlflow: run {run} ends before it starts")
    found.doubled += [f"mlflow: {len(ids)} runs of {what}" for what, ids in of.items() if len(ids) > 1]
    if finished:
        found.zombies += [f"mlflow: {run}" for run, status in runs.items() if status == "RUNNING"]
    rows = defaultdict(list)
    for run, key, step, value, is_nan in query(path, "select run_uuid, key, step, value, is_nan from metrics"):
        rows[run, key].append((step, math.nan if is_nan else value))
    for trial in history.everything.values():
        if trial.number not in of:
            found.lost.append(f"mlflow: trial {trial.number}")
            continue
        run = of[trial.number][0]
        if trial.outcome is not None and runs[run] != STATUS.get(trial.outcome, "KILLED"):
            found.lost.append(f"mlflow: trial {trial.number} is {runs[run]} though {trial.outcome}")
        if trial.paused != (runs[run] == "SCHEDULED") or trial.paused != (tags[run]["outcome"] == "paused"):
            found.lost.append(f"mlflow: trial {trial.number} is {runs[run]} though {trial.status}")
        expected = {e.tokens: e.metrics["val/loss"] for e in trial.evaluations.values()}
        _compare(found, f"mlflow: trial {trial.number}", expected, dict(rows[run, "val/loss"]))
        expected = {e.tokens: e.metrics["val/loss"] for e in trial.branches.values()}
        _compare(found, f"mlflow: branch of trial {trial.number}", expected, dict(rows[run, "cooldown/val/loss"]))
    for (run, key), found_rows in rows.items():
        steps = Counter(step for step, _ in found_rows)
        found.doubled += [f"mlflow: {run} {key} {s}: {n} times" for s, n in steps.items() if n > 1]


def query(path, statement):
    """Returns the rows of a query on a read-only connection."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def same(a, b):
    """Whether two numbers are equal to the last bit, or both nan."""
    return repr(float(a)) == repr(float(b))
