"""The base class of trainers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, create_model

from hpsearch.config import Config, Objective
from hpsearch.contract import CHECKPOINTS, Evaluation, Handle, TrialTask, WorkerSettings
from hpsearch.document.ranges import Leaf, probes
from hpsearch.tasks.baseline import Baseline
from hpsearch.trainers.costs import Advice, CostModel, Sample, by_progress
from hpsearch.trainers.scaling import ScaleUp
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.values import Prepared, Rule, Shape, TestResult
from hpsearch.verdict import Phases


class Trainer:
    """Base class of trainers: the code that hpsearch trains, evaluates and exports a config with.

    A subclass defines `sections` and `train`; every other method has a default:

        class Fit(Section):
            degree: int = 3

        class Ridge(Trainer):
            sections = {"fit": Fit}

            def train(self, config, handle):
                ...
                yield Evaluation(index=1, step=100, progress=1.0, metrics={"val/loss": loss})

    A space file names it as `trainer: "python:module:Ridge"`. The module may lie beside the space file. The driver and
    each worker create an instance of their own, without arguments; nothing is shared between them.

    The contract of `train(config, handle)`, an iterator of Evaluations:

    - Evaluations have indices 1, 2, ..., n at equal fractions of the training's schedule: evaluation i of n at
      progress i / n. Trials are compared at equal indices. `metrics` contains the objective (default: `val/loss`).
    - `handle.folder` is the trial's own folder. If it contains a state (`load_state`), train resumes from it: it first
      yields the evaluations in that state again, unchanged, then continues.
    - `train` calls `handle.command()` before each step and obeys:
        CONTINUE  do the step;
        PAUSE     save the state (`save_state`), unless the last step has saved it, and return: the trial is resumed
                  later, maybe in another process;
        FINISH    save the best weights, if the trainer keeps any, and return: the trial is over;
        COOL_DOWN (only if `cools_down`) go back to a state before the training overfitted, lower the learning rate from
                  there, yield the end of that as an Evaluation with its `branch`, and do as for FINISH.
      `train` never sees STOP: it gets PAUSE instead, or the iterator is closed at a `yield` (GeneratorExit).
    - It saves its state from time to time, every `handle.settings.checkpoint_seconds` for example: a killed trial
      resumes from there. Equal configs with equal seeds should yield equal evaluations.
    - An exception fails the trial: one line in the terminal, the traceback in error.txt in the trial's folder. A
      UserError ends the search. Warnings are written to Python's logging.

    A trainer that can train several trials of equal `shape` together may define `train_many`, too.

    Workers call `warm_up`, `train`, `train_many` and `measure`, a process of its own calls `baselines`. The driver
    calls all other methods, `phases`, `evaluations`, `shape`, `dedup_key` and `files` for the first time when the space
    file is read. It reports an exception in one line.
    """

    name: str = ""  # as in the space file; set by `load`
    sections: ClassVar[
        Mapping[str, type[BaseModel]]
    ] = {}  # name -> pydantic class of a section that may contain ranges
    tied: ClassVar[Mapping[str, Sequence[str]]] = {}  # section -> keys that a validator of it checks together
    sizes: ClassVar[Mapping[str, Sequence[str]]] = {}  # section -> keys whose larger values make a larger model
    config: ClassVar[type[Config]] = Config  # seed, objective, sections; default: made from `sections`
    several_gpus: ClassVar[bool] = False  # whether one training can use the GPUs of `resources: {gpus_per_trial}`
    refused: ClassVar[Mapping[str, str]] = {}  # keys of other trainers' space files -> what to write here
    exports: ClassVar[str] = ""  # what reads the files that `export` writes, for display
    no_model: ClassVar[str] = "the trainer's export wrote no file"  # said if `export` leaves the model folder empty
    untested: ClassVar[str] = "the trainer measured no test data"  # said if `test` returns no test/... metric

    def __init_subclass__(cls) -> None:
        """Creates `config` from `sections`, if all of them are classes of sections; else `load` refuses the trainer."""
        super().__init_subclass__()
        if "config" not in cls.__dict__ and "sections" in cls.__dict__ and are_sections(cls.sections):
            fields: dict[str, Any] = {name: (kind, _default(kind)) for name, kind in cls.sections.items()}
            cls.config = create_model(f"{cls.__name__}Config", __base__=Config, **fields)

    # ------------------------------------------------------------------------------------------------------- training

    def train(self, config: Any, handle: Handle) -> Iterator[Evaluation]:
        """Trains a config and yields its evaluations; the docstring of the class has the contract."""
        raise NotImplementedError(f"{type(self).__name__} has no method `train`")

    def train_many(self, tasks: Sequence[TrialTask]) -> Iterator[tuple[int, Evaluation | None]]:
        """Trains several trials together; yields (trial, Evaluation), and (trial, None) when that trial has ended.

        Optional: `resources: {trials_per_worker: 4}` in a space file needs it. Each call has 2 to 4 trials of equal
        `shape`, with `task.trial` (the number), `task.config` and `task.handle`; `train` trains a trial that is left
        alone, and the winner. For each trial the contract is that of `train`. Beyond it:

        - Each trial has a command of its own. One that reads PAUSE or FINISH saves what `train` would save, and its
          end is yielded; the others continue. The iterator ends when all trials have ended.
        - A pruned trial reads PAUSE. What it yields before its end is ignored. If all trials that are left were
          pruned, the iterator is closed at a `yield` (GeneratorExit).
        - After (trial, None) the trial's folder belongs to others. Trials whose end was not yielded end with the
          iterator.
        - An exception fails all trials that have not ended. Each is then trained once more, without the others.
        - `peak_memory` is that of all trials together; the worker divides it by their number.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `train_many`")

    def warm_up(self) -> None:
        """Imports what `train` needs; a worker calls it before its first trial."""

    def test(self, config: Any, handle: Handle) -> TestResult:
        """Evaluates the finished training in `handle.folder` on the test data; `hpsearch train` calls it once."""
        return TestResult()

    def on_all_data(self, config: Any) -> Any | None:
        """The config that trains on the validation data as well, for `hpsearch train --data train+valid`.

        Its class has `trains_on_valid = True`: `train` then yields evaluations without the objective, and `test` and
        `export` take the weights at the end. None (the default): the trainer cannot, and the option is refused.
        """
        return None

    def steps(self, config: Any, settings: WorkerSettings) -> int | None:
        """The steps of the training of a config that `on_all_data` knows, on the prepared data; None: unknown."""
        return None

    def export(self, config: Any, handle: Handle, folder: Path) -> None:
        """Writes the finished training in `handle.folder` to `folder`, for use outside hpsearch; default: no files."""

    def export_kept(self, config: Any, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
        """Writes the weights of evaluation `index` that a search kept in `handle.folder` to `folder`, as `export` does.

        Returns the metrics of that evaluation, or None (the default) if its weights are not kept.
        Raises CheckpointDamaged.
        """
        return None

    def starts_anew(self, folder: Path) -> bool:
        """Whether a training in this folder, a trial's, has no state to resume from; default: no checkpoint is there.

        `hpsearch check` asks after a training was paused or killed.
        """
        return not any((folder / name).exists() for name in CHECKPOINTS)

    # ------------------------------------------------------------------------------------------------- before a search

    def validate(self, space: SpaceView) -> None:
        """Raises Fault for mistakes that the validators of the sections cannot detect; the message gets its place."""

    def objective(self, space: SpaceView) -> Objective:
        """Returns the objective, with its direction; raises Fault if this space cannot have it."""
        objective: Objective = space.config.objective
        return objective

    def check(self, space: SpaceView) -> None:
        """Makes quick checks (do files exist?) before workers are started; raises UserError."""

    def prepare(
        self,
        space: SpaceView,
        *,
        cache: Path,
        progress: Callable[[str, float], None],
        known: Callable[[Mapping[str, Any]], None],
        fresh: bool,
    ) -> Prepared:
        """Reads the data and prepares them in the folder `cache` for all trainings; raises UserError for wrong data.

        Calls `progress(what, share)` while it works, and `known(facts)` as soon as the facts (see Prepared.facts) are
        known: `known` raises StudyMismatch if the study was started on other data. fresh: the study has no trial yet.
        """
        prepared = Prepared()
        known(prepared.facts)
        return prepared

    def baselines(self, config: Any, settings: WorkerSettings) -> Iterable[Baseline]:
        """Trivial models to compare the winner with; their metrics have the names that evaluations have (val/loss).

        Called once for a study, in a process of low priority beside the trainings; default: none.
        config: one of the space; settings.prepared: the prepared data.
        """
        return ()

    def cannot_prepare(self, space: SpaceView) -> str:
        """The reason why `prepare` cannot prepare the data of every trial in advance; empty if it can."""
        return ""

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The paths in a config, by which a study that was moved finds its data."""
        return []

    # ------------------------------------------------------------------------------------------------ rules of sections

    def probes(self, key: str, leaf: Leaf) -> Sequence[Any]:
        """The values of a range to check the rules of `tied` with; default: all choices, or the ends of a range."""
        return probes(leaf)

    def remedy(self, section: str, ruled: Mapping[str, Leaf]) -> str:
        """A suggestion for values that satisfy the broken rule, appended to the message; empty for none."""
        return ""

    # ----------------------------------------------------------------------------------------- questions about configs

    def phases(self, config: Any) -> Phases:
        """Where warm-up ends, cool-down starts and the training ends, as shares of the schedule (0 to 1)."""
        return Phases(warmup_until=0.0, cooldown_from=1.0, ends_at=1.0)

    def evaluations(self, config: Any) -> int | None:
        """The number of evaluations in the whole schedule; None if unknown."""
        return None

    def rules(self, config: Any, sets: Mapping[str, Any]) -> Mapping[str, Mapping[str, Rule]]:
        """Recommended values, section -> key -> Rule, for the default config; it has the middle of all other ranges.

        config: the middle of the space; sets: the counts of the prepared data (Prepared.sets), empty if unknown.
        """
        return {}

    def shortened(
        self, config: Any, horizon: float, searched: Collection[tuple[str, str]]
    ) -> Mapping[str, Mapping[str, Any]]:
        """What a whole training of `horizon` (below 1) of the config's length has instead, section -> key -> value.

        It is to say as much as it can about the config's own training: with the length may change what the best values
        of other keys depend on it. searched: (section, key) of the trial's ranges. An empty answer (the default): the
        trainer cannot shorten its trainings, and `search.shift` is refused.
        """
        return {}

    def cools_down(self, config: Any) -> bool:
        """Whether `train` obeys COOL_DOWN for this config; else a trial that overfits ends at its best evaluation."""
        return False

    def shape(self, config: Any) -> Shape:
        """The memory class of a config, used to share GPUs and to group trials; by default all configs are equal."""
        return Shape((), "")

    def dedup_key(self, config: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """The values of the sections that have an effect: configs with equal keys are the same training, tried once."""
        return {name: {**_defaults(kind), **config.get(name, {})} for name, kind in self.sections.items()}

    def scaled(
        self,
        config: Any,
        target: Mapping[str, Any],
        *,
        sets: Mapping[str, Any],
        searched: Collection[tuple[str, str]],
    ) -> ScaleUp | None:
        """What a larger training than that of a config is to have, for `hpsearch export --for`; raises Fault.

        config: a trial's, which ends at its best evaluation; target: what the user gives of the larger training; sets:
        the counts of the study's data; searched: (section, key) of the trial's ranges. None (the default): the trainer
        has no rules for it.
        """
        return None

    # --------------------------------------------------------------------------------------------------- before it runs

    def measure(self, config: Any, handle: Handle, seconds: float) -> Iterator[Evaluation]:
        """Trains a config for about so many seconds, for `hpsearch plan`; yields what `cost_model` reads.

        Default: `train`, which the plan ends after the first evaluation that comes after `seconds`.
        """
        return self.train(config, handle)

    def work(self, config: Any, sets: Mapping[str, Any]) -> Mapping[str, float]:
        """What the cost of a config grows with: `seconds` and `memory`, in any unit, and what else decides over them.

        `hpsearch plan` measures the configs at which these are smallest and largest, and some that differ most in them.
        sets: the counts of the prepared data. Default: nothing, so that the plan measures random configs.
        """
        return {}

    def cost_model(self, samples: Sequence[Sample], sets: Mapping[str, Any]) -> CostModel:
        """The expected cost of every config, from those that were measured; default: the mean of these."""
        return by_progress(list(samples))

    def advice(self, space: SpaceView, sets: Mapping[str, Any]) -> Iterable[Advice]:
        """What someone with experience would say of the space, for `hpsearch plan`; default: nothing."""
        return ()

    def export_config(self, config: Any, evaluation: Evaluation) -> Any:
        """The config for best.yaml: its training ends at this evaluation, the best one of a trial of `config`."""
        return branched(config, evaluation.branch)

    def comments(self, config: Any, exported: Any, *, trial: int, evaluation: Evaluation, then: str) -> dict[Any, str]:
        """Comments for best.yaml: (section, key) -> text. `then`: what the trial did after the evaluation."""
        return {}

    def nondeterminism(self, config: Any, part: str) -> str:
        """The reason why a data set can differ between reads without an edit, appended to a message; empty for none."""
        return ""


def branched(config: Any, branch: Mapping[str, Mapping[str, Any]]) -> Any:
    """The config with the values that an Evaluation's `branch` changes."""
    sections = {name: getattr(config, name).model_copy(update=dict(values)) for name, values in branch.items()}
    return config.model_copy(update=sections) if sections else config


def trains_many(trainer: Trainer) -> bool:
    """Whether a trainer defines `train_many`."""
    return getattr(type(trainer), "train_many", None) not in (None, Trainer.train_many)


def are_sections(value: Any) -> bool:
    """Whether `sections` maps names to classes of sections."""
    return isinstance(value, Mapping) and all(isinstance(name, str) and is_section(value[name]) for name in value)


def is_section(value: Any) -> bool:
    """Whether a value of `sections` is a class of sections."""
    return isinstance(value, type) and issubclass(value, BaseModel)


def _default(kind: type[BaseModel]) -> Any:
    """The default of a section; `...` (required) if one of its keys is required."""
    return ... if any(one.is_required() for one in kind.model_fields.values()) else kind()


def _defaults(kind: type[BaseModel]) -> dict[str, Any]:
    return {
        name: one.get_default(call_default_factory=True)
        for name, one in kind.model_fields.items()
        if not one.is_required()
    }
