"""What a trainer is: the class to derive one's own from, and the values that it exchanges with the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, create_model

from hpsearch.config import Config, Objective
from hpsearch.contract import Evaluation, Handle
from hpsearch.document.ranges import Leaf, probes
from hpsearch.verdict import Phases


class Asked(Protocol):
    """What a space file asks of its trainer."""

    @property
    def config(self) -> Any:
        """One config of the space, where each range stands at one of its values."""

    @property
    def given(self) -> Mapping[str, Any]:
        """The file's own values, without defaults."""

    @property
    def base(self) -> Path:
        """The folder at which relative paths begin."""

    def leaves(self, section: str, key: str) -> list[Leaf]:
        """Every value or range that a trial may take a key from."""

    def varies(self, section: str) -> bool:
        """Whether the section has a range."""

    def where(self, *keys: str | int) -> str:
        """`path:line:column` of a value, to begin an error with."""


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made for all trainings of a space, and what is to be said of it."""

    folders: dict[str, Path] = field(default_factory=dict)  # a name of the trainer's choice -> a folder of files
    fingerprint: str = ""  # of all data: a study resumes on the same data only
    contents: dict[str, str] = field(default_factory=dict)  # fingerprints of its parts, by name
    sets: dict[str, Any] = field(default_factory=dict)  # counts by part and split, for people
    warnings: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)  # what was read, a line each
    untested: list[str] = field(default_factory=list)  # why parts cannot be tested, a line each

    @property
    def facts(self) -> dict[str, Any]:
        """What the journal keeps of the data."""
        return {"fingerprint": self.fingerprint, "contents": self.contents, "sets": self.sets}


@dataclass(frozen=True)
class TestResult:
    """What the trainer measured on the test data."""

    __test__: ClassVar[bool] = False  # pytest collects classes named Test...

    metrics: dict[str, float] = field(default_factory=dict)  # test/...; val/... replace those of the best evaluation
    signatures: dict[str, str] = field(default_factory=dict)  # how metrics were computed, by name
    samples: dict[str, Any] = field(default_factory=dict)  # JSON-able


class Shape(NamedTuple):
    """What of a config decides over memory: more of any size takes as much or more, and the kinds must be equal."""

    sizes: tuple[float, ...]
    kinds: str

    def covers(self, other: Shape) -> bool:
        """Whether a trial of this shape takes at least as much as one of the other."""
        return self.kinds == other.kinds and all(a >= b for a, b in zip(self.sizes, other.sizes, strict=True))


class Trainer:
    """Training code that hpsearch can search with. A trainer of one's own sets `sections` and writes `train`:

        class Fit(Section):
            degree: int = 3

        class Ridge(Trainer):
            sections = {"fit": Fit}

            def train(self, config, handle):
                ...
                yield Evaluation(index=1, progress=1.0, metrics={"val/loss": loss})

    and is named in the space file as `trainer: "python:module:Ridge"`. All else has a default.

    A trainer that can train several trials of one shape at once adds `train_many(tasks)`, an iterator of (trial,
    Evaluation) pairs. No launcher calls it yet; every message between worker and driver names its trial.
    """

    name: str = ""  # as the space file has it; set when it is loaded
    sections: ClassVar[Mapping[str, type[BaseModel]]] = {}  # those that may hold ranges
    tied: ClassVar[Mapping[str, Sequence[str]]] = {}  # section -> keys that a rule of the section ties together
    config: ClassVar[type[Config]] = Config  # seed, objective and all sections; made of `sections` if not given
    exports: ClassVar[str] = ""  # who can read what `export` writes, for people

    def __init_subclass__(cls) -> None:
        """Makes the config of the sections."""
        super().__init_subclass__()
        if "config" not in cls.__dict__ and "sections" in cls.__dict__:
            fields: dict[str, Any] = {name: (kind, _default(kind)) for name, kind in cls.sections.items()}
            cls.config = create_model(f"{cls.__name__}Config", __base__=Config, **fields)

    # ------------------------------------------------------------------------------------------------------- training

    def train(self, config: Any, handle: Handle) -> Iterator[Evaluation]:
        """Trains a config, yielding an evaluation at equal fractions of the schedule (see contract.py).

        On a folder with a state (`load_state`) it first yields again the evaluations that the state holds. Before each
        step it asks `handle.command()`: PAUSE means save the state and return, FINISH save the best weights and return.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `train`")

    def warm_up(self) -> None:
        """Imports what `train` needs, before the first trial comes."""

    def test(self, config: Any, handle: Handle) -> TestResult:
        """Measures the finished training in `handle.folder` on the test data, once; by default nothing."""
        return TestResult()

    def export(self, config: Any, handle: Handle, folder: Path) -> None:
        """Writes the finished training in `handle.folder` as files for others; by default none."""

    def export_kept(self, config: Any, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
        """Writes what a search kept of a trial's evaluation in `handle.folder`, as `export` does.

        Returns the metrics of that evaluation, or None (the default) if nothing is kept of it.
        Raises CheckpointDamaged.
        """
        return None

    # ------------------------------------------------------------------------------------------------- before a search

    def validate(self, asked: Asked) -> None:
        """Raises Fault for what the sections' own validators cannot see: it is said with its place in the file."""

    def objective(self, asked: Asked) -> Objective:
        """The objective; raises Fault where the file asks for one that there cannot be."""
        objective: Objective = asked.config.objective
        return objective

    def check(self, asked: Asked) -> None:
        """What can be checked at once; raises UserError, before anything is started."""

    def prepare(
        self,
        asked: Asked,
        *,
        cache: Path,
        progress: Callable[[str, float], None],
        known: Callable[[Mapping[str, Any]], None],
        fresh: bool,
    ) -> Prepared:
        """Reads the data and prepares them in `cache` for all trainings; raises UserError for wrong data.

        known: to be called with the facts (fingerprint, contents) as soon as they are known: it raises where a resumed
        study has other data. fresh: the study has no trial yet.
        """
        prepared = Prepared()
        known(prepared.facts)
        return prepared

    def cannot_prepare(self, asked: Asked) -> str:
        """Why `prepare` cannot prepare for all trainings of a space; empty: it can."""
        return ""

    def files(self, config: Mapping[str, Any]) -> list[str]:
        """The paths that a config of the journal names: a study that was moved finds its data by them."""
        return []

    # ------------------------------------------------------------------------------------------------ rules of sections

    def probes(self, key: str, leaf: Leaf) -> Sequence[Any]:
        """The values of a range that can break a rule of `tied`: all, or the ends where nothing between is worse."""
        return probes(leaf)

    def remedy(self, section: str, ruled: Mapping[str, Leaf]) -> str:
        """What would keep to the rule that these values or ranges break, as the end of a message."""
        return ""

    # ----------------------------------------------------------------------------------------- questions about configs

    def phases(self, config: Any) -> Phases:
        """When the warm-up ends, the cool-down begins and the training ends, as shares of the schedule."""
        return Phases(warmup_until=0.0, cooldown_from=1.0, ends_at=1.0)

    def evaluations(self, config: Any) -> int | None:
        """How many evaluations the whole schedule has; None: that is not known."""
        return None

    def shape(self, config: Any) -> Shape:
        """What of a config decides over memory; by default all configs count as equal."""
        return Shape((), "")

    def dedup_key(self, config: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """What counts of the sections that may hold ranges: configs with equal keys are the same training."""
        return {name: {**_defaults(kind), **config.get(name, {})} for name, kind in self.sections.items()}

    def export_config(self, config: Any, evaluation: Evaluation) -> Any:
        """The config whose training ends with what this evaluation of a trial of `config` measured."""
        return config

    def comments(self, config: Any, exported: Any, *, trial: int, evaluation: Evaluation, then: str) -> dict[Any, str]:
        """(section, key) -> a comment in best.yaml. exported: from `export_config`; then: how the trial continued."""
        return {}

    def nondeterminism(self, config: Any, part: str) -> str:
        """Why a part of the data may have changed though nobody touched it, as the end of a line; empty: no reason."""
        return ""


def _default(kind: type[BaseModel]) -> Any:
    """The default of a section: none where one of its keys is required."""
    return ... if any(one.is_required() for one in kind.model_fields.values()) else kind()


def _defaults(kind: type[BaseModel]) -> dict[str, Any]:
    return {
        name: one.get_default(call_default_factory=True)
        for name, one in kind.model_fields.items()
        if not one.is_required()
    }
