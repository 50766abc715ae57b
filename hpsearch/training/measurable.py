"""Whether the data can give the metrics that a config asks for, seen before anything trains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hpsearch.config import TrainConfig
from hpsearch.data.corpus import Corpus
from hpsearch.data.positive import place
from hpsearch.metrics.translation import ORDER, Scoring, unavailable

SHOWN = 5  # labels that a split lacks


def missing_tokenizer(config: TrainConfig) -> str | None:
    """Why `evaluation.bleu_tokenize` cannot be used on this machine; None: it can, or nothing is translated."""
    wanted = config.evaluation.bleu_tokenize
    if wanted == "auto" or all(data_set.task != "translation" for data_set in config.data.values()):
        return None
    reason = unavailable(wanted)
    return reason and f"sacrebleu cannot use '{wanted}' on this machine: {reason}"


def doubts(config: TrainConfig, corpus: Corpus) -> list[str]:
    """What to know of the metrics on these data, one line each; raises DataError for a positive label they lack."""
    for name, corpus_set in corpus.sets.items():
        place(name, config.data[name], corpus_set.label_names)
    return [*_short_targets(config, corpus), *_ceilings(corpus)]


def _short_targets(config: TrainConfig, corpus: Corpus) -> Iterator[str]:
    """Sets whose targets have too few words for the BLEU that the objective is."""
    metric = config.objective.metric
    for name, corpus_set in corpus.sets.items():
        if corpus_set.task != "translation" or metric not in ("val/bleu", f"val/{name}/bleu"):
            continue
        scoring = Scoring.of(corpus_set.splits["train"].references, config.evaluation)  # type: ignore[union-attr]
        if scoring.order < ORDER:
            longest = "single words" if scoring.order == 1 else f"up to {scoring.order} words in a row"
            yield (
                f"data.{name}: the targets are short (too few have {ORDER} words, as {scoring.tokenize} counts them): "
                f"BLEU compares {longest} there; {metric.removesuffix('bleu')}chrf tells such outputs apart better"
            )


def _ceilings(corpus: Corpus) -> Iterator[str]:
    """What macro-F1 can reach on splits that lack labels: their F1 is 0 there, whatever is guessed."""
    for name, corpus_set in corpus.sets.items():
        labels = corpus_set.label_names
        for part, split in corpus_set.splits.items() if labels else ():
            there = set(np.unique(np.asarray(split.labels)).tolist())  # type: ignore[union-attr]
            missing = [label for place, label in enumerate(labels) if place not in there]
            if missing:
                named = ", ".join(f"{label[:60]!r}" for label in missing[:SHOWN]) + ", ..." * (len(missing) > SHOWN)
                yield (
                    f"data.{name}: {len(missing)} of {len(labels)} labels are not in {part} ({named}): "
                    f"f1_macro can reach {len(there) / len(labels):.3g} at most there"
                )
