"""The estimates of `hpsearch plan` against what then happens, on the shipped spaces.

For each space: a plan, then at once a study of the configs that the plan measured (nothing pruned: seconds of each
trial against its estimate), and the study itself with its pruner (seconds of the whole against the estimate). One
worker of one thread, one thing at a time. `--epochs` scales the epochs of a space, so that it takes minutes.

    python benchmarks/plan.py                          # quickstart, classification, translation, shortened
    python benchmarks/plan.py quickstart --epochs 1    # as shipped
    python benchmarks/plan.py --processor              # in processor time, where other programs use the cores too
    python benchmarks/plan.py --whole 12               # whole studies by the commands, in wall time: 12 minutes in all

With `--whole` each study has the workers that its space asks for, and epochs by which a first plan expects it to fill
its share of the minutes. What is compared: the estimate of a second plan (and where 80 % of such studies end) with the
seconds of the search, and with those of the whole command, imports and the wait for MLflow included. Nothing else may
run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # runs in a checkout that was never installed, too

import hpsearch  # noqa: E402
from hpsearch.document.document import read  # noqa: E402
from hpsearch.events import Searched  # noqa: E402

WALL = time.monotonic
SPACES = ("quickstart", "classification", "translation")
WHOLE = (*SPACES, "multitask")
EPOCHS = {"quickstart": 0.1, "classification": 0.1, "translation": 0.08, "multitask": 0.05}  # of those of the space
SHARES = 0.1, 0.15, 0.55  # of a space's seconds: the first plan, the second one, the search; the rest is for imports


def space_of(name: str, *, epochs: float, trials: int) -> dict[str, Any]:
    """The shipped space with fewer epochs and trials, and without hours."""
    value = dict(read(HERE.parent / "search_spaces" / f"{name}.yaml").value)
    range_of = value["training"]["epochs"]
    shorter = {**range_of, "low": range_of["low"] * epochs, "high": range_of["high"] * epochs}
    value["training"] = {**value["training"], "epochs": shorter}
    return {**value, "budget": {"trials": trials}}


def clocked(*, processor: bool) -> Callable[[Any], None]:
    """Sets the clock of plans and trainings; the display of a run that sets it back when the search has ended.

    What follows waits for other processes, which take none of this one's processor time.
    """
    time.monotonic = time.process_time if processor else WALL

    def show(event: Any) -> None:
        if isinstance(event, Searched):
            time.monotonic = WALL

    return show


def corners(
    space: dict[str, Any], found: hpsearch.Plan, home: Path, *, count: int, where: dict[str, Any]
) -> list[float]:
    """Trains the configs that were measured to their end; prints and returns estimate / fact of each."""
    wanted = [one for one in found.measured if one.seconds is not None][:count]
    study = hpsearch.run(
        {
            **space,
            "study": "corners",
            "budget": {"trials": len(wanted)},
            "search": {
                "first": [dict(one.params) for one in wanted],
                "default": False,
                "pruner": "none",
                "overfitting": False,
                "confirm": False,
                "baselines": False,
            },
        },
        home=home,
        progress=clocked(processor="launcher" in where),
        **where,
    )
    ratios = []
    for one, trial in zip(wanted, study.trials, strict=True):
        ratios.append((one.seconds or 0.0) / trial.seconds)
        print(f"  {one.name or 'random':28} {one.seconds:7.1f} s {trial.seconds:7.1f} s {ratios[-1]:6.2f}", flush=True)
    return ratios


def command(*arguments: str, folder: Path) -> tuple[str, float]:
    """Runs hpsearch in a process of its own; returns what it says with --json, and its seconds."""
    began = WALL()
    done = subprocess.run(
        [sys.executable, "-m", "hpsearch", *arguments, "--home", str(folder / "home"), "--json"],
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout, WALL() - began


def planned(space: dict[str, Any], seconds: float, *, folder: Path) -> dict[str, Any]:
    """What `hpsearch plan` expects of a space, which it leaves in the folder as space.yaml."""
    (folder / "space.yaml").write_text(json.dumps(space), encoding="utf-8")  # JSON is YAML
    said, _ = command("plan", str(folder / "space.yaml"), "--seconds", f"{seconds:.0f}", folder=folder)
    found = json.loads(said)
    return dict(found["pruned"] or found["whole"])


def whole_study(name: str, *, seconds: float, trials: int) -> float:
    """Plans and runs one study in about so many seconds; prints and returns estimate / seconds of the search."""
    with tempfile.TemporaryDirectory() as made:
        folder, epochs = Path(made), EPOCHS[name]
        first, second, search = (share * seconds for share in SHARES)
        rough = planned(space_of(name, epochs=epochs, trials=trials), first, folder=folder)
        epochs *= search / rough["seconds"]
        expected = planned(space_of(name, epochs=epochs, trials=trials), second, folder=folder)
        _, took = command("run", str(folder / "space.yaml"), folder=folder)
        study = hpsearch.load(name, home=folder / "home")
    least, most = expected["earliest"], expected["latest"]
    within = "within" if least <= study.seconds <= most else "outside"
    print(
        f"{name} (epochs x {epochs:.2g}, {len(study.trials)} trials, {len(study.repeats)} confirmations):", flush=True
    )
    print(f"  estimate {expected['seconds']:.0f} s ({least:.0f} to {most:.0f}); search {study.seconds:.0f} s, {within}")
    print(f"  ratio {expected['seconds'] / study.seconds:.2f}; the command {took:.0f} s", flush=True)
    return float(expected["seconds"] / study.seconds)


def main() -> None:
    """Prints a line for each trial and each study: estimate, fact, ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("spaces", nargs="*", help="default: all but gpu")
    parser.add_argument(
        "--whole", type=float, metavar="MINUTES", help="whole studies by the commands, in so long in all"
    )
    parser.add_argument("--epochs", type=float, help="times those of the space")
    parser.add_argument("--trials", type=int, default=12, help="of each study")
    parser.add_argument("--corners", type=int, default=6, help="measured configs that are trained to their end")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each plan")
    parser.add_argument("--no-study", action="store_true", help="only the trials, not the whole study")
    parser.add_argument("--processor", action="store_true", help="measure the processor's time, in this process")
    given = parser.parse_args()
    if given.whole:
        names = given.spaces or WHOLE
        share = 60 * given.whole / len(names)
        ratios = [whole_study(name, seconds=share, trials=given.trials) for name in names]
        print(f"median of {len(ratios)} studies: {statistics.median(ratios):.2f}")
        return
    where: dict[str, Any] = {"workers": 1}
    if given.processor:
        where = {"launcher": "inline"}
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    every: list[float] = []
    for name in given.spaces or SPACES:
        space = space_of(name, epochs=given.epochs or EPOCHS[name], trials=given.trials)
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            clocked(processor=given.processor)
            found = hpsearch.plan(space, home=home, seconds=given.seconds, progress=False, **where)
            assert found.trial is not None
            assert found.outlook is not None
            print(f"{name}: {found.trial.mean:.1f} s a trial, share {found.share} ({found.share_from})", flush=True)
            ratios = corners(space, found, home, count=given.corners, where=where)
            every += ratios
            print(f"  median of the trials {statistics.median(ratios):.2f}", flush=True)
            if given.no_study:
                continue
            clock = time.process_time if given.processor else WALL
            began, show = clock(), clocked(processor=given.processor)
            study = hpsearch.run({**space, "study": "whole"}, home=home, progress=show, **where)
            fact = clock() - began
            whole = found.outlook.seconds / fact
            own = statistics.fmean(trial.evaluations[-1].progress for trial in study.trials if trial.evaluations)
            took = f"{found.outlook.seconds:.0f} s, {fact:.0f} s, {whole:.2f}"
            print(f"  the study: {took}; share in fact {own:.2f}", flush=True)
    near = sum(0.7 <= ratio <= 1.3 for ratio in every)
    print(f"median of all trials: {statistics.median(every):.2f}; within 30%: {near} of {len(every)}")


if __name__ == "__main__":
    main()
