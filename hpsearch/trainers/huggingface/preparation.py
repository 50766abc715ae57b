"""Checks the checkpoints and the data of a space, and encodes the data by each checkpoint's tokenizer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.config import digest
from hpsearch.data import determinism
from hpsearch.data.corpus import Contents, Corpus
from hpsearch.document.document import Fault
from hpsearch.document.ranges import probes
from hpsearch.errors import ConfigError, UserError
from hpsearch.trainers.causal_lm import data_checks
from hpsearch.trainers.causal_lm import preparation as own
from hpsearch.trainers.huggingface import checkpoint, evaluation_costs, loading, token_checks
from hpsearch.trainers.huggingface.config import PLACES, FineTuneConfig
from hpsearch.trainers.huggingface.corpus import contents_of
from hpsearch.trainers.huggingface.corpus import prepare as encode
from hpsearch.trainers.huggingface.kinds import check_tasks
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer, PretrainedVocabulary, tokenizer_of
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.values import Prepared
from hpsearch.training import metric_checks

ORIGINS = ("pretrained", "architecture")


def check(space: SpaceView) -> None:
    """Checks that data and checkpoints exist and fit each other; raises UserError with the place in the file."""
    own.check(space)
    for config in configs(space):
        with _placed(space, config):
            found = checkpoint.config_of(config, space.base)
            kind, name = checkpoint.kind_of(found), _name(config)
            check_tasks(kind, config.data, name)
            highest = {key: _highest(space, key) for key in ("context", "last_layers")}
            checkpoint.check_sizes(config.model, found, name, **highest)
            loading.check(config, found, kind, space.base)
            tokenizer = PretrainedVocabulary.of(config.model, kind, space.base).tokenizer
            token_checks.check_tokenizer(tokenizer, _sized(config, found), tokenizer_of(config.model))
            _check_comparable(space, kind)


def prepare(
    space: SpaceView,
    *,
    cache: Path,
    progress: Callable[[str, float], None],
    known: Callable[[Mapping[str, Any]], None],
    fresh: bool,
) -> Prepared:
    """Encodes the data sets for every checkpoint of the space; raises UserError with the place in the file."""
    several = list(configs(space))
    with own.placed(space):
        progress("reading the data", 0.0)
        first, took = determinism.timed(lambda: contents_of(several[0], space.base))
        every = [first, *(contents_of(config, space.base) for config in several[1:])]
        facts = _facts(every)
        known(facts)
        again = determinism.called_again(space.config.data, first, base=space.base, took=took if fresh else math.inf)
        with again as unstable:
            corpora, unfit = [], list[str]()
            for config, contents in zip(several, every, strict=True):
                with _placed(space, config):
                    corpora.append(encode(config, contents, cache=cache, base=space.base, progress=progress))
                    unfit += _unfit(config, corpora[-1], space.base)
            doubts = [*unstable(), *metric_checks.doubts(space.config, corpora[0])]
    return Prepared(
        folders={config.corpus_digest(): one.folder for config, one in zip(several, corpora, strict=True)},
        fingerprint=facts["fingerprint"],
        contents=facts["contents"],
        models=facts["models"],
        sets=corpora[0].counts,
        warnings=[
            *corpora[0].warnings,
            *unfit,
            *doubts,
            *data_checks.check(space, corpora[0], longest=_longest(several, space.base)),
            *evaluation_costs.doubts(space, corpora[0].counts),
        ],
        summary=corpora[0].summary,
        untested=corpora[0].untested,
    )


def configs(space: SpaceView) -> Iterator[FineTuneConfig]:
    """A config for each checkpoint and each architecture of a space."""
    config: FineTuneConfig = space.config
    seen = set()
    for key in ORIGINS:
        for value in (value for leaf in space.leaves("model", key) for value in probes(leaf) if value is not None):
            model = config.model.model_copy(update={**dict.fromkeys(ORIGINS), key: value})
            one = config.model_copy(update={"model": model})
            if one.corpus_digest() not in seen:
                seen.add(one.corpus_digest())
                yield one


def _unfit(config: FineTuneConfig, corpus: Corpus, base: Path) -> list[str]:
    """Warnings about a tokenizer that seems to be another model's; raises UserError if nothing can be learnt by it."""
    assert isinstance(corpus.tokenizer, PretrainedTokenizer)
    sized, name = _sized(config, checkpoint.config_of(config, base)), tokenizer_of(config.model)
    return [
        *token_checks.size_doubts(corpus.tokenizer, sized, name),
        *token_checks.check_corpus(corpus, sized, name),
    ]


def _longest(several: list[FineTuneConfig], base: Path) -> int | None:
    """The tokens that every checkpoint of a space can read; None: any number."""
    limits = [checkpoint.longest_of(checkpoint.config_of(config, base)) for config in several]
    return min((one for one in limits if one is not None), default=None)


def _sized(config: FineTuneConfig, found: Any) -> Any:
    """The config of a model that has a size of its own; None for an architecture, which gets the tokenizer's."""
    return found if config.model.architecture is None else None


def _name(config: FineTuneConfig) -> str:
    return str(config.model.pretrained or config.model.architecture)


def _highest(space: SpaceView, key: str) -> int:
    return int(data_checks.Range.of(space, "model", key).high)


def _facts(every: list[Contents]) -> dict[str, Any]:
    """What the journal records: the fingerprint of all corpora together."""
    models = {key: _one([one.models[key] for one in every if key in one.models]) for key in PLACES}
    return {
        "fingerprint": _one([contents.fingerprint for contents in every]),
        "contents": every[0].sets,
        "models": {key: value for key, value in models.items() if value},
    }


def _one(prints: list[str]) -> str:
    """One fingerprint for several; empty for none."""
    return digest(sorted(prints)) if len(prints) > 1 else "".join(prints)


def _check_comparable(space: SpaceView, kind: str) -> None:
    """Raises UserError for an objective that cannot be compared between the vocabularies of several checkpoints."""
    metric = space.config.objective.metric.rsplit("/", 1)[-1]
    names = {value for leaf in space.leaves("model", "pretrained") for value in probes(leaf)}
    if kind != "encoder" and len(names) > 1 and metric in ("loss", "perplexity"):
        reason = "cannot be compared between the vocabularies of several checkpoints; use val/bits_per_byte"
        raise Fault(("objective", "metric"), f"{space.config.objective.metric} {reason}")


@contextlib.contextmanager
def _placed(space: SpaceView, config: FineTuneConfig) -> Iterator[None]:
    """Adds the place in the space file to a UserError that has none: of the keys that it names, or the checkpoint's."""
    try:
        yield
    except Fault as fault:
        raise ConfigError(f"{space.where(*fault.keys)}: {fault}") from fault
    except UserError as error:
        if type(error) is not UserError:
            raise
        key = "architecture" if config.model.pretrained is None else "pretrained"
        raise ConfigError(f"{space.where('model', key)}: {error}") from error
