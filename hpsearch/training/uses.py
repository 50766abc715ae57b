"""What a trained model is for: a use for each data set, kept in its config.json under `hpsearch`. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from hpsearch.config import Truncate
from hpsearch.data.truncation import Cut

if TYPE_CHECKING:  # numpy takes its time to import
    from hpsearch.data.corpus import Corpus
    from hpsearch.training.config import TrainConfig

KEY = "hpsearch"  # in config.json
CLASSIFIER = "classifier"  # in a model directory: the same model with a head for labels
SEP = "<|sep|>"  # as in data/tokenizer.py
Kind = Literal["text", "pair", "label"]


@dataclass(frozen=True)
class SetUse:
    """What a model does with a text of one of its data sets."""

    name: str  # of the data set
    task: str  # as in a space file
    kind: Kind  # text: it completes the text; pair: it answers with a text; label: it chooses a label
    longest_prompt: int = 0  # tokens of task token, text and separator at most; 0: running text has no prompt
    truncate: Truncate = "right"  # the part that a longer text loses
    labels: tuple[str, ...] = ()
    label_ids: tuple[int, ...] = ()  # the tokens of the labels
    max_new_tokens: int = 0  # of an answer; 0: no limit but the context
    beam_size: int = 1

    @property
    def markers(self) -> tuple[str, str]:
        """The special tokens before and after a text; empty for running text."""
        return ("", "") if self.kind == "text" else (f"<|set:{self.name}|>", SEP)

    def cut(self, context: int) -> Cut:
        """How a prompt longer than `longest_prompt` is cut."""
        return Cut(context, self.longest_prompt, self.truncate)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, without the name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


def uses_of(config: TrainConfig, corpus: Corpus) -> list[SetUse]:
    """The uses of a model that was trained with the config, in the order of the config's data sets."""
    return list(_uses_of(config, corpus))


def _uses_of(config: TrainConfig, corpus: Corpus) -> Iterator[SetUse]:
    context, evaluation = config.model.context, config.evaluation
    for name, data_set in config.data.items():
        if not data_set.has_prompts:
            yield SetUse(name, data_set.task_name, "text")
            continue
        found = corpus.sets[name]
        cut = data_set.cut(context=context, max_new_tokens=evaluation.max_new_tokens)
        prompts: dict[str, Any] = {"longest_prompt": cut.longest_prompt, "truncate": cut.truncate}
        if found.label_names:
            labels: dict[str, Any] = {"labels": tuple(found.label_names), "label_ids": tuple(found.label_ids)}
            yield SetUse(name, data_set.task_name, "label", **prompts, **labels)
        else:
            limits: dict[str, Any] = {"max_new_tokens": evaluation.max_new_tokens, "beam_size": evaluation.beam_size}
            yield SetUse(name, data_set.task_name, "pair", **prompts, **limits)


def noted(uses: Sequence[SetUse]) -> dict[str, Any]:
    """The part of config.json that `read_uses` reads; nothing without uses."""
    return {KEY: {"sets": {use.name: use.to_dict() for use in uses}}} if uses else {}


def read_uses(config: Mapping[str, Any]) -> list[SetUse]:
    """The uses in a config.json; none if it was not written by hpsearch. Raises ValueError if they are damaged."""
    if KEY not in config:
        return []
    try:
        return [SetUse(name, **_tuples(values)) for name, values in config[KEY]["sets"].items()]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its key {KEY!r} is damaged ({error})") from error


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
