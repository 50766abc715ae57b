"""The data sets of a config, encoded by the checkpoint's tokenizer; prepared once, then memory-mapped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpsearch.config import digest
from hpsearch.contract import WorkerSettings
from hpsearch.data import corpus as corpora
from hpsearch.data.corpus import Contents, Corpus, Labels, Vocabulary
from hpsearch.data.sources import Splits
from hpsearch.trainers.huggingface import checkpoint
from hpsearch.trainers.huggingface.config import PREPARED, FineTuneConfig
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer, PretrainedVocabulary

FORMAT = 1  # increased when the meaning of the tokens changes
Progress = Callable[[str, float], None]


def contents_of(config: FineTuneConfig, base: Path) -> Contents:
    """The fingerprints of the data with the checkpoint and how it reads them; raises DataError or UserError."""
    prints, loaded = corpora.identified(config.data, base=base)
    form = config.model.model_dump(mode="json", include=set(PREPARED) - {"pretrained", "tokenizer"})
    models = checkpoint.fingerprints(config.model, base)
    whole = {"format": [corpora.FORMAT, FORMAT], "sets": prints, "model": models, "form": form}
    return Contents(digest(whole), prints, loaded, models)


def prepare(config: FineTuneConfig, contents: Contents, *, cache: Path, base: Path, progress: Progress) -> Corpus:
    """Opens the corpus; encodes the data if the cache lacks it."""

    def learn(labels: Labels, loaded: dict[str, Splits]) -> Vocabulary:
        progress("loading the tokenizer", 0.0)
        kind = checkpoint.kind_of(checkpoint.config_of(config, base))
        return PretrainedVocabulary.of(config.model, kind, base)

    return _map(corpora.prepared(config.data, learn, contents, cache=cache, base=base, progress=progress))


def open_corpus(config: FineTuneConfig, settings: WorkerSettings) -> Corpus:
    """Opens the corpus of the config; prepares it if no driver did. Raises DataError or UserError."""
    folder = settings.prepared.get(config.corpus_digest())
    if folder is not None:
        return _map(folder)
    contents = contents_of(config, settings.base)
    return prepare(config, contents, cache=settings.cache, base=settings.base, progress=lambda what, share: None)


def _map(folder: Path) -> Corpus:
    return Corpus.map(folder, PretrainedTokenizer.load)
