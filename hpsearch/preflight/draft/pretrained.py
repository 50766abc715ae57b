"""The part of a draft about pretrained models, which are fine-tuned."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.preflight.draft.plan import ModelPart, Plan, about
from hpsearch.preflight.draft.sets import Found
from hpsearch.preflight.draft.sizes import MEASURED, SHORT, rounded, share_of, sizes, spaced, texts
from hpsearch.preflight.draft.writing import Line
from hpsearch.trainers.huggingface.folders import check_folder, values_in
from hpsearch.trainers.huggingface.kinds import Kind, check_tasks, kind_in
from hpsearch.trainers.huggingface.ranges import Facts, recommended
from hpsearch.trainers.huggingface.trainer import missing_packages

TRIALS = 12  # rate, batch size and epochs alone have ranges
RUNNING = {"cpu": 256, "gpu": 512}  # tokens of a sequence of running text
LONGEST = 1024  # tokens of a context that is chosen for examples
EVALUATING, FORWARD = 0.25, 1 / 3  # share of the training's time for evaluations; an evaluation over a pass of training
EVALUATIONS = (4, 20)  # of a training: fewer are too few for the pruner
HALVES = ("float16", "bfloat16")


@dataclass(frozen=True)
class Checkpoint:
    """A pretrained model, and what it makes of the data."""

    name: str  # as it was given
    written: str  # as the space file has it
    kind: Kind
    model_type: str
    parameters: float
    in_layers: float  # of them those that every token passes
    longest: int | None  # tokens that it reads at most; None: any number
    needed: int | None  # tokens that 99% of the examples have; None: only running text
    new_tokens: int  # of nearly all targets that are decoded; 0: none are
    tokens: float  # of an epoch
    running: float  # of them those of running text
    doubts: tuple[str, ...] = ()  # warnings about its tokenizer

    @property
    def words(self) -> str:
        """`./my_bert: an encoder (bert) of 22.7 million parameters, reads at most 512 tokens`."""
        article = "a" if self.kind == "decoder" else "an"
        limit = f", reads at most {self.longest:,} tokens" if self.longest else ""
        return f"{self.name}: {article} {self.kind} ({self.model_type}) of {about(self.parameters)} parameters{limit}"


def pretrained(names: Sequence[str], every: Sequence[Found], plan: Plan) -> ModelPart:
    """Model, training and evaluation for checkpoints; raises UserError for one that cannot be tuned on these data."""
    for name in names:
        if Path(name).expanduser().is_dir():
            check_folder(Path(name).expanduser(), name)
    missing = missing_packages()
    look = _by_files if "transformers" in missing else _by_transformers
    found = [look(name, every, plan.output.parent) for name in dict.fromkeys(names)]
    facts = _facts(found, every, plan)
    lines = [
        Line("model", under=list(_model(found, facts, plan))),
        Line("training", under=list(_training(facts))),
        Line("evaluation", under=list(_evaluation(found, every, facts))),
    ]
    if facts.first is not None:
        why = "tried first, after the default config"
        lines.append(Line("search", under=[Line("first", [{"learning_rate": facts.first}], why)]))
    size = f"about {about(facts.tokens)} training tokens; to be tuned on {plan.machine.words}"
    several = len(found) > 1 and any(one.kind != "encoder" for one in found)
    warnings = _warnings(missing, found)
    return ModelPart(
        tuple(lines),
        (*(one.words for one in found), size),
        trials=TRIALS,
        warnings=tuple(warnings),
        comparable=not several,
        runs=not missing,
    )


def _warnings(missing: Sequence[str], found: Sequence[Checkpoint]) -> Iterator[str]:
    if missing:
        yield f"{', '.join(missing)} is not installed, and a run needs it: pip install 'hpsearch[hf]'"
    if "transformers" in missing:
        yield "kind, size and context are estimates: only transformers reads the checkpoint's config and tokenizer"
    for one in found:
        yield from one.doubts


# ----------------------------------------------------------------------------------------------------- what was found


def _by_transformers(name: str, every: Sequence[Found], folder: Path) -> Checkpoint:
    """The checkpoint as transformers reads it."""
    from hpsearch.trainers.huggingface.inspection import inspect  # torch, transformers: seconds

    seen = inspect(name, {one.name: one.section for one in every}, Path())
    needed, new_tokens, tokens, running, doubts = [], [], 0.0, 0.0, list(seen.doubts)
    for one in every:
        some = spaced(one.splits.train, MEASURED)
        doubts += seen.unknown(some, one.name)
        prompts, targets = seen.lengths(one.section, some)
        counted = sum(prompts) + (0 if seen.kind == "encoder" else sum(targets))
        of_set = counted * _characters(one.splits.train) / max(1, _characters(some))
        tokens += of_set
        if not one.section.has_prompts:
            running += of_set
            continue
        if one.task == "translation":
            new_tokens.append(rounded(1.5 * share_of(targets, 0.999)))
        needed.append(share_of(_read(seen.kind, prompts, targets, room=max(new_tokens, default=0)), SHORT))
    return Checkpoint(
        name=name,
        written=_written(name, folder),
        kind=seen.kind,
        model_type=seen.model_type,
        parameters=seen.parameters,
        in_layers=seen.in_layers,
        longest=seen.longest,
        needed=max(needed, default=None),
        new_tokens=max(new_tokens, default=0),
        tokens=max(1.0, tokens),
        running=running,
        doubts=tuple(doubts),
    )


def _read(kind: Kind, prompts: Sequence[int], targets: Sequence[int], *, room: int) -> list[int]:
    """The context that each example needs."""
    if kind == "encoder":
        return list(prompts)
    pairs = zip(prompts, targets, strict=True)
    if kind == "encoder-decoder":
        return [max(pair) for pair in pairs]
    return [prompt + max(target, room) for prompt, target in pairs]


def _by_files(name: str, every: Sequence[Found], folder: Path) -> Checkpoint:
    """The checkpoint by its config.json and the sizes of its files, the data by a tokenizer learnt from them."""
    place = Path(name).expanduser()
    if not place.is_dir():
        raise UserError(
            f"{name}: no such folder, and only transformers finds names on the hub: pip install 'hpsearch[hf]'"
        )
    values, measured = values_in(place), sizes(every)
    kind = kind_in(values)
    check_tasks(kind, {one.name: one.section for one in every}, name)
    bytes_each = 2 if values.get("torch_dtype", values.get("dtype")) in HALVES else 4
    parameters = sum(path.stat().st_size for path in place.glob("*.safetensors")) / bytes_each
    longest = values.get("max_position_embeddings") or values.get("n_positions")
    return Checkpoint(
        name=name,
        written=_written(name, folder),
        kind=kind,
        model_type=str(values.get("model_type", "of unknown type")),
        parameters=parameters,
        in_layers=parameters,
        longest=longest if isinstance(longest, int) and longest > 0 else None,
        needed=measured.context,
        new_tokens=measured.new_tokens,
        tokens=measured.tokens,
        running=measured.running,
    )


def _written(name: str, folder: Path) -> str:
    """A folder relative to that of the space file, as `./my_bert`; a name on the hub as it is."""
    if not Path(name).expanduser().is_dir():
        return name
    path = Path(os.path.relpath(Path(name).expanduser(), folder)).as_posix()
    return path if path.startswith("..") else f"./{path}"


def _characters(examples: Sequence[Any]) -> int:
    return sum(map(len, texts(examples)))


# ----------------------------------------------------------------------------------------------------------- sections


def _facts(found: Sequence[Checkpoint], every: Sequence[Found], plan: Plan) -> Facts:
    """Of the largest of the checkpoints."""
    largest = max(found, key=lambda one: one.parameters)
    rows = sum(len(one.splits.train) for one in every if one.section.has_prompts)
    rows += math.ceil(largest.running / _running(largest, plan))
    return Facts(
        kind=largest.kind,
        model_type=largest.model_type,
        parameters=largest.parameters,
        in_layers=largest.in_layers,
        tokens=max(one.tokens for one in found),
        rows=max(1, rows),
        texts=largest.running > 0,
        flops=plan.budget.flops(plan.machine, trials=TRIALS),
    )


def _running(one: Checkpoint, plan: Plan) -> int:
    return min(RUNNING[plan.machine.kind], one.longest or LONGEST)


def _model(found: Sequence[Checkpoint], facts: Facts, plan: Plan) -> Iterator[Line]:
    names = [one.written for one in found]
    yield Line("pretrained", names[0] if len(names) == 1 else {"choices": names})
    values = recommended(facts)
    if facts.tuning == "full":
        why = "all weights; LoRA takes less memory: tuning: lora, and ten times these rates, at most 2e-3"
    else:
        why = f"low-rank updates, for {about(facts.parameters)} parameters; {values['model', 'tuning'].source}"
    yield Line("tuning", values["model", "tuning"].written, why)
    if facts.tuning == "lora":
        yield Line("lora_rank", values["model", "lora_rank"].written, values["model", "lora_rank"].source)
    yield _context(found, plan)


def _context(found: Sequence[Checkpoint], plan: Plan) -> Line:
    """Enough for 99% of the examples, with running text for a sequence of it, and what every checkpoint can read."""
    most = min([LONGEST, *(one.longest for one in found if one.longest)])
    needed = max((one.needed for one in found if one.needed is not None), default=None)
    running = max((_running(one, plan) for one in found if one.running), default=0)
    context = min(most, max(running, 0 if needed is None else rounded(needed)))
    if needed is None or running > needed:
        return Line("context", context, "tokens; longer text is cut into sequences")
    if needed > context:
        return Line("context", context, f"the longest that fits; 99% of the examples have at most {needed} tokens")
    return Line("context", context, f"99% of the examples have at most {needed} tokens")


def _training(facts: Facts) -> Iterator[Line]:
    values = recommended(facts)
    for key in ("learning_rate", "batch_size", "epochs"):
        found = values["training", key]
        short = key == "epochs" and facts.epochs != facts.wanted_epochs
        why = "as many as the budget allows; more hours or a GPU allow more" if short else found.source
        yield Line(key, found.written, why)


def _evaluation(found: Sequence[Checkpoint], every: Sequence[Found], facts: Facts) -> Iterator[Line]:
    """As many evaluations as take a quarter of the training's time."""
    valid = sum(_characters(one.splits.valid) for one in every)
    train = sum(_characters(one.splits.train) for one in every)
    epochs = math.sqrt(math.prod(facts.epochs))
    least, most = EVALUATIONS
    times = max(least, min(most, round(EVALUATING / FORWARD * epochs * train / max(1, valid))))
    yield Line("times", times, "evaluations, which take about a quarter of the training's time")
    if new_tokens := max(one.new_tokens for one in found):
        yield Line("decode_every", max(1, times // 4), "decoding is slow: at every fourth part of a training")
        yield Line("max_new_tokens", new_tokens, "half as long again as the targets in the data")
