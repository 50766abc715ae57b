"""The model card: README.md of a model directory, which says how to use it, how good it is and how it was found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError
from hpsearch.output.digits import digits
from hpsearch.output.printable import printable
from hpsearch.results.evidence.optimism import OptimismGap
from hpsearch.results.evidence.seeds import SeedSummary
from hpsearch.serving.models.folder import ModelFolder, read_folder
from hpsearch.system.atomic import write_atomically
from hpsearch.tasks.scores.ranges import within
from hpsearch.training.uses import CLASSIFIER, SetUse

CARD = "README.md"
TAGS = {"label": "text-classification", "pair": "translation", "text": "text-generation"}
KINDS = {"hpsearch": "text", "causal": "text", "classifier": "label", "seq2seq": "pair"}  # without noted uses
EXAMPLES = {"label": "You have won a prize!", "pair": "How are you?", "text": "Once upon a time"}
NEWLINE = "\n"  # between a text and the answer of a fine-tuned decoder
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
    parts = [_head(folder), _about(folder, facts), _use(folder, path), _metrics(facts), _data(folder, facts)]
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
    sets = ", ".join(f"{use.name} ({use.task})" for use in folder.uses) or ", ".join(facts.sets)
    return "\n".join(
        [
            f"# {_plain(facts.study)}",
            "",
            f"{_plain(config['architectures'][0])} ({', '.join(sizes)}), trained by hpsearch on {_plain(sets)}. "
            "`config.json` has the model, `hpsearch.json` the whole config of its training.",
        ]
    )


# ----------------------------------------------------------------------------------------------------------------- use


def _use(folder: ModelFolder, path: str) -> str:
    lines = ["## Use", ""]
    for use in folder.uses:
        lines += [f"{_what(use)}:", "", "```python", *examples(use, path, alone=len(folder.uses) == 1), "```", ""]
    if not folder.uses:
        lines += ["```python", *_of_family(folder, path), "```", ""]
    named = f" --set {folder.uses[0].name}" if len(folder.uses) > 1 else ""
    by_hpsearch = f'`hpsearch predict {path}{named} -t "..."`, or `hpsearch.load_model({_quoted(path)})(texts)`'
    lines += [f"By hpsearch{', without transformers' if folder.uses else ''}: {by_hpsearch}."]
    lines += ["", *_markers(folder.uses)]
    return "\n".join(lines).rstrip()


def _what(use: SetUse) -> str:
    does = {"label": "Label a text", "pair": "Translate a text", "text": "Continue a text"}[use.kind]
    return f"{does}, as in `{use.name}`"


def examples(use: SetUse, path: str, *, alone: bool) -> list[str]:
    """Three lines of Python that use the model; alone: it has no other use."""
    before, after = use.markers if use.kind == "pair" and not alone else ("", "")
    text = _quoted(f"{before}{EXAMPLES[use.kind]}{after}")
    if use.kind == "label" and len(use.labels) > 1:
        place = _quoted(f"{path}/{CLASSIFIER}" if alone else f"{path}/{CLASSIFIER}/{use.name}")
        made, options = f'pipeline("text-classification", {place}, truncation=True)', ""
    else:
        made = f'pipeline("text-generation", {_quoted(path)})'
        options = "" if use.kind == "text" else ", return_full_text=False, do_sample=False"
        options += ', tokenizer_encode_kwargs={"split_special_tokens": False}' if before else ""
    return ["from transformers import pipeline", f"model = {made}", f"print(model({text}{options}))"]


def _of_family(folder: ModelFolder, path: str) -> list[str]:
    """Three lines of Python for a model of transformers that hpsearch fine-tuned, with the prefix that it learnt."""
    most = f"max_new_tokens={min(40, max(1, (folder.context or 160) // 4))}"
    tuned = folder.trained.get("model") or {}
    prefix = str(tuned.get("prefix") or "")
    if folder.family == "seq2seq":
        loading = "AutoModelForSeq2SeqLM, AutoTokenizer"
        pair = f"AutoModelForSeq2SeqLM.from_pretrained({_quoted(path)}), AutoTokenizer.from_pretrained({_quoted(path)})"
        written = f'model.generate(**tokenizer({_quoted(prefix + EXAMPLES["pair"])}, return_tensors="pt"), {most})'
        said = f"print(tokenizer.batch_decode({written}, skip_special_tokens=True))"
        return [f"from transformers import {loading}", f"model, tokenizer = {pair}", said]
    if folder.family == "classifier":
        task, asked = "text-classification", _quoted(prefix + EXAMPLES["label"])
    elif folder.answers:
        text = prefix + EXAMPLES["label" if folder.answers[1] == "classification" else "pair"]
        chat = f'[{{"role": "user", "content": {_quoted(text)}}}]' if tuned.get("chat_template") else ""
        options = f"return_full_text=False, do_sample=False, {most}"
        task, asked = "text-generation", f"{chat or _quoted(text + NEWLINE)}, {options}"
    else:
        task, asked = "text-generation", f"{_quoted(EXAMPLES['text'])}, {most}"
    made = f'model = pipeline("{task}", {_quoted(path)})'
    return ["from transformers import pipeline", made, f"print(model({asked}))"]


def _quoted(text: str) -> str:
    """A text as a literal of Python."""
    return json.dumps(text, ensure_ascii=False)


def _markers(uses: tuple[SetUse, ...]) -> Iterator[str]:
    """How a prompt is made, and how a long text is cut."""
    pairs = [use for use in uses if use.kind != "text"]
    if not pairs:
        return
    yield "| data set | prompt | answer | a text longer than |"
    yield "|---|---|---|---|"
    for use in pairs:
        before, after = use.markers
        answer = f"one of {len(use.labels)} label tokens" if use.labels else "text, then `<|endoftext|>`"
        lost = {"right": "its end", "left": "its beginning", "middle": "its middle"}[use.truncate]
        cells = [f"`{use.name}`", f"`{before}`TEXT`{after}`", answer, f"{use.longest_prompt - 2} tokens loses {lost}"]
        yield _row(cells)
    yield ""
    if len(uses) == 1:
        yield "The tokenizer puts these markers around each text itself."
    else:
        yield (
            "The tokenizer reads these markers as ordinary characters, so that no text can spell them, unless it is "
            "called with `split_special_tokens=False`, as above."
        )


# ------------------------------------------------------------------------------------------------------------- metrics


def _metrics(facts: Facts) -> str:
    named = {name: value for name, value in facts.metrics.items() if not name.endswith("stderr")}
    names = sorted({name.removeprefix("val/").removeprefix("test/") for name in named})
    tested = any(name.startswith("test/") for name in named)
    splits = ("val", "test") if tested else ("val",)
    lines = ["## Metrics", "", _row(["metric", *({"val": "validation", "test": "test"}[one] for one in splits)])]
    lines.append("|---" * (1 + len(splits)) + "|")
    lines += [_row([f"`{name}`", *(_value(facts, split, name) for split in splits)]) for name in names]
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
        lines.append(_row(["metric", "mean", "standard deviation", "95% interval of the mean", "seeds"]))
        lines.append("|---" * 5 + "|")
    for name, one in seeds.spreads.items():
        interval = f"{digits(one.low)} to {digits(one.high)}"
        lines.append(_row([f"`{name}`", digits(one.mean), f"{one.deviation:.2g}", interval, str(one.seeds)]))
    lines += [""] * bool(seeds.spreads)
    trained = ", ".join(str(one.seed) for one in seeds.results)
    lost = f" No model came of seed {', '.join(map(str, seeds.lost))}." if seeds.lost else ""
    lines.append(f"Trained with the seeds {trained}; {seeds.choice}. The metrics above are its own.{lost}")
    if seeds.spreads:
        lines[-1] += " The intervals are Student's t over seeds: another test set may differ by more."
    return "\n".join(lines)


# ---------------------------------------------------------------------------------------------------- data and evidence


def _data(folder: ModelFolder, facts: Facts) -> str:
    tasks = {use.name: use.task for use in folder.uses}
    lines = ["## Data", "", _row(["data set", "task", "train", "valid", "test", "SHA-256"]), "|---" * 6 + "|"]
    for name in facts.sets or facts.contents or tasks:
        counts = facts.sets.get(name, {})
        numbers = [
            f"{n:,}" if (n := (counts.get(part) or {}).get("examples")) else "" for part in ("train", "valid", "test")
        ]
        lines.append(_row([f"`{name}`", tasks.get(name, ""), *numbers, f"`{facts.contents.get(name, '')}`"]))
    return "\n".join(lines)


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
    return "\n".join(["## How it was found", "", *(_plain(line) for line in lines)])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    return printable(str(text), keep="")
