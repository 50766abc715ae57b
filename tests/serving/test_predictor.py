"""A model directory answers as transformers computes, and as the training's own evaluation reads prompts."""

import json

import pytest
import torch

from hpsearch.data.tokenizer import SEP
from hpsearch.errors import UserError
from hpsearch.serving.predictor import Predictor
from hpsearch.serving.uses import served
from tests.serving.models import MAIL, PAIRS, PROSE, directory

TEXTS = ["buy", "hello there", "", "a text that is longer than the context of the model"]
LIMITS = {"max_new_tokens": 6, "beam_size": 1}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A model of three data sets, and what transformers makes of its directory."""
    from transformers import AutoModelForCausalLM

    folder = directory(tmp_path_factory.mktemp("several"), {"mail": MAIL, "pairs": PAIRS, "prose": PROSE})
    return Predictor.load(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


def marked(predictor, name, text, *, longest):
    """The prompt of a text whose end is cut off."""
    tokens = [*predictor.tokenizer.encode([text])[0]][: longest - 2]
    return [predictor.tokenizer.id(f"<|set:{name}|>"), *tokens, predictor.tokenizer.id(SEP)]


def test_labels_have_the_probabilities_of_their_tokens(several):
    predictor, theirs = several
    found = predictor.answers(predictor.uses.by_name["mail"], TEXTS, **LIMITS)
    ids = [predictor.tokenizer.id(f"<|mail={label}|>") for label in ("ham", "spam")]
    for text, answer in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            logits = theirs(torch.tensor([marked(predictor, "mail", text, longest=32)])).logits[0, -1, ids]
        wanted = dict(zip(("ham", "spam"), logits.softmax(-1).tolist(), strict=True))
        assert answer["probabilities"] == pytest.approx(wanted, abs=1e-5)
        assert answer["label"] == max(wanted, key=wanted.get)
    assert {answer["label"] for answer in found} == {"ham", "spam"}


@pytest.mark.parametrize(("name", "longest"), [("pairs", 26), ("prose", 32)])
def test_decoded_texts_are_those_of_transformers(several, name, longest):
    predictor, theirs = several
    texts = TEXTS[:3]
    found = predictor.answers(predictor.uses.by_name[name], texts, **LIMITS)
    for text, answer in zip(texts, found, strict=True):
        eos = predictor.tokenizer.eos_id
        prompt = [eos, *text.encode()] if name == "prose" else marked(predictor, name, text, longest=longest)
        tokens = theirs.generate(torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=eos)
        assert answer == {"text": predictor.tokenizer.decode(tokens[0, len(prompt) :].tolist())}


def test_what_a_request_and_its_answer_have_depends_on_the_data_sets(several, tmp_path):
    mail = served(directory(tmp_path / "mail", {"mail": MAIL}))
    assert (mail.inputs, mail.params) == ({"text": True}, {})
    assert mail.outputs == {"label": "string", "probabilities": "map"}
    pairs = served(
        directory(tmp_path / "pairs", {"pairs": PAIRS}, samples={"pairs": {"examples": [{"source": "Hallo"}]}})
    )
    assert pairs.outputs == {"text": "string"}
    assert pairs.params == {"max_new_tokens": 6, "beam_size": 1}
    assert pairs.example == [{"text": "Hallo"}]
    both = served(directory(tmp_path / "both", {"mail": MAIL, "prose": PROSE}))
    assert both.inputs == {"text": True, "set": True}
    assert set(both.outputs) == {"set", "label", "probabilities", "text"}


@pytest.mark.parametrize("damage", ["hpsearch.json", "tokenizer_config.json", "own task"])
def test_another_directory_is_not_served(tmp_path, damage):
    folder = directory(tmp_path / "model", {"mail": MAIL})
    if damage == "own task":
        config = json.loads((folder / "hpsearch.json").read_text())
        config["data"]["mail"]["task"] = "python:mine:Mail"
        (folder / "hpsearch.json").write_text(json.dumps(config))
    else:
        (folder / damage).unlink()
    assert served(folder) is None
    with pytest.raises(UserError, match=r"model: is no model that hpsearch can serve \("):
        Predictor.load(folder)
