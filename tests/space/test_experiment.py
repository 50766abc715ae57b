"""Experiment: which space files load, which are refused, and where the error points."""

import json
import os
import subprocess
import sys
import time

import optuna
import pytest

from hpsearch.document.document import dump
from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from hpsearch.space.pruners import DEFAULT_PRUNER

optuna.logging.set_verbosity(optuna.logging.WARNING)

DATA = "data: {r: {task: text, files: {train: a.txt}}}\n"

QUICKSTART = """\
study: quickstart
seed: 3
budget: {trials: 16, hours: 0.5}
objective: {metric: val/loss, direction: minimize}
data:
  reference: {task: text, source: "python:some.module:function"}
model:    {n_layers: {low: 1, high: 6}, width: 128, n_heads: 4, context: 128, dropout: {low: 0.0, high: 0.3}}
training:
  learning_rate: {low: 1e-4, high: 3e-2, log: true}
  batch_size:    {choices: [8, 16, 32, 64]}
  epochs:        {low: 1, high: 12}
  weight_decay:  {low: 0.01, high: 3.0, log: true}
"""


def loads(text: str, *, path: str = "spaces/tiny.yaml") -> Experiment:
    return Experiment.loads(text, path=path)


def test_the_quickstart_of_the_design_is_read():
    experiment = loads(QUICKSTART)
    assert experiment.study == "quickstart"
    assert experiment.seed == 3
    assert experiment.budget.model_dump(exclude_none=True) == {"trials": 16, "hours": 0.5}
    assert experiment.objective.model_dump() == {"metric": "val/loss", "direction": "minimize"}
    assert experiment.search.pruner.name == DEFAULT_PRUNER
    assert str(experiment.base) == "spaces"
    assert experiment.source == QUICKSTART
    assert experiment.warnings == ()
    names = ["n_layers", "dropout", "learning_rate", "batch_size", "epochs", "weight_decay"]
    assert list(experiment.space.params) == names


def test_a_trial_becomes_a_config_and_a_file_without_ranges():
    experiment = loads(QUICKSTART)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(5):
        internal = experiment.space.suggest(study.ask())
        config = experiment.config(internal)
        assert config.seed == 3
        assert config.model.n_layers == internal["n_layers"]
        assert config.training.batch_size == [8, 16, 32, 64][internal["batch_size"]]
        again = loads(dump({"study": "best", "provenance": {"trial": 4}, **config.model_dump(mode="json")}))
        assert again.space.params == {}
        assert again.train_config() == config
        assert again.provenance == {"trial": 4}


def test_a_training_refuses_ranges_and_says_what_to_do():
    with pytest.raises(ConfigError) as caught:
        loads(QUICKSTART).train_config()
    message = str(caught.value)
    assert message.startswith("spaces/tiny.yaml:7:22: n_layers is a range")
    assert "`hpsearch run`" in message
    assert "`hpsearch export`" in message


def test_normalised_is_json_and_loads_again_as_the_same_experiment():
    text = QUICKSTART + "tokenizer: {choices: [{kind: bytes}, {vocab_size: {low: 300, high: 900}}]}\n"
    experiment = loads(text.replace("val/loss", "val/bits_per_byte"))
    normalised = json.loads(json.dumps(experiment.normalised()))
    again = loads(dump(normalised), path="elsewhere/other.yaml")
    assert again.normalised() == experiment.normalised() == normalised
    assert again.identity() == experiment.identity()
    assert normalised["training"]["beta2"] == 0.95
    assert normalised["training"]["batch_size"] == {"choices": [8, 16, 32, 64]}
    assert normalised["tokenizer"]["choices"][0] == {"kind": "bytes"}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("study: quickstart", "study: other", True),
        ("trials: 16", "trials: 17", True),
        ("[8, 16, 32, 64]", "[64, 8, 16, 32]", True),
        ("{low: 1, high: 12}", "{high: 12.0, low: 1.0, log: false}", True),
        ("width: 128", "width: 128, rope_theta: 10000", True),
        ("metric: val/loss, direction: minimize", "metric: val/loss", True),
        ("budget:", "search: {sampler: random}\nresources: {threads: 1}\nprovenance: {a: 1}\nbudget:", True),
        ("seed: 3", "seed: 4", False),
        ("width: 128", "width: 160", False),
        ("low: 1e-4", "low: 1e-5", False),
        ("val/loss", "val/perplexity", False),
        ("python:some.module:function", "python:some.module:other", True),
    ],
)
def test_identity_is_what_makes_the_study_what_it_is(before, after, same):
    assert before in QUICKSTART
    changed = loads(QUICKSTART.replace(before, after, 1))
    assert (changed.identity() == loads(QUICKSTART).identity()) is same


