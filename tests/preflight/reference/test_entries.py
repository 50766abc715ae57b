"""`hpsearch.explain`: what is said of every key, metric and outcome."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

import hpsearch
from hpsearch.document.document import parse
from hpsearch.errors import UserError
from hpsearch.outcome import MEANINGS, Outcome
from hpsearch.preflight.reference.entries import _metrics, entry
from hpsearch.preflight.reference.keys import keys
from hpsearch.preflight.reference.page import rewritten
from hpsearch.preflight.reference.trainers import trainer_of
from hpsearch.trainers import default
from hpsearch.trainers.causal_lm.ranges import RULES
from hpsearch.trainers.huggingface import ranges

ROOT = Path(__file__).parents[3]
KEYS = [key.path for key in keys(default())]


@pytest.fixture(scope="module")
def validator():
    return Draft7Validator(hpsearch.schema())


def test_every_key_has_a_description():
    assert [key.path for key in keys(default()) if not key.description] == []


def test_the_tables_of_the_page_are_those_of_the_fields():
    page = (ROOT / "docs" / "space.md").read_text("utf-8")
    assert rewritten(page, default()) == page, "run: python -m hpsearch.preflight.reference.page docs/space.md"
    for key in keys(default()):
        name = key.path.removeprefix("data.NAME.")
        assert f"| `{name}` |" in page or f"| `{name.partition('.')[2]}` |" in page, key.path


def paths(schema, definitions, prefix=""):
    """The keys that a schema knows, as paths."""
    for name, inner in schema.get("properties", {}).items():
        if name != "choices":
            yield f"{prefix}{name}"
            yield from paths(inner, definitions, f"{prefix}{name}.")
    for member in schema.get("anyOf", []):
        yield from paths(member, definitions, prefix)
    if isinstance(more := schema.get("additionalProperties"), dict):
        yield from paths(more, definitions, f"{prefix}NAME.")


def test_the_schema_names_the_same_keys():
    schema = hpsearch.schema(trainer="causal_lm")
    found = {path for path in paths(schema, schema["definitions"]) if path not in ("data",)}
    sections = {key.partition(".")[0] for key in KEYS if "." in key}
    assert found - sections == set(KEYS)


@pytest.mark.parametrize("path", KEYS)
def test_the_example_of_a_key_is_valid(validator, path):
    found = hpsearch.explain(path)
    assert found.name == path
    text = found.facts["example"]
    data = "" if text.startswith("data:") else "data: {r: {task: text, files: a.txt}}"
    value = parse(f"{text}\n{data}", path="x").value
    assert [error.message for error in validator.iter_errors(value)] == []


def test_what_is_said_of_a_key():
    found = hpsearch.explain("training.cooldown")
    assert found.facts["type"] == "number, 0 to 1"
    assert found.facts["default"] == "0.2"
    assert found.facts["range"].startswith("yes")
    assert "arXiv 2405.18392" in found.facts["recommended"]
    assert {"training.schedule", "training.warmup", "training.min_lr"} <= set(found.related)
    assert str(found).startswith("training.cooldown: ")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("cooldown", "training.cooldown"),
        ("data.reviews.text", "data.NAME.text"),
        ("data.text", "data.NAME.text"),
        ("model.choices[2].width", "model.width"),
        ("f1_macro", "val/f1_macro"),
        ("val/reviews/f1_macro", "val/reviews/f1_macro"),
        ("overfit", "overfit"),
        ("training.", "training"),
        ("search.pruner", "search.pruner"),
    ],
)
def test_other_spellings(word, name):
    assert hpsearch.explain(word).name == name


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("training.coldown", "did you mean training.cooldown"),
        ("lerning_rate", "did you mean training.learning_rate"),
        ("val/blue", "did you mean val/bleu"),
        ("pruend", "did you mean pruned"),
        ("seeds.seeds.seeds", "is no key"),
        ("bogus", "`hpsearch explain` lists the sections"),
        ("name", "of several sections: search.pruner.name"),
        ("a\x1b[31mb", "is no key"),
        ("", "lists the sections"),
    ],
)
def test_an_unknown_word_is_one_line_with_the_nearest(word, said):
    with pytest.raises(UserError) as caught:
        hpsearch.explain(word)
    assert said in str(caught.value)
    assert not {"\n", "\x1b"} & set(str(caught.value))


@pytest.mark.parametrize("name", list(_metrics()))
def test_every_metric_says_what_it_measures(name):
    found = entry(name, default())
    assert found.words
    assert found.facts["better"].startswith(("lower", "higher"))


def test_every_outcome_has_a_meaning():
    assert set(MEANINGS) == set(Outcome)
    assert hpsearch.explain("overfit").facts["can win"].startswith("yes")
    assert "stable phase" in hpsearch.explain("cooled").words
    assert hpsearch.explain("cooled down").name == "cooled"
    assert "40%" in hpsearch.explain("cut by the budget").words
    assert hpsearch.explain("diverged").facts["can win"] == "no"


def test_every_rule_of_a_range_is_of_a_key_that_may_have_one():
    assert {f"{section}.{key}" for section, key in RULES} <= {key.path for key in keys(default()) if key.ranged}
    tuning = {key.path for key in keys(trainer_of("huggingface")) if key.ranged}
    assert {f"{section}.{key}" for section, key in ranges.RULES} <= tuning


def test_the_ranges_of_a_pretrained_model_are_named_with_their_sources():
    facts = hpsearch.explain("training.learning_rate", trainer="huggingface").facts
    assert "LoRA ten times these" in facts["recommended"]
    assert "arXiv 2003.10555" in facts["recommended"]


def test_a_section_lists_its_keys():
    members = dict(hpsearch.explain("training").members)
    assert set(members) == {key for key in KEYS if key.startswith("training.")}
    assert "val/bleu" in hpsearch.explain().facts["metrics"]


def test_the_keys_of_own_trainings_are_explained_beside_those_of_others():
    found = entry("evaluations", default())
    assert found.name == "evaluations"
    assert "evaluation: {times: N}" in found.words
    assert found.related == ["evaluation.times", "search.overfitting.evaluations"]
    assert entry("search.overfitting.evaluations", default()).name == "search.overfitting.evaluations"
