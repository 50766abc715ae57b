"""The JSON Schema of a space file: it accepts what loads, and refuses what a schema can see."""

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

import hpsearch
from hpsearch.document.document import parse, read
from hpsearch.errors import HpsearchError
from hpsearch.preflight.reference.schema import text_of
from hpsearch.space.experiment import Experiment

ROOT = Path(__file__).parents[3]
SPACES = sorted([*(ROOT / "search_spaces").glob("*.yaml"), *(ROOT / "benchmarks" / "spaces").glob("*.yaml")])
KEY = re.compile(r"^(study|data|budget|model|training|tokenizer|search|objective|evaluation|resources):", re.M)
OWN = re.compile(r"^(train|command):", re.M)  # such a space has no data sets
DATA = "study: a\ndata: {r: {task: text, files: {train: a.txt}}}\n"


@pytest.fixture(scope="module")
def validator():
    return Draft7Validator(hpsearch.schema())


def mistakes(validator, text):
    return [error.message for error in validator.iter_errors(parse(text, path="space.yaml").value)]


def test_it_is_a_schema():
    Draft7Validator.check_schema(hpsearch.schema())


def test_the_shipped_file_is_what_the_command_prints():
    shipped = (ROOT / "search_spaces" / "space.schema.json").read_text("utf-8")
    assert shipped == text_of(hpsearch.schema()), "run: hpsearch schema -o search_spaces/space.schema.json"


