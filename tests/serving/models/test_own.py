"""Our model directory put to use: what we predict is what our evaluation measured and what transformers computes."""

import contextlib
import io
import json
import re
import shutil

import numpy as np
import pytest
import torch
from scipy import stats

import hpsearch
from hpsearch.errors import UserError
from hpsearch.results.evidence.seeds import SeedResult, summary
from hpsearch.serving.models.card import Facts, card, wilson
from hpsearch.serving.models.folder import read_folder
from hpsearch.training.batches import rows_of
from hpsearch.training.evaluation import Evaluator
from hpsearch.training.export import load_pretrained
from tests.serving.models import made
from tests.training import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models of one set of labels, of pairs, of text, and of all three."""
    place = tmp_path_factory.mktemp("own")
    made.data(place)
    for name, sets in {
        "labels": {"moods": made.MOODS},
        "pairs": {"pairs": made.PAIRS},
        "text": {"text": made.TEXT},
        "several": {"pairs": made.PAIRS, "moods": {**made.MOODS, "truncate": "middle"}, "text": made.TEXT},
    }.items():
        made.ours(place, name, made.config(sets, evaluation={"beam_size": 2} if name == "pairs" else {}))
    return place


def sentences(folder, part="valid"):
    return [line.split("\t") for line in (folder / "data" / f"moods_{part}.tsv").read_text().splitlines()[1:]]


def evaluated(folder, name, part="valid"):
    """What the evaluation of the training measures, and its rows."""
    config = made.config(json.loads((folder / name / "hpsearch.json").read_text())["data"])
    config = type(config).model_validate(json.loads((folder / name / "hpsearch.json").read_text()))
    corpus = tiny.opened(config, folder)
    rows = rows_of(corpus, part, config, tiny.CPU)
    return Evaluator(corpus, rows, config, sample=None).measure(load_pretrained(folder / name)), rows


def space(folder, name, tmp_path):
    """A space file of the model's data."""
    data = json.loads((folder / name / "hpsearch.json").read_text())["data"]
    (folder / f"{name}.yaml").write_text(json.dumps({"study": name, "data": data}))
    return folder / f"{name}.yaml"


# ------------------------------------------------------------------------------------------------------------- labels


def test_labels_and_probabilities_are_those_of_the_evaluation_and_of_transformers(folder):
    from transformers import pipeline

    texts, truth = zip(*sentences(folder), strict=True)
    model = hpsearch.load_model(folder / "labels", device="cpu")
    found = model(list(texts))
    measured, _ = evaluated(folder, "labels")
    assert (
        np.mean([one.label == label for one, label in zip(found, truth, strict=True)]) == measured.metrics["accuracy"]
    )
    theirs = pipeline("text-classification", str(folder / "labels" / "classifier"), truncation=True, top_k=None)
    for one, scores in zip(found, theirs(list(texts)), strict=True):
        assert list(one.probabilities) == [score["label"] for score in scores]
        assert list(one.probabilities.values()) == pytest.approx([score["score"] for score in scores], abs=1e-5)
        assert sum(one.probabilities.values()) == pytest.approx(1.0)
    assert len({round(one.probability, 6) for one in found}) > 10  # the model tells texts apart
    assert 0 < sum(one.truncated for one in found) < len(found)
    assert model(texts[0]).probabilities == pytest.approx(found[0].probabilities)  # alone, and in a batch
    assert model(list(texts), batch_size=3)[5].probabilities == pytest.approx(found[5].probabilities)


def test_the_classifier_is_read_by_us_as_well(folder):
    ours = hpsearch.load_model(folder / "labels", device="cpu")
    theirs = hpsearch.load_model(folder / "labels" / "classifier", device="cpu")
    texts = [text for text, _ in sentences(folder)]
    for one, other in zip(ours(texts), theirs(texts), strict=True):
        assert one.label == other.label
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        assert one.truncated == other.truncated


def test_a_model_of_several_sets_wants_one_named_and_has_a_classifier_for_each(folder):
    model = hpsearch.load_model(folder / "several", device="cpu")
    with pytest.raises(UserError, match=r"the model has several sets, name one \(--set, in Python set=\): pairs"):
        model("red")
    with pytest.raises(UserError, match=r"set 'mood' is none of the model's; allowed: pairs \(translation\), moods"):
        model("red", set="mood")
    assert model("red", set="moods").label in ("cold", "mild", "warm")
    assert isinstance(model("red", set="pairs"), hpsearch.Translation)
    assert model.use(task="text").name == "text"
    assert (folder / "several" / "classifier" / "moods" / "model.safetensors").exists()


def test_a_long_text_is_cut_as_in_the_training(folder):
    for name, data_set in {"several": "moods", "labels": "moods", "pairs": "pairs"}.items():
        model = hpsearch.load_model(folder / name, device="cpu")
        _, rows = evaluated(folder, name)
        use, known = model.uses[data_set], rows[data_set]
        prompts, cut = model.backend._prompts(use, list(known.pairs.sources))
        assert prompts == [known.prompt(i) for i in range(known.n_rows)]
        assert cut == (known.gaps > 0).tolist()
        assert any(cut)


# -------------------------------------------------------------------------------------------------------------- texts


def test_translations_are_those_of_the_evaluation_and_of_transformers(folder):
    from transformers import pipeline

    model = hpsearch.load_model(folder / "pairs", device="cpu")
    measured, rows = evaluated(folder, "pairs")
    sources = list(rows["pairs"].pairs.sources)
    shown = measured.samples["pairs"]["examples"]
    found = model(sources)
    assert [one.translation for one in found] == [one["hypothesis"] for one in shown]
    assert len({one.translation for one in found}) > 3
    short = [one.source for one in found if not one.truncated][:4]
    theirs = pipeline("text-generation", str(folder / "pairs"))
    greedy = [theirs(text, return_full_text=False, num_beams=1)[0]["generated_text"] for text in short]
    assert [one.translation for one in model(short, beam_size=1)] == greedy


def test_what_is_drawn_depends_on_the_seed_and_the_text_alone(folder):
    model = hpsearch.load_model(folder / "text", device="cpu")
    texts = ["red", "blue sun", "", "天气", "red " * 40]
    drawn = model(texts, temperature=1.0, seed=3, max_new_tokens=12)
    assert drawn == model(texts, temperature=1.0, seed=3, max_new_tokens=12, batch_size=2)
    assert drawn != model(texts, temperature=1.0, seed=4, max_new_tokens=12)
    likeliest = model(texts, max_new_tokens=12)
    assert likeliest != drawn
    assert model(texts, temperature=1e-4, seed=9, max_new_tokens=12) == likeliest
    assert [one.truncated for one in drawn] == [False] * 4 + [True]
    assert all(len(one.completion) <= 12 for one in likeliest)


def test_draws_have_the_probabilities_of_the_softmax():
    from hpsearch.training.generate import Sampling

    logits = torch.tensor([[2.0, 0.0, 1.0]])
    sampling = Sampling(2.0, [7])
    drawn = torch.cat([sampling.pick(logits, [0]) for _ in range(4000)])
    shares = torch.bincount(drawn, minlength=3) / len(drawn)
    assert torch.allclose(shares, (logits[0] / 2.0).softmax(-1), atol=0.03)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens: 0 is not allowed; allowed: a whole number of at least 1"),
        ({"temperature": -1}, "temperature: -1 is not allowed; allowed: a number from 0 to 100"),
        ({"temperature": float("nan")}, "temperature: nan is not allowed; allowed: a number from 0 to 100"),
        ({"seed": 1.5}, "seed: 1.5 is not allowed; allowed: a whole number below 2^31"),
        ({"beam_size": 65}, "beam_size: 65 is not allowed; allowed: a whole number, 1 to 64"),
        ({"beam_size": 2, "temperature": 1}, "temperature and beam_size: beams search for the likeliest text"),
        ({"batch_size": 0}, "batch_size: 0 is not allowed; allowed: a whole number of at least 1"),
    ],
)
def test_an_option_that_is_not_allowed_is_one_line(folder, options, said):
    model = hpsearch.load_model(folder / "text", device="cpu")
    with pytest.raises(UserError) as caught:
        model(["a"], **options)
    assert str(caught.value).startswith(said)


# ------------------------------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize("name", ["labels", "pairs", "text", "several"])
def test_a_models_metrics_are_those_of_its_own_evaluation(folder, name, tmp_path):
    measured, rows = evaluated(folder, name, "test")
    found = hpsearch.evaluate(
        folder / name, space(folder, name, tmp_path), split="test", home=tmp_path / "none", device="cpu"
    )
    for data_set, one in found.sets.items():
        prefix = f"{data_set}/" if len(rows) > 1 else ""
        for metric, value in one.metrics.items():
            assert value == pytest.approx(measured.metrics[prefix + metric], rel=1e-9), metric
    assert set(found.sets) == set(rows)


def test_a_file_is_read_as_the_models_own_set(folder, tmp_path):
    whole = hpsearch.evaluate(folder / "labels", space(folder, "labels", tmp_path), device="cpu").sets["moods"]
    file = hpsearch.evaluate(folder / "labels", folder / "data" / "moods_valid.tsv", device="cpu").sets["moods"]
    assert file.metrics == pytest.approx(whole.metrics)
    assert (file.split, file.examples, "f1" in file.metrics) == ("file", 16, True)
    (tmp_path / "other.csv").write_text("body,topic\nred sun,warm\nrain,cold\n")
    columns = {"text": "body", "label": "topic"}
    assert hpsearch.evaluate(folder / "labels", tmp_path / "other.csv", columns=columns).sets["moods"].examples == 2


def test_a_look_at_the_test_split_is_recorded_and_said(folder, tmp_path):
    home, path = tmp_path / "home", space(folder, "labels", tmp_path)
    home.mkdir()

    def said(model, split):
        found = hpsearch.evaluate(model, path, split=split, home=home, device="cpu")
        return tuple(line for line in found.warnings if "no better than chance" not in line)  # of 16 examples

    first = said(folder / "labels", "test")
    assert first == ("warning: the test split is for the winner alone: choose among models by --split valid",)
    other = said(folder / "labels" / "classifier", "test")
    assert other[1].startswith("warning: this test split was looked at once before (labels in ")
    assert said(folder / "labels", "test") == ()  # again
    assert said(folder / "labels", "valid") == ()


def test_what_cannot_be_measured_is_one_line(folder, tmp_path):
    untested = {**made.MOODS, "files": {part: made.MOODS["files"][part] for part in ("train", "valid")}}
    space = {"study": "s", "data": {"moods": {**untested, "split": {"test": 0.0}}}}
    with pytest.raises(UserError, match=r"data.moods: it has no test split; allowed: train, valid"):
        hpsearch.evaluate(folder / "labels", space, split="test", base=folder, home=tmp_path / "none")
    with pytest.raises(UserError, match=r"data.text: the model has no set of the task text; it has moods \(classific"):
        hpsearch.evaluate(folder / "labels", {"study": "s", "data": {"text": made.TEXT}}, base=folder)
    (tmp_path / "mine.py").write_text("def train(config, trial):\n    yield {'loss': 1.0}\n")
    own = {"study": "s", "train": "mine.py:train", "objective": {"metric": "loss", "direction": "minimize"}}
    with pytest.raises(UserError, match=r"no data sets with a task in it: there is nothing to measure a model on"):
        hpsearch.evaluate(folder / "labels", own, base=tmp_path)
    with pytest.raises(UserError, match=r"split: 'dev' is not allowed; allowed: train, valid, test"):
        hpsearch.evaluate(folder / "labels", space, split="dev", base=folder)


def test_a_tokenizer_of_another_model_is_one_line(folder, tmp_path):
    copied = shutil.copytree(folder / "labels", tmp_path / "model")
    (copied / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"its tokenizer cannot be read \("):
        hpsearch.load_model(copied)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "several" / name, copied / name)
    with pytest.raises(UserError, match=r"its tokenizer is not that of its weights: it has more tokens"):
        hpsearch.load_model(copied)


# --------------------------------------------------------------------------------------------------------------- card


