"""What `hpsearch explain` says: of a key of the space file, a section, a metric or an outcome of a trial."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hpsearch.document.scalars import written
from hpsearch.errors import UserError
from hpsearch.outcome import ENDINGS, MEANINGS, Outcome
from hpsearch.output.printable import printable
from hpsearch.preflight.reference.keys import NAME, SET, TAGS, Key, keys, section_words
from hpsearch.tasks import LOSSES, TASKS, Metric
from hpsearch.trainers import DEFAULT, PRETRAINED, Rule, Trainer
from hpsearch.trainers.causal_lm.ranges import RULES, Facts, recommended
from hpsearch.trainers.huggingface import ranges as pretrained

TYPICAL = Facts(
    tokens=1_000_000, targets=1_000_000, rows=8_000, vocab_size=2000
)  # for which a recommended range is shown
USUAL = {  # names that other tools have for keys
    **dict.fromkeys(("lr", "eta", "step_size", "learningrate"), "training.learning_rate"),
    **dict.fromkeys(("bs", "batch", "per_device_train_batch_size"), "training.batch_size"),
    **dict.fromkeys(("num_train_epochs", "n_epochs", "max_epochs"), "training.epochs"),
    **dict.fromkeys(("wd", "l2"), "training.weight_decay"),
    **dict.fromkeys(("warmup", "warmup_steps", "warmup_ratio"), "training.warmup"),
    **dict.fromkeys(("layers", "n_layer", "depth", "num_layers", "num_hidden_layers"), "model.n_layers"),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim"), "model.width"),
    **dict.fromkeys(("heads", "n_head", "num_heads", "num_attention_heads"), "model.n_heads"),
    **dict.fromkeys(("seq_len", "max_length", "block_size", "context_length"), "model.context"),
    **dict.fromkeys(("n_trials", "num_samples", "max_trials"), "budget.trials"),
    **dict.fromkeys(("timeout", "time_limit"), "budget.hours"),
    **dict.fromkeys(("webhook", "slack"), "notify"),
}
LISTED = 5  # keys, in a message about an unknown one
RELATED = 6


@dataclass(frozen=True)
class Entry:
    """What there is to say of one word."""

    name: str  # training.cooldown, training, val/f1_macro, overfit
    words: str  # what it is; a link of docs/space.md as the page's name
    facts: Mapping[
        str, str
    ]  # {"type": ..., "default": ..., "range": ..., "recommended": ..., "example": ...}, in order
    related: Sequence[str] = ()
    members: Sequence[tuple[str, str]] = ()  # of a section: (key, its description)

    def __str__(self) -> str:
        """As plain text, for notebooks and scripts."""
        lines = [f"{self.name}: {self.words}" if self.words else self.name]
        lines += [f"  {name}: {text}" for name, text in self.facts.items()]
        lines += [f"  {name}: {words}" for name, words in self.members]
        return "\n".join([*lines, *([f"  related: {', '.join(self.related)}"] if self.related else [])])


OWN_NAMES = Entry(
    "config",
    "the names of your own function (`train: ./my_train.py:train`) or program (`command: python train.py --lr {lr}`), "
    "nested or not, with values and ranges; see docs/own_training.md",
    {
        "type": "mapping of your own names",
        "range": "yes, of any name: {low: ..., high: ...}, or {choices: [...]}",
        "example": "config: {lr: {low: 1e-4, high: 1e-1, log: true}, optimizer: {choices: [adam, sgd]}}",
    },
    ["trainer", "data.NAME.config"],
)
OWN_EVALUATIONS = Entry(
    "evaluations",
    "how many evaluations a whole training of your own function (`train:`) or program (`command:`) makes; other spaces "
    "have evaluation: {times: N}; see docs/own_training.md",
    {
        "type": "integer",
        "default": "20 of a training that says its progress, else unknown",
        "example": "evaluations: 10",
    },
    ["evaluation.times", "search.overfitting.evaluations"],
)
OWN = {one.name: one for one in (OWN_NAMES, OWN_EVALUATIONS)}  # keys of own trainings


def entry(word: str | None, trainer: Trainer) -> Entry:
    """What there is to say of a key (`training.cooldown`, `data.NAME.text`, or `cooldown` alone), a section, a metric
    (`val/f1_macro`) or an outcome (`overfit`); without a word, of the whole file.

    Raises UserError for an unknown word, with the nearest known ones.
    """
    known = {key.path: key for key in keys(trainer)}
    if word is None:
        return _contents(trainer, known)
    wanted = word.strip().strip(".:").replace("/", ".") if word.startswith(("data/", "search/")) else word.strip(" .:")
    if wanted in OWN and wanted not in known:
        return OWN[wanted]
    path = _path(wanted, known)
    if path in known and not _under(path, known):
        return _of_key(known[path], known, trainer)
    if _under(path, known):
        return _of_section(path, known, trainer)
    if (metric := _metric(wanted)) is not None:
        return _of_metric(*metric)
    if ending := next((one for one in ENDINGS if wanted.split(" ")[0] == one), ""):
        return Entry(ending, ENDINGS[ending], {"can win": "yes"}, ["training.cooldown", "budget.hours", "overfit"])
    if wanted in MEANINGS:
        return _of_outcome(Outcome.of(wanted))
    named = [key for key in known if key.rpartition(".")[2] == wanted]
    if len(named) == 1:
        return _of_key(known[named[0]], known, trainer)
    raise UserError(_unknown(word, named, known))


# -------------------------------------------------------------------------------------------------------------- names


def _path(wanted: str, known: Iterable[str]) -> str:
    """The path with NAME for the name of a data set (`data.reviews.text`, `data.text`), without places of choices."""
    parts = [part for part in re.sub(r"\[\d+\]", "", wanted).split(".") if part not in ("choices",)]
    if parts[:1] != ["data"] or len(parts) == 1:
        return ".".join(parts)
    whole = ".".join([SET, *parts[2:]])
    return (
        whole
        if whole in known or (len(parts) == 2 and f"{SET}.{parts[1]}" not in known)
        else f"{SET}.{'.'.join(parts[1:])}"
    )


def _under(path: str, known: Iterable[str]) -> list[str]:
    """The paths of the keys below one: of a section, or a key that is a mapping."""
    return [key for key in known if key.startswith(f"{path}.") or (path == SET and key.startswith(f"{SET}."))]


def _unknown(word: str, named: Sequence[str], known: Iterable[str]) -> str:
    said = f"{printable(word, keep='')!r} is no key of a space file, metric or outcome"
    if named:
        return f"{printable(word, keep='')!r} is a key of several sections: {', '.join(named[:LISTED])}"
    meant = USUAL.get(word.rpartition(".")[2].lower())
    if meant is not None and meant in known:
        return f"{said}; did you mean {meant}?"
    names = [*known, *{key.partition(".")[0] for key in known}, *_metrics(), *MEANINGS]
    names += [f"val/{name}" for name in _metrics()]
    last = {name.rpartition(".")[2]: name for name in reversed(names)}
    near = difflib.get_close_matches(word, names, n=2, cutoff=0.6)
    near += [last[found] for found in difflib.get_close_matches(word.rpartition(".")[2], last, n=2, cutoff=0.7)]
    found = list(dict.fromkeys(near))[:2]
    return f"{said}; did you mean {' or '.join(found)}?" if found else f"{said}; `hpsearch explain` lists the sections"


# --------------------------------------------------------------------------------------------------------------- keys


def _of_key(key: Key, known: Mapping[str, Key], trainer: Trainer) -> Entry:
    return Entry(key.path, linked(key.description), _facts(key, trainer), _related(key, known, trainer))


def _facts(key: Key, trainer: Trainer) -> dict[str, str]:
    facts = {"type": key.kind}
    if key.tasks:
        facts["of"] = f"task: {' or '.join(key.tasks)}"
    facts["default"] = "none, it must be given" if key.required else _default(key)
    rule = _recommended(key, trainer)
    facts["range"] = _range(key)
    if rule is not None:
        facts["recommended"] = f"{rule[1]} ({rule[2]})"
    if (value := _ruled(key, trainer)) is not None:
        facts["default config"] = f"{value.value:.3g} ({value.source})"
    facts["example"] = _example(key, rule[0] if rule else None)
    return facts


def _default(key: Key) -> str:
    found = key.default
    return "its keys' own" if found is None else found or "left out"


def _range(key: Key) -> str:
    if not key.ranged:
        return "no, one value for the whole study"
    if "integer" in key.kind or "number" in key.kind:
        return "yes: {low: ..., high: ...} (with log: true or step: ...), or {choices: [...]}"
    return "yes: {choices: [...]}"


def _recommended(key: Key, trainer: Trainer) -> tuple[Any, str, str] | None:
    """A typical range, the rule in words, and its source."""
    found = _pair(key)
    if trainer.name == PRETRAINED and found in pretrained.RULES:
        return pretrained.recommended(pretrained.Facts())[found]
    if trainer.name != DEFAULT or found not in RULES:
        return None
    return recommended(TYPICAL)[found].written, RULES[found].about, RULES[found].source


def _ruled(key: Key, trainer: Trainer) -> Rule | None:
    """What the rules recommend for the default config, where it does not depend on the data."""
    section, name = _pair(key)
    try:
        least = _LEAST | _TUNED if trainer.name == PRETRAINED else _LEAST
        return trainer.rules(trainer.config.model_validate(least), {}).get(section, {}).get(name)
    except ValueError:
        return None


_LEAST = {"data": {"texts": {"task": "text", "files": "texts.txt"}}}  # a config with all defaults
_TUNED = {"model": {"pretrained": "./my_model"}}


def _pair(key: Key) -> tuple[str, str]:
    section, _, name = key.path.partition(".")
    return section, name


def _example(key: Key, recommended: Any) -> str:
    """A line of a space file with the key."""
    field = key.field
    default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    value = recommended if recommended is not None else (field.examples or [default])[0]
    if isinstance(value, BaseModel):
        value = {name: inner for name, inner in value.model_dump().items() if inner is not None}
    if key.name in TAGS:
        value = next(iter(key.fields))
    value = _nested(value, key.path.split(".")[1:])
    if tag := next(iter(key.fields)):
        value |= {name: {"name": tag, **value[name]} for name in ("pruner", "launcher") if name in value}
    if key.path.startswith(SET):
        value = {"reviews": {**_set_around(key, tag), **value[NAME]}}
    if key.name == "money":
        value["price_per_hour"] = 2.5
    return f"{key.section}: {written(value)}"


def _nested(value: Any, names: Sequence[str]) -> Any:
    """The value under its keys, with what else a mapping around it needs."""
    for name in reversed(names):
        if name == "files" and "train" not in value:
            pair = isinstance(next(iter(value.values())), Mapping)
            value = {"train": {"source": "train.de", "target": "train.en"} if pair else "train.csv", **value}
        elif name == "splits" and "train" not in value:
            value = {"train": "train", **value}
        value = {name: value}
        if name in ("source", "target") and len(names) > 3:
            other = "target" if name == "source" else "source"
            value[other] = str(value[name]).replace(".de", ".en") if name == "source" else "train.de"
    return value


def _set_around(key: Key, tag: str) -> dict[str, Any]:
    """The keys that a data set needs beside this one."""
    own = key.path.split(".")[2]
    origin = {"dataset": "my_folder"} if own in ("config", "splits") else {"files": "reviews.csv"}
    task = {"task": "translation" if key.name in ("source", "target") else tag or "classification"}
    return {name: one for name, one in (task | origin).items() if (name != own and own != "dataset") or name == "task"}


def _related(key: Key, known: Mapping[str, Key], trainer: Trainer) -> list[str]:
    """Keys that the description names, that name it, or that a rule checks together with it."""
    section, name = _pair(key)
    tied = [f"{section}.{other}" for other in trainer.tied.get(section, ()) if name in trainer.tied.get(section, ())]
    named = [path for path in known if _names(key, path)]
    naming = [path for path, other in known.items() if _names(other, key.path)]
    found = dict.fromkeys(path for path in (*tied, *named, *naming) if path != key.path)
    return list(found)[:RELATED]


def _names(key: Key, path: str) -> bool:
    """Whether a description names another key: by its path, or by its last name within the same section."""
    words = set(re.findall(r"[\w.]+", " ".join(re.findall(r"`([^`]*)`", key.description))))
    same = path.rpartition(".")[0] == key.path.rpartition(".")[0]
    return path.removeprefix(f"{SET}.") in words or (same and path.rpartition(".")[2] in words)


# ----------------------------------------------------------------------------------------------------------- sections


def _of_section(path: str, known: Mapping[str, Key], trainer: Trainer) -> Entry:
    inside = known.values() if path == "" else [known[key] for key in _under(path, known)]
    words = section_words(trainer).get(path, "")
    if path in known:
        words = linked(known[path].description)
    elif path == SET:
        words = section_words(trainer)["data"]
    below = [key for key in inside if not any(key.path.startswith(f"{other.path}.") for other in inside)]
    facts = _facts(known[path], trainer) if path in known else {}
    if path in trainer.sections:
        facts["range"] = "any key may be a range; choices: [{...}, {...}] of the section are sub-configs"
    return Entry(path, words, facts, members=[(key.path, linked(key.description)) for key in below])


def _contents(trainer: Trainer, known: Mapping[str, Key]) -> Entry:
    words = section_words(trainer)
    names = dict.fromkeys(key.section for key in known.values())
    members = [(name, words.get(name) or linked(known[name].description)) for name in names]
    facts = {"metrics": ", ".join(f"val/{name}" for name in _metrics()), "outcomes": ", ".join(MEANINGS)}
    return Entry("a space file", "a training config in which some values are ranges", facts, members=members)


# ------------------------------------------------------------------------------------------------ metrics and outcomes


def _metrics() -> dict[str, str]:
    """Every metric, and the task that has it ("" for the losses)."""
    found = {metric.name: "" for metric in LOSSES}
    return found | {metric.name: task for task, section in TASKS.items() for metric in section.METRICS}


def _metric(word: str) -> tuple[str, Metric] | None:
    """The metric that a word names: f1_macro, val/f1_macro, val/SET/f1_macro, test/bleu."""
    name = word.rpartition("/")[2]
    section = next((one for one in TASKS.values() if any(metric.name == name for metric in one.METRICS)), None)
    every = [*LOSSES, *(section.METRICS if section else ())]
    return next(((word, metric) for metric in every if metric.name == name), None)


def _of_metric(word: str, metric: Metric) -> Entry:
    task = _metrics()[metric.name]
    better = "lower" if metric.direction == "minimize" else "higher"
    facts = {
        "of": f"task: {task}" if task else "every set",
        "better": f"{better}; objective.direction: {metric.direction}",
    }
    if metric.best is not None:
        facts["best"] = f"{metric.best:g}"
    if metric.chance is not None:
        limit = "2 / sqrt(n - 1) on n examples" if metric.name == "mcc" else f"{metric.chance[0]:g}"
        facts["chance"] = f"up to {limit} no better than chance"
    if metric.constant:
        facts["if it never changes"] = metric.constant
    facts["example"] = f"objective: {{metric: val/{metric.name}}}"
    related = [f"val/{name}" for name in (metric.known_as, metric.chosen_by, metric.perfect_by) if name]
    name = word if "/" in word else f"val/{word}"
    return Entry(name, metric.about, facts, ["objective.metric", *dict.fromkeys(related)])


def _of_outcome(outcome: Outcome) -> Entry:
    counts = "yes, by its best evaluation" if outcome.counts else "no"
    if not outcome.ended:
        counts = "by its best evaluation so far" if outcome is not Outcome.RUNNING else "not yet"
    facts = {"ended": "yes" if outcome.ended else "no", "can win": counts}
    facts["MLflow"] = f"status {outcome.mlflow_status}, tag outcome: {outcome}"
    facts["Optuna"] = f"state {outcome.optuna_state}"
    related = {"overfit": ["search.overfitting", "training.cooldown"], "pruned": ["search.pruner"]}
    related |= {"paused": ["search.pruner"], "failed": ["search.max_consecutive_failures", "search.max_retries"]}
    related |= {"out_of_memory": ["training.micro_batch_size"], "short": ["search.shift"]}
    related |= {"diverged": ["training.learning_rate", "training.grad_clip"], "interrupted": ["budget.hours"]}
    return Entry(str(outcome), MEANINGS[outcome], facts, related.get(outcome, []))


def linked(words: str) -> str:
    """A description without the links of docs/space.md: `[search.md](search.md)` becomes docs/search.md."""
    return re.sub(r"\[[^\]]*\]\(([\w.]+)\)", r"docs/\1", words)
