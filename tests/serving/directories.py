"""Small real model directories with random weights, as `hpsearch train` writes them."""

import json
from types import SimpleNamespace

import torch

from hpsearch.data.corpus import label_token, specials
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.tasks import ClassificationSet, TextSet, TranslationSet
from hpsearch.training.config import ModelConfig, TrainConfig
from hpsearch.training.export import save_model
from hpsearch.training.model import Llama
from hpsearch.training.uses import uses_of

MAIL = ClassificationSet(task="classification", files={"train": "mail.tsv"})
PAIRS = TranslationSet(task="translation", files={"train": "pairs.tsv"})
PROSE = TextSet(task="text", files={"train": "prose.txt"})
LABELS = {"mail": ["ham", "spam"]}


def directory(folder, sets, *, seed=0, context=32, **files):
    """Writes a model of these data sets; files: more JSON files by their names."""
    torch.manual_seed(seed)
    labels = {name: LABELS[name] for name in sets if name in LABELS}
    tokenizer = Tokenizer.bytes(specials=specials(sets, labels))
    model = ModelConfig(n_layers=1, width=16, n_heads=2, context=context)
    network = Llama(model, vocab_size=tokenizer.vocab_size)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.5)  # so that texts have different answers
    evaluation = {"max_new_tokens": 6, "beam_size": 1}
    config = TrainConfig.model_validate({"data": sets, "model": model, "evaluation": evaluation})
    save_model(network, tokenizer, folder, uses_of(config, _corpus(sets, labels, tokenizer)))
    content = {"hpsearch": config.model_dump(mode="json"), "metrics": {"test/loss": 1.5}, **files}
    for name, value in content.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def _corpus(sets, labels, tokenizer):
    """What `uses_of` reads of a corpus: the labels of each set."""
    return SimpleNamespace(
        sets={
            name: SimpleNamespace(
                label_names=labels.get(name, []),
                label_ids=[tokenizer.id(label_token(name, label)) for label in labels.get(name, [])],
            )
            for name in sets
        }
    )