def test_settings_have_their_short_forms():
    experiment = loads(
        DATA + "budget: {hours: 2}\nsearch: {pruner: hyperband, overfitting: false, sampler: random}\n"
        "resources: {workers: 2, device: cpu}\ntracking:\n"
    )
    assert experiment.study == "tiny"
    assert experiment.search.pruner.model_dump() == {"name": "hyperband", "min_resource": 1, "reduction_factor": 3}
    assert not experiment.search.overfitting.enabled
    assert experiment.search.max_retries == 2
    assert experiment.resources.workers == 2
    assert experiment.tracking.uri is None
    pruner = loads(DATA + "search: {pruner: {name: patient, patience: 4, wrapped: percentile}}\n").search.pruner
    assert pruner.model_dump() == {"name": "patient", "patience": 4, "min_delta": 0.0, "wrapped": "percentile"}


def test_a_study_without_a_budget_gets_one_and_is_told():
    experiment = loads(DATA)
    assert experiment.budget.trials == 20
    assert experiment.warnings == ("the budget names neither trials nor hours: 20 trials",)


def test_where_finds_what_the_data_check_complains_of():
    experiment = loads("data:\n  r:\n    task: text\n    files: {train: gone.txt}\n")
    assert experiment.where("data", "r", "files", "train") == "spaces/tiny.yaml:4:20"
    assert experiment.where("data", "r", "files", "valid") == "spaces/tiny.yaml:4:12"


def test_the_path_is_shown_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text("data: {}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^\./my\.yaml:1:7: data: at least one is needed$"):
        Experiment.load("./my.yaml")
    with pytest.raises(ConfigError, match=r"^gone\.yaml: no such file$"):
        Experiment.load("gone.yaml")


def test_a_file_name_that_is_no_study_asks_for_one():
    with pytest.raises(ConfigError, match=r"'my space' is not a valid study name.*give study: NAME"):
        loads(DATA, path="my space.yaml")
    assert loads("study: mine\n" + DATA, path="my space.yaml").study == "mine"