@pytest.mark.parametrize("path", SPACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_shipped_space_is_valid(validator, path):
    assert list(validator.iter_errors(read(path).value)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_space_names_the_schema_in_its_first_line(path):
    first = path.read_text("utf-8").partition("\n")[0]
    assert first == "# yaml-language-server: $schema=space.schema.json"
    assert (path.parent / first.rpartition("=")[2]).is_file()


def spaces_in_tests():
    """Every text in the tests that is a space file, or one without data."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and KEY.search(node.value):
                yield node.value if OWN.search(node.value) or "data:" in node.value else DATA + node.value


def test_every_space_of_the_tests_that_loads_is_valid(validator):
    loaded = Counter()
    for text in dict.fromkeys(spaces_in_tests()):
        try:
            experiment = Experiment.loads(text)
        except HpsearchError:
            continue
        value = experiment.document.value
        if str(value.get("trainer")).startswith("python:"):
            continue  # it has a schema of its own
        loaded[experiment.trainer.name] += 1
        assert [error.message for error in validator.iter_errors(value)] == [], text
    assert loaded["causal_lm"] > 100
    assert {"huggingface", "program"} < set(loaded)


def test_the_space_of_a_program_has_any_names_of_the_users_and_no_others():
    checks = Draft7Validator(hpsearch.schema(trainer="program"))
    file = {"study": "mine", "command": "p {lr}", "config": {"lr": {"low": 0.1, "high": 1}, "a": {"b": [None]}}}
    assert list(checks.iter_errors(file)) == []
    assert [e.message for e in checks.iter_errors({**file, "metrics": {"a": 1}, "model": {}})] != []
    assert "'command' is a required property" in [e.message for e in checks.iter_errors({"study": "mine"})]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("data: {D}\nmodel: {pretrained: ./a, tunning: lora}", ["model"], "'tunning' was unexpected"),
        ("data: {D}\nmodel: {choices: [{pretrained: ./a}, {n_layers: 2}]}", ["model", "choices", 1], "'n_layers'"),
        ("data: {D}\ntrainer: huggingface", [], "'model' is a required property"),
        ("data: {D}\nmodel: {n_layer: 2}", ["model"], "'n_layer' was unexpected"),
        ("train: ./a.py:train\nmodel: {width: 64}", [], "'model' was unexpected"),
        ("train: ./a.py:train\ncommand: python a.py", [], "'command' was unexpected"),
        ("command: python a.py\nmetrics: [a]", ["metrics"], "is not of type 'object', 'null'"),
        ("trainer: python:a:B\nbudget: {trails: 3}\nfit: {degree: 3}", ["budget"], "'trails' was unexpected"),
        ("trainer: mine\ndata: {D}", ["trainer"], "'mine' is not valid"),
    ],
)
def test_a_mistake_is_named_where_it_is_by_the_keys_of_the_trainer_that_is_meant(validator, text, place, message):
    """One error each: not one for each trainer that the file is not of."""
    value = parse(text.replace("{D}", "{r: {task: text, files: a.txt}}"), path="space.yaml").value
    (error,) = validator.iter_errors(value)
    assert list(error.absolute_path) == place
    assert message in error.message


def test_the_keys_that_choose_another_trainer_are_offered_where_none_is_chosen():
    found = hpsearch.schema()
    while "else" in found:
        found = found["else"]
    assert {"train", "command", "tokenizer"} <= set(found["properties"])
    assert {"pretrained", "architecture", "n_layers"} <= set(found["properties"]["model"]["properties"])


@pytest.mark.parametrize(
    "line",
    [
        "modle: {width: 64}",
        "model: {widht: 64}",
        "model: {width: wide}",
        "model: {width: 4}",
        "model: {width: {low: 8}}",
        "model: {width: {low: 8, hihg: 16}}",
        "model: {width: {choices: []}}",
        "model: {width: {choices: [64, 64]}}",
        "model: {tied_embeddings: {low: 0, high: 1}}",
        "model: {choices: [{widht: 64}]}",
        "model: {n_layers: {choices: [{width: 64}]}}",
        "training: {learning_rate: {low: 0, high: 1, log: true}}",
        "training: {learning_rate: {low: 1e-3, high: 1e-2, prior: {center: 3e-3}}}",
        "training: {schedule: step}",
        "training: {epochs: {values: [1, 2]}}",
        "evaluation: {times: {low: 1, high: 4}}",
        "seed: {choices: [1, 2]}",
        "seed: -1",
        "budget: {money: 3}",
        "budget: {trials: 0}",
        "search: {sampler: bayes}",
        "search: {pruner: {name: median, patience: 3}}",
        "search: {policy: mine}",
        "resources: {workers: 0}",
        "resources: {trials_per_gpu: 65}",
        "study: a b",
    ],
)
def test_what_the_loader_refuses_for_its_form_is_refused(validator, line):
    text = (DATA.partition("\n")[2] if line.startswith("study") else DATA) + line
    with pytest.raises(HpsearchError):
        Experiment.loads(text)
    assert mistakes(validator, text)


@pytest.mark.parametrize(
    "data",
    [
        "{}",
        "null",
        "{r: {task: text}}",
        "{r: {task: txet, files: a.txt}}",
        "{r: {task: text, files: a.txt, dataset: b}}",
        "{r: {task: text, files: {train: a.txt, vaild: b.txt}}}",
        "{r: {task: text, files: a.csv, label: b}}",
        "{'r s': {task: text, files: a.txt}}",
        "{r: {task: classification, files: a.csv, split: {valid: 1.5}}}",
    ],
)
def test_wrong_data_sets_are_refused(validator, data):
    with pytest.raises(HpsearchError):
        Experiment.loads(f"data: {data}")
    assert mistakes(validator, f"data: {data}")


@pytest.mark.parametrize(
    "line",
    [
        "model: {width: {choices: [64, {width: 128, n_heads: 8}]}}",
        "model: {context: 64, choices: [{n_layers: 1}, {n_layers: {low: 2, high: 4}, width: {choices: [64, 96]}}]}",
        "training: {learning_rate: {low: 1e-3, high: 1e-2, log: true, prior: off}}",
        "search: {pruner: median, overfitting: false, confirm: {top: 2}, warm_start: old, baselines: retry}",
        "search: {pruner: {min_resource: 3}}",
        "search:\nbudget:\n",
        "resources: {launcher: inline, workers: auto}",
    ],
)
def test_other_forms_are_accepted(validator, line):
    Experiment.loads(DATA + line)
    assert mistakes(validator, DATA + line) == []


def test_every_key_is_described_and_defaults_are_named():
    schema = hpsearch.schema(trainer="causal_lm")
    training = schema["properties"]["training"]["properties"]
    assert training["cooldown"]["default"] == 0.2
    assert training["schedule"]["description"].startswith("`wsd`")
    assert json.dumps(schema).count('"description"') > 150


TRAINER = """
from hpsearch import Evaluation, Section, Trainer
from pydantic import Field

class Fit(Section):
    degree: int = Field(3, ge=0, description="of the polynomial")

class Mine(Trainer):
    sections = {"fit": Fit}
    def train(self, config, handle):
        yield Evaluation(index=1, step=1, progress=1.0, metrics={"val/loss": 0.0})
"""


def test_a_trainer_of_your_own_has_a_schema_with_its_sections(tmp_path, monkeypatch):
    (tmp_path / "polynomial_of_schema.py").write_text(TRAINER)
    monkeypatch.chdir(tmp_path)
    name = "python:polynomial_of_schema:Mine"
    validator = Draft7Validator(hpsearch.schema(trainer=name))
    space = f'study: own\ntrainer: "{name}"\nfit: {{degree: {{low: 1, high: 4}}}}\n'
    assert mistakes(validator, space) == []
    assert mistakes(validator, space.replace("degree", "dergee"))
    assert mistakes(validator, space.replace(name, "causal_lm"))
    assert hpsearch.explain("fit.degree", trainer=name).words == "of the polynomial"
