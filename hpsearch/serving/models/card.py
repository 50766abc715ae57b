"""The model card: README.md of a model directory, which says how to use it, how good it is and how it was found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.output.digits import digits
from hpsearch.results.evidence.optimism import OptimismGap
from hpsearch.results.evidence.seeds import SeedSummary
from hpsearch.serving.models.folder import ModelFolder, read_folder
from hpsearch.serving.models.usage import plain, row, usage
from hpsearch.system.atomic import write_atomically
from hpsearch.tasks.metric import of_head
from hpsearch.tasks.scores.ranges import within

CARD = "README.md"
TAGS = {"label": "text-classification", "pair": "translation", "text": "text-generation"}
KINDS = {"hpsearch": "text", "causal": "text", "classifier": "label", "seq2seq": "pair"}  # without noted uses
LABELS = 50  # that are named
Z = 1.96  # of 95% of a normal distribution


@dataclass(frozen=True)
class Facts:
    """What is known of a model beside its directory."""

    study: str
    metrics: Mapping[str, float]  # val/..., and test/... if it was tested
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # {set: {split: {"examples": n}}}
    contents: Mapping[str, str] = field(default_factory=dict)  # {set: fingerprint}
    provenance: Mapping[str, Any] = field(default_factory=dict)  # of best.yaml
    signatures: Mapping[str, str] = field(default_factory=dict)  # how BLEU and chrF were computed
    gap: OptimismGap | None = None
    seeds: SeedSummary | None = None  # of a training with several


def write_card(folder: Path, facts: Facts, *, shown: Path | None = None) -> None:
    """Writes the card of a model directory; none for a folder whose trainer exported no model.

    shown: the path of the folder in the examples, if it will be another one. Raises OSError.
    """
    try:
        found = read_folder(folder)
    except UserError:
        return
    write_atomically(folder / CARD, card(found, facts, str(shown or folder)).encode())


def card(folder: ModelFolder, facts: Facts, path: str) -> str:
    """The card's text; path: of the model directory in the examples."""
    metrics = of_head(facts.metrics, objective="") if folder.family == "classifier" else facts.metrics
    facts = replace(facts, metrics=metrics)
    parts = [_head(folder), _about(folder, facts), usage(folder, path), _metrics(facts), _data(folder, facts)]
    parts.insert(4, "" if facts.seeds is None else _seeds(facts.seeds))
    return "\n\n".join([*filter(None, parts), _evidence(facts)]) + "\n"


def _head(folder: ModelFolder) -> str:
    kinds: set[str] = {use.kind for use in folder.uses} or {KINDS[folder.family]}
    tag = TAGS[kinds.pop()] if len(kinds) == 1 else TAGS["text"]
    return "\n".join(
        [
            "---",
            "license:  # yours to choose, as in: apache-2.0",
            "library_name: transformers",
            f"pipeline_tag: {tag}",
            f"tags: [hpsearch, {folder.config.get('model_type', 'llama')}]",
            "---",
        ]
    )


def _about(folder: ModelFolder, facts: Facts) -> str:
    config = folder.config
    known = {"layers": "num_hidden_layers", "width": "hidden_size"}  # other architectures name them otherwise
    sizes = [f"{name} {config[key]}" for name, key in known.items() if key in config]
    if folder.context is not None:
        sizes.append(f"context {folder.context} tokens")
    tasks = _tasks(folder)
    sets = ", ".join(f"{name} ({tasks[name]})" if name in tasks else name for name in tasks or facts.sets)
    return "\n".join(
        [
            f"# {plain(facts.study)}",
            "",
            f"{plain(config['architectures'][0])} ({', '.join(sizes)}), trained by hpsearch on {plain(sets)}. "
            "`config.json` has the model, `hpsearch.json` the whole config of its training.",
        ]
    )


# ------------------------------------------------------------------------------------------------------------- metrics


def _metrics(facts: Facts) -> str:
    named = {name: value for name, value in facts.metrics.items() if not name.endswith("stderr")}
    names = sorted({name.removeprefix("val/").removeprefix("test/") for name in named})
    tested = any(name.startswith("test/") for name in named)
    splits = ("val", "test") if tested else ("val",)
    lines = ["## Metrics", "", row(["metric", *({"val": "validation", "test": "test"}[one] for one in splits)])]
    lines.append("|---" * (1 + len(splits)) + "|")
    lines += [row([f"`{name}`", *(_value(facts, split, name) for split in splits)]) for name in names]
    lines += ["", "In brackets: 95% intervals, over the scored tokens or examples."]
    if not tested:
        lines += ["", "The model was not tested: the validation data have chosen it, so these values are flattered."]
    lines += [f"- `{name}`: `{signature}`" for name, signature in sorted(facts.signatures.items())]
    return "\n".join(lines)