# Line 1 is DATA, so what is wrong stands from line 2 on.
MISTAKES = [
    ("trainng: {}", "2:1", "trainng: unknown key; did you mean 'training'?"),
    ("foo: {}", "2:1", "foo: unknown key; allowed: seed, objective, data"),
    ("training: {lerning_rate: 1}", "2:12", "training.lerning_rate: unknown key; did you mean 'learning_rate'?"),
    ("training:\n  warmup: {low: 0, hihg: 1}", "3:20", "training.warmup.hihg: unknown key; did you mean 'high'?"),
    (
        "training:\n  learning_rate: {low: 0.1, high: 0.01}",
        "3:18",
        "training.learning_rate: low 0.1 is above high 0.01",
    ),
    ("training: {warmup: {low: 0, high: 0.1, log: true}}", "2:26", "low must be above 0 where log is true, not 0"),
    ("training: {batch_size: {low: 1, high: 8, step: 2, log: true}}", "2:42", "log and step cannot both be given"),
    ("training: {batch_size: {low: 1, high: 8, step: 0}}", "2:48", "must be above 0, not 0"),
    ("training: {batch_size: {low: 1, high: 8, step: 9}}", "2:48", "step 9 is larger than the range from 1 to 8"),
    ("training: {batch_size: {low: 1, high: 8.5}}", "2:39", "high: must be an integer, not 8.5"),
    ("training: {batch_size: {low: 0, high: 8}}", "2:30", "low: must be at least 1, not 0"),
    ("training: {batch_size: {low: 1}}", "2:24", "'high' is missing"),
    ("training: {batch_size: {}}", "2:24", "an empty mapping"),
    (
        "training: {schedule: {schedule: wsd, cooldown: {low: 0.1, high: 0.4}, warmup: 0.1}}",
        "2:22",
        "training.schedule: a mapping of these keys stands in choices alone; write training: {schedule: wsd, "
        "cooldown: ..., warmup: 0.1}",
    ),
    ("training: {batch_size: {low: 1, high: 2, choices: [1]}}", "2:25", "low cannot stand beside choices"),
    ("training: {batch_size: {choices: []}}", "2:34", "an empty list"),
    ("training: {batch_size: {choices: 3}}", "2:34", "must be a list, not 3"),
    ("training: {batch_size: {choices: [1, 8, 1]}}", "2:41", "choices[3]: 1 is given twice"),
    ("training: {batch_size: {choices: [1, a]}}", "2:38", "choices[2]: must be an integer, not 'a'"),
    ("training: {schedule: {choices: [wsd, cosin]}}", "2:38", "must be one of wsd, cosine, linear, constant"),
    ("training: {schedule: {low: 1, high: 2}}", "2:22", "only a number can have low and high"),
    ("training: {compile: no}", "2:21", "must be true or false, not 'no'"),
    ("search: {stop: sure}", "2:16", "search.stop: must be true, false or a mapping (key: value), not 'sure'"),
    ("search: {confirm: 3}", "2:19", "search.confirm: must be true, false or a mapping (key: value), not 3"),
    ("search: {baselines: again}", "2:21", "search.baselines: must be true, false or retry, not 'again'"),
    ("search: {baselines: 1}", "2:21", "search.baselines: must be true, false or retry, not 1"),
    ("training: {batch_size: 0}", "2:24", "training.batch_size: must be at least 1, not 0"),
    ("training: {batch_size: '8'}", "2:24", "must be an integer, not '8'"),
    ("training: {warmup: {low: 0, high: 0.9}}", "2:20", "warmup 0.9 and cooldown 0.2 are more than the whole training"),
    ("model: {width: {low: 64, high: 256}}", "2:16", "{low: 64, high: 256, step: 8} would do"),
    ("model: {n_heads: 3}", "2:18", "n_heads 3 does not divide width 128"),
    ("model: {choices: [{width: 96}, {width: 100, n_heads: 3}]}", "2:40", "model.choices[2].width: n_heads 3 does not"),
    ("model: {n_layers: {low: 1, high: 4}, choices: [{n_layers: 2}, {}]}", "2:59", "n_layers is a range of its own"),
    ("model: {choices: [{n_layers: 2}, 3]}", "2:34", "a choice of a section must be a mapping"),
    ("model: {choices: [{n_layers: 2}, {n_layers: 2}]}", "2:34", "this choice is given twice"),
    ("model: {choices: [{choices: []}]}", "2:20", "choices within choices"),
    ("model: [1]", "2:8", "model: must be a mapping"),
    ("evaluation: {times: {low: 1, high: 3}}", "2:21", "a range is allowed only in model, training, tokenizer"),
    ("seed: {choices: [1, 2]}", "2:7", "seed: a seed is no hyperparameter, so it has no range: a search would choose"),
    ("seed: {low: 0, high: 9}", "2:7", "a search would choose the luckiest seed"),
    ("seed: [1, 2]", "2:7", "measured by training a config again with other seeds; give one integer"),
    ("evaluation: {times: 0}", "2:21", "evaluation.times: must be at least 1, not 0"),
    ("study: ../x", "2:8", "'../x' is not a valid study name"),
    ("study: cache", "2:8", "a folder of hpsearch's own"),
    ("study: 5", "2:8", 'study: must be text, not 5; quote it: "5"'),
    ("objective: {metric: val/bleu}", "2:21", "these data sets give val/loss, val/perplexity, val/bits_per_byte"),
    ("objective: {metric: loss}", "2:21", "no metric 'loss' (did you mean 'val/loss'?)"),
    ("objective: {metric: val/loss, direction: maximize}", "2:42", "val/loss is better when lower: minimize"),
    ("tokenizer: {vocab_size: {low: 300, high: 400}}", "2:12", "use val/bits_per_byte"),
    ("tokenizer: {kind: {choices: [bpe, file]}}", "2:19", "kind: file needs file: PATH"),
    ("search: {pruner: medain}", "2:18", "must be one of median, percentile, successive_halving"),
    ("search: {pruner: {name: median, startup: 3}}", "2:33", "startup: unknown key; did you mean 'startup_trials'?"),
    ("search: {pruner: {name: percentile, percentile: 101}}", "2:49", "percentile: must be at most 100, not 101"),
    ("search: {overfitting: {evaluations: 0}}", "2:37", "must be at least 1, not 0"),
    ("search: {sampler: grid}\ntraining: {warmup: {low: 0, high: 0.1}}", "3:20", "a grid needs a step or choices"),
    ("resources: {workers: 0}", "2:22", "must be auto or an integer of at least 1, not 0"),
    ("budget: {trails: 4}", "2:10", "budget.trails: unknown key; did you mean 'trials'?"),
    ("seed: -1", "2:7", "seed: must be at least 0, not -1"),
]


