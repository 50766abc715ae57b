"""Drafts a space file for a user's files, and says what was found and why each value was chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from hpsearch.data import sources
from hpsearch.errors import UserError
from hpsearch.launchers.devices import cores, devices
from hpsearch.output.printable import printable
from hpsearch.preflight.draft.origins import Origin, beside, origins
from hpsearch.preflight.draft.questions import Answers
from hpsearch.preflight.draft.sets import Found, found, relative
from hpsearch.preflight.draft.sizes import Sizes, labels, sizes
from hpsearch.preflight.draft.writing import Line, data_set, file_text
from hpsearch.space.experiment import Experiment
from hpsearch.space.validation import wrong_study
from hpsearch.tasks import LOSSES
from hpsearch.trainers.causal_lm.ranges import RULES, Facts, recommended
from hpsearch.trainers.causal_lm.rules import STEP_LAW

TRIALS = 24  # enough for a sampler to leave its first, random trials behind, and for a confirmation
HOURS = {"cpu": 1.0, "gpu": 2.0}  # of a study that names none
PEAK = {"cpu": 2e10, "gpu": 3e13}  # FLOPs a second of a core or a GPU that small models reach, evaluations included
PRUNED = 0.5  # share of a whole training that a trial takes on average with the default pruner
COLUMNS = ("text", "label", "source", "target")
SCHEMA = "space.schema.json"


class Machine(NamedTuple):
    """What the trials will train on."""

    kind: str  # cpu or gpu
    workers: int

    @classmethod
    def of(cls, device: str) -> Machine:
        """This machine: its GPUs, or else its cores; for a device that it lacks: one GPU of another machine."""
        try:
            names = devices(device)
        except UserError:
            return cls("gpu", 1)
        return cls("cpu", cores()) if names == ["cpu"] else cls("gpu", len(names))

    @property
    def words(self) -> str:
        """`2 CPU cores`."""
        return f"{self.workers} {'CPU core' if self.kind == 'cpu' else 'GPU'}{'s' * (self.workers > 1)}"


@dataclass(frozen=True)
class Budget:
    """The limits of the study; None: no such limit."""

    trials: int | None = None
    hours: float | None = None

    def flops(self, machine: Machine) -> float:
        """What one whole training may cost."""
        seconds = 3600 * (self.hours or HOURS[machine.kind]) * machine.workers
        return PEAK[machine.kind] * seconds / (self.trials or TRIALS) / PRUNED

    def written(self, machine: Machine) -> dict[str, float]:
        """As the space file has it."""
        hours = HOURS[machine.kind] if self.trials is None and self.hours is None else self.hours
        trials = TRIALS if self.trials is None and self.hours is None else self.trials
        given = {"trials": trials, "hours": hours}
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class Draft:
    """A space file that runs as it is, and what was found."""

    text: str
    lines: tuple[str, ...]  # what was found, a line each
    warnings: tuple[str, ...]
    study: str  # its name


def draft(
    files: Sequence[Path],
    output: Path,
    *,
    answers: Answers,
    study: str | None = None,
    budget: Budget | None = None,
    machine: Machine | None = None,
) -> Draft:
    """Drafts the space file `output` for the files; writes nothing.

    Raises DataError for data that cannot be read or trained on, UserError for what only the user can say.
    """
    machine, budget = machine or Machine.of("auto"), budget or Budget()
    origin, about = origins(files, answers)
    if len(origin) > 1 and answers.task is not None:
        raise UserError(
            f"--task is of one data set; these files are {len(origin)}: {', '.join(o.name for o in origin)}"
        )
    every = [found(one, answers, shared=len(origin) > 1) for one in origin]
    _refuse_unused(every, answers)
    measured = sizes(every)
    name = study or _study(output, every)
    lines = [line for one in every for line in _found_lines(one)] + [_size_line(measured, machine)]
    plan = _Plan(name, budget, machine, output)
    text = _text(every, measured, plan, lines)
    experiment = _checked(text, output)
    warnings = [*about, *answers.taken, *(line for one in origin for line in _beside(one)), *experiment.warnings]
    warnings += [line for one in every for line in sources.warnings(one.name, one.splits)]
    return Draft(text, tuple(lines), tuple(printable(line, keep="") for line in warnings), name)


def _beside(one: Origin) -> Iterator[str]:
    """A line about the valid and test parts that lie beside the training file, and were not given."""
    if there := beside(one):
        names = ", ".join(path.name for path in there)
        verb, them = ("lie", "them") if len(there) > 1 else ("lies", "it")
        yield f"{names} {verb} beside {one.first.name}: pass {them} too, and no examples are cut from it"


def _refuse_unused(every: Sequence[Found], answers: Answers) -> None:
    """Raises UserError for a column that the user named and none of several sets has."""
    used = {column.rpartition(".")[2] for one in every for key in COLUMNS for column in _several(one.keys.get(key))}
    for option, name in answers.columns if len(every) > 1 else []:
        if name.rpartition(".")[2] not in used:
            raise UserError(f"{option} {printable(name, keep='')}: no data set has a column of this name")


def _several(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def _checked(text: str, output: Path) -> Experiment:
    """The experiment of the draft; a draft that is refused is a fault of ours."""
    experiment = Experiment.loads(text, path=str(output))
    experiment.trainer.check(experiment.space_file)
    return experiment


def _study(output: Path, every: Sequence[Found]) -> str:
    """The name of the file, as for a space file without `study:`; that of the data if no study can have it."""
    if not wrong_study(output.stem):
        return output.stem
    names = "_".join(one.name for one in every)
    return names if len(every) <= 3 and not wrong_study(names) else "mixed"


# ----------------------------------------------------------------------------------------------------- what was found


def _found_lines(one: Found) -> Iterator[str]:
    parts = ", ".join(f"{len(some):,} {part}" for part, some in one.splits.parts().items())
    yield f"{one.name}: {one.task}, {parts} examples"
    columns = ", ".join(f"{key} from {_column(one.keys[key])}" for key in COLUMNS if key in one.keys)
    if columns:
        yield f"{one.name}: {columns}" + ("; the first row is an example" if "columns" in one.keys else "")
    if one.splits.cut:
        what = f"{' and '.join(one.splits.cut)} {'are' if len(one.splits.cut) > 1 else 'is'}"
        yield f"{one.name}: {what} cut from the training examples (split)"
    if counts := labels(one):
        rarest, n = min(counts.items(), key=lambda pair: pair[1])
        yield printable(f"{one.name}: {len(counts)} labels, the rarest ({rarest[:40]}) {n:,} times in train", keep="")
    for line in one.notes:
        yield printable(line.replace(f"data.{one.name}: ", f"{one.name}: "), keep="")


def _column(value: str | list[str]) -> str:
    return printable(" and ".join(_several(value)), keep="")


def _size_line(measured: Sizes, machine: Machine) -> str:
    return f"about {_about(measured.tokens)} training tokens; to be trained on {machine.words}"


def _about(number: float) -> str:
    short = float(f"{number:.2g}")
    return f"{short / 1e6:g} million" if short >= 1e6 else f"{short:,.0f}"


# ----------------------------------------------------------------------------------------------------------- the file


class _Plan(NamedTuple):
    """What the file is to be."""

    study: str
    budget: Budget
    machine: Machine
    output: Path


def _text(every: Sequence[Found], measured: Sizes, plan: _Plan, found_lines: Sequence[str]) -> str:
    output, folder = plan.output, plan.output.parent
    facts = _facts(every, measured, plan.budget, plan.machine)
    head = [f"yaml-language-server: $schema={SCHEMA}"] if (folder / SCHEMA).is_file() else []
    head += ["Drafted by `hpsearch new`. `hpsearch explain KEY` says what a key means.", *found_lines]
    head += [f"  hpsearch plan {output.name}    does it fit, and how long does it take?"]
    head += [f"  hpsearch run {output.name}     searches; the same command resumes"]
    head += [
        f"  hpsearch watch {plan.study}    the study from another terminal; show, report, export take its name, too"
    ]
    given = plan.budget.written(plan.machine)
    limit = "the first limit that is reached ends the study" if len(given) > 1 else "of the study, restarts included"
    lines = [
        Line("study", plan.study),
        Line("seed", 0),
        Line("budget", given, limit),
        Line("objective", *_objective(every)),
        Line("data", under=[data_set(one.name, relative(one.keys, folder), one.reasons) for one in every]),
        _tokenizer(measured),
        Line("model", under=list(_model(every, measured, facts))),
        Line("training", under=list(_training(facts))),
    ]
    if measured.new_tokens:
        lines.append(Line("evaluation", under=list(_evaluation(measured))))
    return file_text(head, lines)


def _facts(every: Sequence[Found], measured: Sizes, budget: Budget, machine: Machine) -> Facts:
    tasks = {one.task for one in every}
    base = Facts(
        tokens=measured.tokens,
        targets=measured.targets,
        rows=0,
        labels=tasks == {"classification"},
        pairs="translation" in tasks,
        vocab_size=measured.vocab_size or 256,
        flops=budget.flops(machine),
    )
    context = _context(measured, base)
    rows = measured.examples + math.ceil(measured.running / context)
    return replace(base, rows=max(1, rows))


def _context(measured: Sizes, facts: Facts) -> int:
    """Enough for the examples, and with running text for what its size asks."""
    return max(measured.context or 0, facts.size.context if measured.running else 0)


def _objective(every: Sequence[Found]) -> tuple[dict[str, str], str]:
    tasks = {one.task for one in every}
    if tasks == {"classification"}:
        return {"metric": "val/f1_macro"}, "each label counts the same; or val/accuracy, val/mcc, val/loss"
    if tasks == {"translation"}:
        return {"metric": "val/loss"}, "less noisy than val/bleu and val/chrf, which are measured beside it"
    others = ", ".join(f"val/{metric.name}" for metric in LOSSES[1:])
    return {"metric": "val/loss"}, f"of all sets; {others} follow" if len(every) > 1 else f"{others} follow from it"


def _tokenizer(measured: Sizes) -> Line:
    if not measured.vocab_size:
        return Line("tokenizer", {"kind": "bytes"}, "too little text to learn a vocabulary from")
    why = f"for {measured.n_bytes / 1e6:.2g} MB of training text; grows with its square root (Heaps' law)"
    return Line("tokenizer", {"kind": "bpe", "vocab_size": measured.vocab_size}, why)


def _model(every: Sequence[Found], measured: Sizes, facts: Facts) -> Iterator[Line]:
    for_size = f"for about {_about(measured.tokens)} training tokens"
    for key, why in (("n_layers", for_size), ("width", ""), ("n_heads", "")):
        yield Line(key, recommended(facts)["model", key].written, why)
    context = _context(measured, facts)
    if measured.context is None or context > measured.context:
        yield Line("context", context, "tokens; longer text is cut into sequences")
    else:
        why = f"99 % of the examples have at most {measured.longest} tokens"
        yield Line("context", measured.context, why + (f"; {measured.cut / 10:g} % are cut" if measured.cut else ""))
    yield Line("dropout", recommended(facts)["model", "dropout"].written, "helps where data repeat, arXiv 2305.13230")


def _training(facts: Facts) -> Iterator[Line]:
    whys = {
        "learning_rate": RULES["training", "learning_rate"].source,
        "batch_size": f"near what {STEP_LAW}, recommends for so many tokens",
        "epochs": _why_epochs(facts),
        "weight_decay": RULES["training", "weight_decay"].source,
    }
    for key, why in whys.items():
        yield Line(key, recommended(facts)["training", key].written, why)


def _why_epochs(facts: Facts) -> str:
    if facts.epochs[1] < replace(facts, flops=math.inf).epochs[1]:
        return "as many as the budget allows; more hours or a GPU allow more"
    return "small data are read several times; validation says when that is too often"


def _evaluation(measured: Sizes) -> Iterator[Line]:
    yield Line("decode_every", 5, "decoding is slow: at every 5th of the 20 evaluations")
    yield Line("max_new_tokens", measured.new_tokens, "half as long again as the targets in the data")