def _value(facts: Facts, split: str, name: str) -> str:
    value = facts.metrics.get(f"{split}/{name}")
    if value is None and split == "val":
        value = facts.metrics.get(name)  # an objective of another name
    if value is None:
        return ""
    interval = _interval(facts, split, name, value)
    return digits(value) + (f" ({digits(interval[0])} to {digits(interval[1])})" if interval else "")


def _interval(facts: Facts, split: str, name: str, value: float) -> tuple[float, float] | None:
    """The 95% interval of a loss, by its standard error, or of an accuracy, by Wilson's score; None if unknown."""
    error = facts.metrics.get(f"{split}/{name}_stderr")
    if error is not None:
        return within(name, value - Z * error, value + Z * error)
    prefix, _, metric = name.rpartition("/")
    counted = facts.sets.get(prefix or next(iter(facts.sets), "")) if prefix or len(facts.sets) == 1 else None
    n = ((counted or {}).get({"val": "valid"}.get(split, split)) or {}).get("examples")
    return wilson(value, n) if n and metric == "accuracy" else None


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95% interval of a share of n examples (Wilson 1927)."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)  # the rounding of 0 and 1 may lie beside them


def _seeds(seeds: SeedSummary) -> str:
    """What the test metrics are over all seeds, and which of these is the model."""
    lines = ["## Several seeds", ""]
    if seeds.spreads:
        lines.append(row(["metric", "mean", "standard deviation", "95% interval of the mean", "seeds"]))
        lines.append("|---" * 5 + "|")
    for name, one in seeds.spreads.items():
        interval = f"{digits(one.low)} to {digits(one.high)}"
        lines.append(row([f"`{name}`", digits(one.mean), f"{one.deviation:.2g}", interval, str(one.seeds)]))
    lines += [""] * bool(seeds.spreads)
    trained = ", ".join(str(one.seed) for one in seeds.results)
    lost = f" No model came of seed {', '.join(map(str, seeds.lost))}." if seeds.lost else ""
    lines.append(f"Trained with the seeds {trained}; {seeds.choice}. The metrics above are its own.{lost}")
    if seeds.spreads:
        lines[-1] += " The intervals are Student's t over seeds: another test set may differ by more."
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- data and evidence


def _data(folder: ModelFolder, facts: Facts) -> str:
    tasks = _tasks(folder)
    lines = ["## Data", "", row(["data set", "task", "train", "valid", "test", "SHA-256"]), "|---" * 6 + "|"]
    for name in facts.sets or facts.contents or tasks:
        counts = facts.sets.get(name, {})
        numbers = [
            f"{n:,}" if (n := (counts.get(part) or {}).get("examples")) else "" for part in ("train", "valid", "test")
        ]
        lines.append(row([f"`{name}`", tasks.get(name, ""), *numbers, f"`{facts.contents.get(name, '')}`"]))
    for name, labels in _labels(folder, list(tasks)):
        more = f" and {len(labels) - LABELS} more" if len(labels) > LABELS else ""
        named = ", ".join(f"`{plain(label)}`" for label in labels[:LABELS])
        lines += ["", f"Labels of `{name}`: {named}{more}."]
    return "\n".join(lines)


def _tasks(folder: ModelFolder) -> dict[str, str]:
    """The task of each data set of the training, where the directory says it."""
    tuned = {str(name): str(one.get("task", "")) for name, one in (folder.trained.get("data") or {}).items()}
    return {use.name: use.task for use in folder.uses} or tuned


def _labels(folder: ModelFolder, names: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The labels of each data set that has some: as its uses say, or as the head of the model."""
    if folder.family == "classifier" and len(names) == 1:
        found = folder.config.get("id2label") or {}
        yield names[0], [str(found[place]) for place in sorted(found, key=int)]
    yield from ((use.name, list(use.labels)) for use in folder.uses if use.labels)


def _evidence(facts: Facts) -> str:
    known = facts.provenance
    if not known:
        return "## How it was found\n\nIts hyperparameters were given: no search of hpsearch found them."
    trials = f", the best of {known['trials']} trials" if known.get("trials") and "search_best" in known else ""
    lines = [f"Trial {known.get('trial')} of the study `{known.get('study')}`{trials}."]
    confirmed = known.get("confirmation")
    if confirmed:
        lines.append("Its best trials were trained again with fresh seeds.")
    if facts.gap is not None:
        lines += ["", "```text", *facts.gap.lines(), "```"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted((known.get("versions") or {}).items()))
    lines += ["", f"Searched with Python {known.get('python')}: {versions}."] if versions else []
    return "\n".join(["## How it was found", "", *(plain(line) for line in lines)])
