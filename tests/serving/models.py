"""Small real model directories with random weights, as `hpsearch train` writes them."""

import json

import torch

from hpsearch.data.corpus import specials
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.tasks import ClassificationSet, TextSet, TranslationSet
from hpsearch.training.config import ModelConfig, TrainConfig
from hpsearch.training.export import save_pretrained
from hpsearch.training.model import Llama

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
    save_pretrained(network, tokenizer, folder)
    evaluation = {"max_new_tokens": 6, "beam_size": 1}
    config = TrainConfig.model_validate({"data": sets, "model": model, "evaluation": evaluation})
    content = {"hpsearch": config.model_dump(mode="json"), "metrics": {"test/loss": 1.5}, **files}
    for name, value in content.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder
