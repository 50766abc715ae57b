"""The drafted file: it runs as it is, fits the data, and gives its reasons."""

import math
from pathlib import Path

import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.preflight.draft.plan import Budget, Machine
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.causal_lm.ranges import SIZES, Facts, recommended, vocabulary
from hpsearch.training.config import ModelConfig
from tests.preflight.draft.files import drafted, keys, labelled, lines, rows, sentences


def experiment(made, folder):
    return Experiment.loads(made.text, path=folder / "space.yaml")


def test_it_gives_its_reasons(tmp_path):
    made = drafted(labelled(tmp_path / "reviews.csv"))
    assert made.text.startswith("# Drafted by `hpsearch new`.")
    assert "label: label  # 3 labels\n" in made.text
    assert "study: space\n" in made.text
    assert "budget: {trials: 24, hours: 1}" in made.text
    assert "objective: {metric: val/f1_macro}" in made.text
    assert made.lines[-1].endswith("to be trained on 2 CPU cores")
    assert all(len(line) <= 120 for line in made.text.splitlines())


def test_the_study_is_named_as_a_file_without_a_name_would_name_it(tmp_path):
    path = labelled(tmp_path / "reviews.csv")
    for name, study in (("space.yaml", "space"), ("intents.yaml", "intents"), ("a b.yaml", "reviews")):
        made = drafted(path, output=tmp_path / name)
        assert made.study == study
        assert f"study: {study}\n" in made.text
        if name != "a b.yaml":
            nameless = made.text.replace(f"study: {study}\n", "")
            assert Experiment.loads(nameless, path=tmp_path / name).study == study
        assert f"hpsearch watch {study} " in made.text


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "spaces").mkdir()
    path = labelled(tmp_path / "reviews.csv")
    found = keys(path, output=tmp_path / "spaces" / "space.yaml")
    assert found["files"] == {"train": "../reviews.csv"}


def test_the_context_takes_99_of_100_examples(tmp_path):
    texts = [f"{i} " + " ".join(["word"] * (100 if i < 3 else 10)) for i in range(500)]
    path = rows(tmp_path / "a.csv", ("text", "label"), *((text, "ab"[i % 2]) for i, text in enumerate(texts)))
    made = drafted(path)
    found = experiment(made, tmp_path)
    assert 16 <= found.config(found.space.middle({})).model.context < 100
    assert "99% of the examples have at most" in made.text


def test_pairs_reserve_room_for_the_targets(tmp_path):
    pair = [lines(tmp_path / f"a.{end}", sentences(80, seed=i)) for i, end in enumerate(("de", "en"))]
    made = drafted(*pair)
    found = experiment(made, tmp_path)
    config = found.config(found.space.middle({}))
    assert config.evaluation.max_new_tokens < config.model.context
    assert "0% are cut" not in made.text


def test_the_default_config_is_inside_the_ranges(tmp_path):
    made = drafted(labelled(tmp_path / "a.csv", 400))
    found = experiment(made, tmp_path)
    rules = found.default({"a": {"train": {"examples": 320, "tokens": 6000}}}).rules
    for name in ("learning_rate", "weight_decay", "dropout"):
        node = found.space.params[name]
        assert node.low <= rules[name].value <= node.high, name


@pytest.mark.parametrize("tokens", [1e3, 1e5, 1e6, 1e7, 1e8, 1e9, 1e11])
@pytest.mark.parametrize("kind", [{}, {"labels": True}, {"pairs": True}])
def test_the_ranges_are_valid_and_rise_with_the_data(tokens, kind):
    facts = Facts(tokens=int(tokens), targets=int(tokens), rows=max(1, int(tokens / 50)), **kind)
    found = {key: one.written for key, one in recommended(facts).items()}
    layers, widths = found["model", "n_layers"], found["model", "width"]["choices"]
    for width in widths:
        ModelConfig(n_layers=layers["high"], width=width, n_heads=found["model", "n_heads"])
    assert layers["low"] < layers["high"]
    batches = found["training", "batch_size"]["choices"]
    assert batches == sorted(set(batches))
    assert batches[-1] <= max(4, facts.rows)
    assert found["training", "epochs"]["low"] < found["training", "epochs"]["high"]
    assert all(one.source for one in recommended(facts).values())


