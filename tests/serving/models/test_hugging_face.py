"""Models of others: their metrics are those that transformers, sacrebleu's command and scikit-learn compute."""

import ast
import json
import math
import re
import shutil
import subprocess
import sys

import pytest
import torch
from sklearn.metrics import f1_score

import hpsearch
from hpsearch.errors import DataError, UserError
from hpsearch.serving import served
from hpsearch.serving.models.card import KINDS, TAGS, Facts, card
from hpsearch.serving.models.folder import read_folder
from tests.serving.models import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("others")
    made.data(place)
    for kind in ("gpt2", "bert", "bart"):
        made.others(place, kind)
    return place


def moods(folder):
    return [line.split("\t") for line in (folder / "data" / "moods_test.tsv").read_text().splitlines()[1:]]


@torch.no_grad()
def test_the_perplexity_is_the_one_that_transformers_computes_by_hand(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = hpsearch.evaluate(folder / "gpt2", folder / "data" / "test.txt", device="cpu").sets["text"]
    model, tokenizer = (one.from_pretrained(folder / "gpt2") for one in (AutoModelForCausalLM, AutoTokenizer))
    text = (folder / "data" / "test.txt").read_text()
    ids = torch.tensor([tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids])
    total = count = 0.0
    for start in range(0, len(ids) - 1, 24):  # the windows of its 24 positions
        window = ids[start : start + 25][None]
        loss = float(model(window[:, :-1], labels=window[:, :-1], shift_labels=window[:, 1:]).loss)
        total, count = total + loss * (window.shape[1] - 1), count + window.shape[1] - 1
    assert count == len(text.encode())  # a byte is a token
    assert found.metrics["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)
    assert found.metrics["bits_per_byte"] == pytest.approx(total / count / math.log(2), rel=1e-5)


def test_f1_is_the_one_of_scikit_learn(folder):
    columns = {"text": "sentence", "label": "mood"}
    path = folder / "data" / "moods_test.tsv"
    found = hpsearch.evaluate(folder / "bert", path, columns=columns, device="cpu").sets["text"]
    texts, truth = zip(*moods(folder), strict=True)
    answers = [one.label for one in hpsearch.load_model(folder / "bert", device="cpu")(list(texts))]
    assert found.metrics["f1_macro"] == pytest.approx(f1_score(truth, answers, average="macro"))
    assert found.metrics["f1_weighted"] == pytest.approx(f1_score(truth, answers, average="weighted"))
    assert len(set(answers)) > 1


def test_labels_and_probabilities_are_those_of_the_pipeline(folder):
    from transformers import pipeline

    texts = [text for text, _ in moods(folder)]
    theirs = pipeline("text-classification", str(folder / "bert"), truncation=True, max_length=40)(texts)
    ours = hpsearch.load_model(folder / "bert", device="cpu")(texts)
    assert [one.label for one in ours] == [one["label"] for one in theirs]
    assert [one.probability for one in ours] == pytest.approx([one["score"] for one in theirs], abs=1e-5)
    assert any(one.truncated for one in ours)


def test_bleu_is_the_one_of_the_sacrebleu_command(folder, tmp_path):
    pairs = [json.loads(line) for line in (folder / "data" / "pairs_test.jsonl").read_text().splitlines()]
    path, columns = folder / "data" / "pairs_test.jsonl", {"source": "en", "target": "fr"}
    found = hpsearch.evaluate(folder / "bart", path, columns=columns, max_new_tokens=12, device="cpu").sets["text"]
    model = hpsearch.load_model(folder / "bart", device="cpu")
    outputs = model([pair["en"] for pair in pairs], max_new_tokens=12)
    (tmp_path / "out.txt").write_text("".join(one.translation.replace("\n", " ") + "\n" for one in outputs))
    (tmp_path / "ref.txt").write_text("".join(pair["fr"] + "\n" for pair in pairs))
    for metric in ("bleu", "chrf"):
        tokenize = ["--tokenize", found.signatures["bleu"].split("tok:")[1].split("|")[0]] if metric == "bleu" else []
        command = [sys.executable, "-m", "sacrebleu", "ref.txt", "-i", "out.txt", "-m", metric, "-b", "-w", "4"]
        done = subprocess.run([*command, *tokenize], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert found.metrics[metric] == pytest.approx(float(done.stdout), abs=1e-4)
    assert found.metrics["chrf"] > 0


@torch.no_grad()
def test_the_loss_of_a_translation_is_the_one_of_transformers(folder):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    path, columns = folder / "data" / "pairs_test.jsonl", {"source": "en", "target": "fr"}
    found = hpsearch.evaluate(folder / "bart", path, columns=columns, max_new_tokens=2, device="cpu").sets["text"]
    model, tokenizer = (one.from_pretrained(folder / "bart") for one in (AutoModelForSeq2SeqLM, AutoTokenizer))
    total = count = 0.0
    for line in path.read_text().splitlines():
        pair = json.loads(line)
        source = tokenizer(pair["en"], truncation=True, max_length=40, return_tensors="pt")
        labels = tokenizer(pair["fr"], return_tensors="pt").input_ids[:, :40]
        kept = {"input_ids": source.input_ids, "attention_mask": source.attention_mask}
        loss = float(model(**kept, labels=labels).loss)
        total, count = total + loss * labels.numel(), count + labels.numel()
    assert found.metrics["loss"] == pytest.approx(total / count, rel=1e-4)


def test_continuations_do_not_depend_on_the_batch(folder):
    model = hpsearch.load_model(folder / "gpt2", device="cpu")
    texts = ["red", "blue sun", "", "天气", "red " * 40]
    alone = [model(text, max_new_tokens=6).completion for text in texts]
    assert [one.truncated for one in model(texts, max_new_tokens=6)] == [False] * 4 + [True]
    assert [one.completion for one in model(texts, max_new_tokens=6, batch_size=1)] == alone
    drawn = model(texts, max_new_tokens=6, temperature=1.0, seed=2)
    assert drawn == model(texts, max_new_tokens=6, temperature=1.0, seed=2)
    assert drawn != model(texts, max_new_tokens=6, temperature=1.0, seed=3)


def tuned(folder, place, kind, data, **model):
    """A directory of others with the hpsearch.json of a fine-tuning."""
    copied = shutil.copytree(folder / kind, place / kind)
    (copied / "hpsearch.json").write_text(json.dumps({"data": data, "model": model}))
    return hpsearch.load_model(copied, device="cpu")


def test_a_model_that_hpsearch_has_tuned_is_asked_as_it_was_tuned(folder, tmp_path):
    decoder = tuned(folder, tmp_path, "gpt2", {"pairs": made.PAIRS}, context=20, prefix="> ")
    answer = decoder("red", set="pairs", max_new_tokens=4)
    plain = hpsearch.load_model(folder / "gpt2", device="cpu")
    assert answer.translation == plain("> red\n", max_new_tokens=4).completion.strip()
    assert decoder("red sun rain snow", max_new_tokens=4).truncated
    encoder = tuned(folder, tmp_path, "bert", {"moods": made.MOODS}, context=20, prefix="> ")
    plain = hpsearch.load_model(folder / "bert", device="cpu")
    assert encoder("red", set="moods").probabilities == pytest.approx(plain("> red").probabilities)
    found = hpsearch.evaluate(encoder, folder / "data" / "moods_test.tsv")  # the columns are those of its training
    assert found.sets["moods"].examples == 16


@pytest.mark.parametrize("kind", ["gpt2", "bert", "bart"])
def test_the_cards_lines_for_a_tuned_model_work_as_printed(folder, kind, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    text = card(read_folder(folder / kind), Facts("s", {"val/loss": 1.0}), kind)
    exec(re.search(r"```python\n(.*?)```", text, re.S)[1], {})
    assert capsys.readouterr().out
    assert f"pipeline_tag: {TAGS[KINDS[read_folder(folder / kind).family]]}" in text


@pytest.mark.parametrize("kind", ["gpt2", "bert", "bart"])
def test_the_card_asks_a_tuned_model_as_hpsearch_does(folder, tmp_path, monkeypatch, capsys, kind):
    """With its prefix, and a decoder with the line end before its answer; the registry's signature has its columns."""
    monkeypatch.chdir(tmp_path)
    data = {"gpt2": {"pairs": made.PAIRS}, "bert": {"moods": made.MOODS}, "bart": {"pairs": made.PAIRS}}[kind]
    model = tuned(folder, tmp_path, kind, data, prefix="> ")
    exec(re.search(r"```python\n(.*?)```", card(read_folder(tmp_path / kind), Facts("s", {}), kind), re.S)[1], {})
    printed = capsys.readouterr().out
    most = {"gpt2": 6, "bert": None, "bart": 10}[kind]  # a quarter of the context
    found = model("You have won a prize!" if kind == "bert" else "How are you?", max_new_tokens=most, beam_size=1)
    answer = found.label if kind == "bert" else found.translation
    assert answer
    assert answer in ast.literal_eval(printed)[0] if kind == "bart" else repr(answer)[1:-1] in printed
    columns = {"label", "probability", "probabilities"} if kind == "bert" else {"translation"}
    assert set(served(tmp_path / kind).outputs) == columns == set(found.to_dict()) - {"text", "source", "truncated"}


@pytest.mark.parametrize(
    ("kind", "data", "model"),
    [
        ("gpt2", {}, {}),
        ("gpt2", {"pairs": made.PAIRS}, {"context": 20}),
        ("bert", {"moods": made.MOODS}, {"context": 20}),
        ("bart", {"pairs": made.PAIRS}, {"context": 20}),
    ],
)
def test_the_cards_lines_cut_a_text_that_is_longer_than_the_model_reads(
    folder, tmp_path, monkeypatch, capsys, kind, data, model
):
    """Of more bytes, each a token, than the model has positions: transformers raises an error without their options."""
    monkeypatch.chdir(tmp_path)
    loaded = tuned(folder, tmp_path, kind, data, **model)
    text = card(read_folder(tmp_path / kind), Facts("s", {}), kind)
    shown = re.search(r"You have won a prize!|How are you\?|Once upon a time", text)[0]
    long = "red sun " * 20
    lines = re.search(r"```python\n(.*?)```", text, re.S)[1].replace(shown, long)
    exec(lines, {})
    printed = capsys.readouterr().out
    if kind == "bert":  # cut as in the fine-tuning, which keeps the beginning
        assert repr(loaded(long).label) in printed
    plain = re.sub(r", truncation=True|, (model_)?max_length=\d+|, handle_long_generation=\"hole\"", "", lines)
    assert plain != lines
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        exec(plain, {})


def test_the_card_names_task_and_labels_and_no_metric_of_text_for_a_classifier(folder, tmp_path):
    tuned(folder, tmp_path, "bert", {"moods": made.MOODS})
    metrics = {"val/f1_macro": 0.75, "val/loss": 0.5, "val/perplexity": 1.65, "test/bits_per_byte": 0.2}
    counts = {"moods": {"train": {"examples": 24}, "valid": {"examples": 16}}}
    text = card(read_folder(tmp_path / "bert"), Facts("s", metrics, sets=counts, contents={"moods": "abc"}), "bert")
    assert "| `moods` | classification | 24 | 16 |  | `abc` |" in text
    assert "Labels of `moods`: `warm`, `mild`, `cold`." in text
    assert "trained by hpsearch on moods (classification)" in text
    assert "| `loss` | 0.5000 |" in text
    assert "perplexity" not in text
    assert "bits_per_byte" not in text


def test_a_task_that_the_model_does_not_do_is_one_line(folder):
    space = {"study": "s", "data": {"text": made.TEXT, "moods": made.MOODS}}
    with pytest.raises(UserError, match=r"^data.text: text cannot be measured on this kind of model; allowed: class"):
        hpsearch.evaluate(folder / "bert", space, sets=["text"], base=folder, device="cpu")
    with pytest.raises(UserError, match=r"no data set 'mood'; allowed: text, moods"):
        hpsearch.evaluate(folder / "bert", space, sets=["mood"], base=folder, device="cpu")
    found = hpsearch.evaluate(folder / "bert", space, sets=["moods"], base=folder, device="cpu").sets["moods"]
    assert (found.split, "f1" in found.metrics) == ("valid", True)


def test_labels_that_the_model_does_not_know_are_one_line(folder, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nred,hot\nblue,cold\n")
    with pytest.raises(DataError, match=r"labels that the model does not know: 'hot'; it knows 'warm', 'mild', 'cold'"):
        hpsearch.evaluate(folder / "bert", tmp_path / "a.csv", device="cpu")


def test_without_transformers_it_is_one_line(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"only transformers reads this model, and it is not installed: pip install"):
        hpsearch.load_model(folder / "gpt2")


def broken(folder, name, **changes):
    """A model directory with some files replaced, or left out (None)."""
    for path in (folder / "bert").iterdir():
        (name / path.name).write_bytes(path.read_bytes())
    for file, content in changes.items():
        path = name / file.replace("__", ".")
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
    return name


LABELS_OF_MANY = json.dumps({"architectures": ["BertForSequenceClassification"], "model_type": "bert"})
NO_MODELS = [
    ({"config__json": None}, "no config.json in it; a model directory is expected"),
    ({"config__json": None, "adapter_config__json": "{}"}, "an adapter without its model; merge both"),
    ({"config__json": None, "hpsearch__json": "{}"}, "its trainer exported no model that can be loaded"),
    ({"config__json": "{"}, "cannot be read as JSON ("),
    ({"config__json": "[]"}, "a JSON object is expected"),
    ({"config__json": "{}"}, "architectures: none cannot be put to use here; allowed: names that end in ForCausalLM"),
    ({"model__safetensors": None}, "no weights in safetensors; others can hold code, which hpsearch does not run"),
    ({"model__safetensors": "x"}, "model.safetensors: the file is damaged or cut short ("),
    ({"tokenizer__json": "{"}, "transformers cannot load it ("),
    ({"config__json": LABELS_OF_MANY.replace("}", ', "hpsearch": 3}')}, "its key 'hpsearch' is damaged ("),
]


@pytest.mark.parametrize(("changes", "said"), NO_MODELS, ids=[said[:30] for _, said in NO_MODELS])
def test_a_directory_that_is_no_model_is_one_line(folder, tmp_path, changes, said):
    with pytest.raises(UserError) as caught:
        hpsearch.load_model(broken(folder, tmp_path, **changes), device="cpu")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["bert", "bart"])
def test_an_empty_text_is_a_text_whatever_is_beside_it(folder, kind):
    """Its tokenizer gives it no token: it is read as the token that begins texts."""
    model = hpsearch.load_model(folder / kind, device="cpu")
    options = {} if kind == "bert" else {"max_new_tokens": 4}
    alone, beside = model("", **options), model(["", "red sun", "red " * 30], **options)[0]
    if kind == "bart":
        assert alone == beside
        return
    begins = model.backend.tokenizer.bos_token_id
    theirs = model.backend.model(torch.tensor([[begins]])).logits[0].softmax(-1).tolist()
    assert alone.probabilities == pytest.approx(dict(zip(("warm", "mild", "cold"), theirs, strict=True)), abs=1e-6)
    assert beside.probabilities == pytest.approx(alone.probabilities, abs=1e-6)


def test_a_text_without_a_token_to_predict_is_one_line_and_no_perplexity_of_1(folder, tmp_path):
    """Its tokenizer has no token that begins or ends a text, so the only token has nothing before it."""
    place = shutil.copytree(folder / "gpt2", tmp_path / "gpt2")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (place / name).exists():
            kept = {k: v for k, v in json.loads((place / name).read_text()).items() if k[:3] not in ("bos", "eos")}
            (place / name).write_text(json.dumps(kept))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"^data.text: its text is a single token, which leaves none to predict$"):
        hpsearch.evaluate(place, tmp_path / "a.txt", device="cpu")


def test_a_head_with_one_label_twice_is_one_line(folder, tmp_path):
    place = shutil.copytree(folder / "bert", tmp_path / "bert")
    config = json.loads((place / "config.json").read_text())
    config |= {"id2label": {"0": "a", "1": "b", "2": "a"}, "label2id": {"a": 2, "b": 1}}
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"bert: two of its outputs have the label 'a'$"):
        hpsearch.load_model(place, device="cpu")


def test_a_head_for_numbers_is_one_line(folder, tmp_path):
    config = json.loads((folder / "bert" / "config.json").read_text()) | {"problem_type": "regression"}
    with pytest.raises(UserError, match=r"a model of regression; allowed: one of several labels"):
        hpsearch.load_model(broken(folder, tmp_path, config__json=json.dumps(config)), device="cpu")


def test_a_place_that_is_no_directory_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none: no such folder; a model directory is expected"):
        hpsearch.load_model(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: is a file; a model directory is expected"):
        hpsearch.load_model(tmp_path / "file")
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match=r"its training has not ended; `hpsearch train` with the same output goes on"):
        hpsearch.load_model(tmp_path / "half")
    with pytest.raises(UserError, match=r"device: 'gpu' is not allowed; allowed: auto, cpu, cuda, mps"):
        hpsearch.load_model(tmp_path, device="gpu")