def test_a_card_of_several_seeds_has_their_mean_and_says_which_one_is_the_model(folder):
    values = [2.0, 2.2, 2.1]
    results = [SeedResult(seed, {"val/loss": v, "test/loss": v}) for seed, v in zip((7, 8, 9), values, strict=True)]
    seeds = summary([*results, SeedResult(11, {})], chosen=7, metric="val/loss")
    text = card(read_folder(folder / "text"), Facts("a", {"test/loss": 2.0}, seeds=seeds), "model")
    low, high = stats.t.interval(0.95, 2, loc=2.1, scale=stats.sem(values))
    assert f"| `test/loss` | 2.1000 | 0.1 | {low:.4f} to {high:.4f} | 3 |" in text
    assert "Trained with the seeds 7, 8, 9, 11; the model is that of seed 7, the best of 4 by val/loss" in text
    assert "No model came of seed 11." in text
    assert text.index("## Metrics") < text.index("## Several seeds") < text.index("## Data")
    assert "Several seeds" not in card(read_folder(folder / "text"), Facts("a", {"test/loss": 2.0}), "model")


@pytest.mark.parametrize("name", ["labels", "pairs", "text", "several"])
def test_the_cards_lines_work_as_printed(folder, name, monkeypatch):
    monkeypatch.chdir(folder)
    counts = {"moods": {"test": {"examples": 588}}}
    facts = Facts("a|b", {"val/loss": 1.0, "val/loss_stderr": 0.1, "test/accuracy": 0.97789}, sets=counts)
    text = card(read_folder(folder / name), facts, name)
    assert text.startswith("---\nlicense:  # yours to choose")
    assert "1.0000 (0.8040 to 1.1960)" in text
    assert "0.9779 (0.9625 to 0.9870)" in text
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == (3 if name == "several" else 1)
    model = hpsearch.load_model(name, device="cpu")
    for block in blocks:
        assert len(block.splitlines()) == 3
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block, {})
        if "prize" in block:
            ours = model("You have won a prize!", set="moods")
            assert repr(ours.label) in printed.getvalue()
        if "How are you?" in block:
            ours = model("How are you?", set="pairs")
            assert repr(ours.translation) in printed.getvalue()


@pytest.mark.parametrize("name", ["labels", "pairs", "text"])
def test_the_cards_lines_cut_a_long_text_as_we_do(folder, name, monkeypatch):
    """Without their options they read all of it, which is longer than any prompt of the training."""
    monkeypatch.chdir(folder)
    [block] = re.findall(r"```python\n(.*?)```", card(read_folder(folder / name), Facts("a", {}), name), re.S)
    long = "red blue green " * 20
    block = re.sub(r"You have won a prize!|How are you\?|Once upon a time", long, block)
    found: dict[str, list[dict[str, object]]] = {}
    exec(block.replace("print(model(", "said = (model(").replace("max_new", "do_sample=False, max_new"), found)
    [said] = found["said"]
    ours = hpsearch.load_model(name, device="cpu")(long, **({"max_new_tokens": 12} if name == "text" else {}))
    assert ours.truncated
    if name == "labels":
        assert said["score"] == pytest.approx(max(ours.probabilities.values()), abs=1e-5)
    else:
        wanted = ours.translation if name == "pairs" else long + ours.completion
        assert said["generated_text"] == wanted


def test_the_card_names_an_objective_that_is_of_no_split(folder):
    text = card(read_folder(folder / "text"), Facts("a", {"accuracy": 0.5, "my/score": 2.0, "test/loss": 3.0}), "model")
    assert [line for line in text.splitlines() if line.startswith("| `")][:3] == [
        "| `accuracy` | 0.5000 |  |",
        "| `loss` |  | 3.0000 |",
        "| `my/score` | 2.0000 |  |",
    ]


def test_the_interval_of_a_share():
    low, high = wilson(0.5, 100)  # by statsmodels' proportion_confint(50, 100, method="wilson")
    assert (low, high) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    for n in (1, 5, 8, 19, 588):
        assert wilson(0.0, n)[0] == 0.0  # and not -5.6e-17
        assert wilson(1.0, n)[1] == 1.0
