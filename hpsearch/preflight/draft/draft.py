"""Drafts a space file for a user's files, and says what was found and why each value was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.data import sources
from hpsearch.errors import UserError
from hpsearch.output.printable import printable
from hpsearch.preflight.draft.origins import Origin, beside, origins
from hpsearch.preflight.draft.own_model import own_model
from hpsearch.preflight.draft.plan import Budget, Machine, ModelPart, Plan
from hpsearch.preflight.draft.pretrained import pretrained
from hpsearch.preflight.draft.questions import Answers
from hpsearch.preflight.draft.sets import Found, found, relative
from hpsearch.preflight.draft.sizes import labels
from hpsearch.preflight.draft.writing import Line, data_set, file_text
from hpsearch.space.experiment import Experiment
from hpsearch.space.validation import wrong_study
from hpsearch.tasks import LOSSES

COLUMNS = ("text", "label", "source", "target")
SCHEMA = "space.schema.json"


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
    checkpoints: Sequence[str] = (),
    study: str | None = None,
    budget: Budget | None = None,
    machine: Machine | None = None,
) -> Draft:
    """Drafts the space file `output` for the files; writes nothing.

    checkpoints: pretrained models to fine-tune, folders or names on the hub, beside the folders among the files.
    Raises DataError for data that cannot be read or trained on, UserError for what only the user can say.
    """
    origin, folders = origins(files, answers)
    if len(origin) > 1 and answers.task is not None:
        raise UserError(
            f"--task is of one data set; these files are {len(origin)}: {', '.join(o.name for o in origin)}"
        )
    every = [found(one, answers, shared=len(origin) > 1) for one in origin]
    _refuse_unused(every, answers)
    plan = Plan(study or _study(output, every), budget or Budget(), machine or Machine.of("auto"), output)
    names = [*folders, *checkpoints]
    model = pretrained(names, every, plan) if names else own_model(every, plan)
    lines = [*(line for one in every for line in _found_lines(one)), *model.found]
    text = _text(every, model, plan, lines)
    experiment = _checked(text, output, runs=model.runs)
    warnings = [*answers.taken, *(line for one in origin for line in _beside(one)), *model.warnings]
    warnings += experiment.warnings
    warnings += [line for one in every for line in sources.warnings(one.name, one.splits)]
    return Draft(text, tuple(lines), tuple(printable(line, keep="") for line in warnings), plan.study)


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


def _checked(text: str, output: Path, *, runs: bool) -> Experiment:
    """The experiment of the draft; a draft that is refused is a fault of ours. runs: here, with what is installed."""
    experiment = Experiment.loads(text, path=str(output))
    if runs:
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


# ----------------------------------------------------------------------------------------------------------- the file


def _text(every: Sequence[Found], model: ModelPart, plan: Plan, found_lines: Sequence[str]) -> str:
    output, folder = plan.output, plan.output.parent
    head = [f"yaml-language-server: $schema={SCHEMA}"] if (folder / SCHEMA).is_file() else []
    head += ["Drafted by `hpsearch new`. `hpsearch explain KEY` says what a key means.", *found_lines]
    head += [f"  hpsearch plan {output.name}    does it fit, and how long does it take?"]
    head += [f"  hpsearch run {output.name}     searches; the same command resumes"]
    head += [
        f"  hpsearch watch {plan.study}    the study from another terminal; show, report, export take its name, too"
    ]
    given = plan.budget.written(plan.machine, trials=model.trials)
    limit = "the first limit that is reached ends the study" if len(given) > 1 else "of the study, restarts included"
    lines = [
        Line("study", plan.study),
        Line("seed", 0),
        Line("budget", given, limit),
        Line("objective", *_objective(every, comparable=model.comparable)),
        Line("data", under=[data_set(one.name, relative(one.keys, folder), one.reasons) for one in every]),
        *model.lines,
    ]
    return file_text(head, lines)


def _objective(every: Sequence[Found], *, comparable: bool) -> tuple[dict[str, str], str]:
    tasks = {one.task for one in every}
    if tasks == {"classification"}:
        return {"metric": "val/f1_macro"}, "each label counts the same; or val/accuracy, val/mcc, val/loss"
    if not comparable:
        return {"metric": "val/bits_per_byte"}, "losses of models with other vocabularies cannot be compared"
    if tasks == {"translation"}:
        return {"metric": "val/loss"}, "less noisy than val/bleu and val/chrf, which are measured beside it"
    others = ", ".join(f"val/{metric.name}" for metric in LOSSES[1:])
    return {"metric": "val/loss"}, f"of all sets; {others} follow" if len(every) > 1 else f"{others} follow from it"