@pytest.mark.parametrize(("text", "place", "words"), MISTAKES)
def test_a_mistake_is_one_line_with_place_and_remedy(text, place, words):
    with pytest.raises(ConfigError) as caught:
        loads(DATA + text + "\n")
    message = str(caught.value)
    assert message.startswith(f"spaces/tiny.yaml:{place}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("study: x", "1:1", "key 'data' is missing"),
        ("data: 3", "1:7", "data: must be a mapping"),
        ("data: {}", "1:7", "at least one is needed"),
        ("data: {r: 3}", "1:11", "data.r: must be a mapping (key: value), not 3"),
        ("data: {r: {files: {train: a}}}", "1:11", "'task' is missing (text, translation or classification)"),
        ("data: {r: {task: txt, files: {train: a}}}", "1:18", "must be one of text, translation, classification"),
        ("data: {r: {task: text}}", "1:11", "give either files or dataset"),
        ("data: {r: {task: text, files: {train: 3}}}", "1:39", "must be a path or a list of paths, not 3"),
        ("data: {r: {task: text, files: {train: [a, 3]}}}", "1:43", "files.train[2]: must be text, not 3"),
        ("data: {r: {task: text, files: {trian: a}}}", "1:32", "did you mean 'train'?"),
        ("data: {r: {task: text, source: 3}}", "1:32", 'data.r.source: must be text, not 3; quote it: "3"'),
        ("data: {r: {task: text, text: x, files: {train: a, valid: 3}}}", "1:58", "data.r.files.valid"),
        ("data: {r: {task: classification, files: {train: a}, lable: x}}", "1:53", "did you mean 'label'?"),
        ("data: {r: {task: text, files: {train: a}, split: {valid: 2}}}", "1:58", "must be below 1, not 2"),
        ("data: {'a b': {task: text, files: {train: a}}}", "1:8", "a data set's name may have letters"),
    ],
)
def test_a_mistake_in_the_data_section_is_placed_too(text, place, words):
    with pytest.raises(ConfigError) as caught:
        loads(text + "\n")
    assert str(caught.value).startswith(f"spaces/tiny.yaml:{place}: ")
    assert words in str(caught.value)


def test_loading_is_quick_and_imports_neither_torch_nor_optuna(tmp_path):
    (tmp_path / "space.yaml").write_text(QUICKSTART)
    script = (
        "import sys; from hpsearch.space.experiment import Experiment; Experiment.load('space.yaml')\n"
        "slow = {'torch', 'optuna', 'mlflow', 'sklearn', 'datasets', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_parsing_takes_milliseconds():
    loads(QUICKSTART)
    start = time.process_time()
    loads(QUICKSTART)
    assert time.process_time() - start < 0.1