def test_small_budgets_have_smaller_models_and_fewer_epochs():
    rich, poor = (Facts(tokens=10_000_000, targets=10_000_000, rows=80_000, flops=flops) for flops in (math.inf, 1e11))
    assert poor.size == SIZES[0]
    assert rich.size.tokens > poor.size.tokens
    assert poor.epochs[1] < rich.epochs[0]


def test_the_vocabulary_rises_with_the_text():
    assert [vocabulary(n) for n in (0, 400_000, 1_000_000, 10**9)] == [500, 1000, 2000, 32000]
    assert [vocabulary(n, labels=True) for n in (400_000, 10**9)] == [2000, 8000]


def test_the_budget_is_the_users(tmp_path):
    path = labelled(tmp_path / "a.csv")
    assert "budget: {trials: 8}" in drafted(path, budget=Budget(trials=8)).text
    assert "budget: {hours: 3}" in drafted(path, budget=Budget(hours=3)).text
    assert "budget: {trials: 24, hours: 2}" in drafted(path, machine=Machine("gpu", 1)).text


def test_it_names_the_schema_beside_it(tmp_path):
    path = labelled(tmp_path / "a.csv")
    assert "yaml-language-server" not in drafted(path).text
    (tmp_path / "space.schema.json").write_text("{}")
    assert drafted(path).text.startswith("# yaml-language-server: $schema=space.schema.json\n")


def test_a_file_is_never_replaced_by_accident(tmp_path):
    path, output = labelled(tmp_path / "a.csv"), tmp_path / "space.yaml"
    output.write_text("mine")
    with pytest.raises(UserError, match="exists; --force replaces it"):
        hpsearch.new(path, output)
    assert output.read_text() == "mine"
    made = hpsearch.new(path, output, force=True, study="mine", trials=4)
    assert output.read_text() == made.text
    assert Experiment.load(output).study == "mine"


def test_wrong_places_and_names(tmp_path):
    path = labelled(tmp_path / "a.csv")
    with pytest.raises(UserError, match="there is no folder"):
        hpsearch.new(path, tmp_path / "nowhere" / "space.yaml")
    with pytest.raises(UserError, match="study: 'a b' is not a valid study name"):
        hpsearch.new(path, tmp_path / "space.yaml", study="a b")


def test_labels_and_names_cannot_write_to_the_terminal_or_the_file(tmp_path):
    some = [(text, ("a\x1b[31m", "b")[i % 2]) for i, text in enumerate(sentences(60))]
    path = rows(tmp_path / "a\x1b[31m#: b.csv", ("te#xt: \x1b[2J", "label"), *some)
    made = drafted(path)
    assert "\x1b" not in made.text
    assert not [line for line in (*made.lines, *made.warnings) if "\x1b" in line]


def test_the_data_of_a_draft_are_prepared_without_a_warning(tmp_path):
    pair = [lines(tmp_path / f"a.{end}", sentences(80, seed=i)) for i, end in enumerate(("de", "en"))]
    drafts = [drafted(labelled(tmp_path / "reviews.csv")), drafted(*pair)]
    for made in drafts:
        found = experiment(made, tmp_path)
        assert found.warnings == ()
        prepared = found.trainer.prepare(
            found.space_file,
            cache=tmp_path / "cache",
            progress=lambda what, share: None,
            known=lambda facts: None,
            fresh=True,
        )
        assert [line for line in prepared.warnings if "is cut" in line or "batch_size" in line] == []


@pytest.mark.slow
def test_a_draft_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labelled(Path("reviews.csv"), 60)
    hpsearch.new("reviews.csv", "space.yaml", trials=1)
    study = hpsearch.run("space.yaml", workers=1, progress=False)
    assert study.trials[0].outcome == "completed"
