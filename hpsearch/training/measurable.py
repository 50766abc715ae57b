"""Whether the data can give the metrics that a config asks for, seen before anything trains."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.config import TrainConfig
from hpsearch.data.corpus import Corpus
from hpsearch.data.positive import place
from hpsearch.training.translations import ORDER, Scoring, unavailable


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
    return list(_short_targets(config, corpus))


def _short_targets(config: TrainConfig, corpus: Corpus) -> Iterator[str]:
    """Sets whose targets have too few words for the BLEU that the objective is."""
    metric = config.objective.metric
    for name, corpus_set in corpus.sets.items():
        if corpus_set.task != "translation" or metric not in ("val/bleu", f"val/{name}/bleu"):
            continue
        scoring = Scoring.of(corpus_set.splits["train"].references, config)  # type: ignore[union-attr]
        if scoring.order < ORDER:
            longest = "single words" if scoring.order == 1 else f"up to {scoring.order} words in a row"
            yield (
                f"data.{name}: the targets are short (too few have {ORDER} words, as {scoring.tokenize} counts them): "
                f"BLEU compares {longest} there; {metric.removesuffix('bleu')}chrf tells such outputs apart better"
            )
