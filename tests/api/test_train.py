"""`hpsearch.run` and `hpsearch.train` with the real trainer and real views, from the search to the tested model."""

import json

import pytest

import hpsearch
from hpsearch import events, journal
from hpsearch.journal.history import History
from hpsearch.policies.finalists import Plan, missing
from hpsearch.results.evidence.looks import looks
from hpsearch.views.mlflow.store import Store
from tests import blank

TINY = {"n_layers": 1, "width": 16, "n_heads": 2, "context": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a text of three splits."""
    made = tmp_path_factory.mktemp("tiny")
    for part, n in {"train": 60, "valid": 20, "test": 20}.items():
        (made / f"{part}.txt").write_text("the cat sat on a mat and saw one small dog " * n)
    return made


@pytest.fixture(scope="module")
def study(folder):
    """Two real trials."""
    space = {
        "study": "tiny",
        "budget": {"trials": 2},
        "data": {"text": {"task": "text", "files": {part: f"{part}.txt" for part in ("train", "valid", "test")}}},
        "tokenizer": {"kind": "bytes"},
        "model": TINY,
        "evaluation": {"times": 4},
        "training": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "epochs": 1, "batch_size": 8},
    }
    blank.home(folder / "home")
    return hpsearch.run(space, base=folder, home=folder / "home", workers=1, progress=False)


def test_a_study_is_searched_and_its_runs_are_in_mlflow(study, folder):
    assert [len(trial.evaluations) for trial in study.trials if trial.outcome == "completed"][:1] == [4]
    assert all(trial.mlflow_run_id for trial in study.trials)
    assert (folder / "home" / "mlflow.db").exists()


def test_the_winner_is_trained_and_tested(study, folder):
    seen = []
    best = study.export(folder / "best.yaml")
    result = hpsearch.train(best, output=folder / "model", home=folder / "home", progress=seen.append)
    assert isinstance(result, hpsearch.FinalResult)
    assert not result.stopped
    assert result.metrics["val/loss"] == pytest.approx(study.best.value)
    assert result.metrics["test/loss"] > 0
    assert json.loads((result.folder / "metrics.json").read_text()) == result.metrics
    card = (result.folder / "README.md").read_text()
    assert f"Trial {study.best.number} of the study `tiny`, the best of 2 trials." in card
    assert f"| {result.metrics['test/loss']:.4f} (" in card
    assert "search minimum" in card
    assert "val/loss" in result.reproduction
    assert (result.gap.searched, result.gap.tested) == (study.best.value, result.metrics["test/loss"])
    assert json.loads((result.folder / "optimism.json").read_text()) == result.gap.to_dict()
    assert (result.looks, [look.trial for look in looks(folder / "home")]) == (0, [study.best.number])
    kinds = [type(event) for event in seen]
    assert kinds[0] is events.Preparing
    assert kinds.count(events.Trained) == study.best.best.index
    assert kinds[-1] is events.Testing
    assert seen[-2].share == 1.0


def test_a_trial_that_is_not_the_best_is_compared_with_its_own_value(study, folder):
    """Its test data were looked at by the test above."""
    other = next(trial for trial in study.trials if trial.number != study.best.number)
    chosen = study.export(folder / "other.yaml", trial=other.number)
    result = hpsearch.train(chosen, output=folder / "other", home=folder / "home", progress=False)
    found = result.gap
    assert (found.searched, found.search_trial) == (study.best.value, study.best.number)
    assert (found.trial, found.reference) == (other.number, result.metrics["val/loss"])
    assert found.looks == result.looks == len(looks(folder / "home")) - 1 > 0
    assert "data that were looked at" in found.lines()[-1]


def test_a_training_that_is_stopped_is_resumed_by_the_same_call(study, folder):
    options = {"base": folder, "output": folder / "stopped", "home": folder / "home"}
    config = {**study.config(0), "study": "tiny"}
    seen = []
    stopped = hpsearch.train(
        config, progress=seen.append, stopping=lambda: events.Trained in map(type, seen), **options
    )
    assert stopped.stopped
    assert stopped.metrics == {}
    whole = hpsearch.train(config, progress=False, **options)
    assert "test/loss" in whole.metrics
    assert whole.gap is None  # of no trial
    assert whole.looks == len(looks(folder / "home")) - 1


def test_several_seeds_are_summed_up_and_the_best_on_validation_is_the_model(study, folder):
    seen = []
    best = study.export(folder / "seeds.yaml")
    options = {"output": folder / "seeds", "home": folder / "home", "seeds": 2}
    first = hpsearch.train(
        best, progress=seen.append, stopping=lambda: sum(type(one) is events.Trained for one in seen) >= 5, **options
    )
    assert first.stopped, "in the second seed"
    resumed = []
    result = hpsearch.train(best, progress=resumed.append, **options)
    told = [event for event in resumed if isinstance(event, events.Resumed)]
    assert [(event.seed, event.done) for event in told] == [
        (one.seed, n == 0) for n, one in enumerate(result.seeds.results)
    ]
    own, fresh = result.seeds.results
    history = History.of(journal.read(folder / "home" / "tiny" / "journal.jsonl"))
    confirmed = missing(history, Plan((study.best.number,), seeds=1), seed=0)
    assert confirmed == (study.best.number, fresh.seed), "the seed that `hpsearch confirm` takes first"
    assert own.metrics["val/loss"] == pytest.approx(study.best.value)
    assert own.metrics["val/loss"] != fresh.metrics["val/loss"]
    values = [own.metrics["test/loss"], fresh.metrics["test/loss"]]
    assert result.seeds.spreads["test/loss"].mean == pytest.approx(sum(values) / 2)
    winner = min(result.seeds.results, key=lambda one: one.metrics["val/loss"])
    assert (result.seed, result.seeds.chosen, result.seeds.metric) == (winner.seed, winner.seed, "val/loss")
    assert result.metrics == winner.metrics == json.loads((folder / "seeds" / "metrics.json").read_text())
    assert json.loads((folder / "seeds" / "final.json").read_text())["seeds"]["chosen"] == winner.seed
    card = (result.folder / "README.md").read_text()
    spread = result.seeds.spreads["test/loss"]
    interval = f"{spread.low:.4f} to {spread.high:.4f}"
    assert f"| `test/loss` | {spread.mean:.4f} | {spread.deviation:.2g} | {interval} | 2 |" in card
    assert f"the model is that of seed {winner.seed}, the best of 2 by val/loss, not by its test" in card
    assert "val/loss" in result.reproduction
    store = Store((folder / "home").resolve(), None)
    store.prepare()
    runs = [
        store.client.get_run(run) for run in store.found(store.experiment("tiny"), {"hpsearch.seed": str(fresh.seed)})
    ]
    assert [run.info.status for run in runs] == ["FINISHED"]
    assert runs[0].data.metrics["test/loss"] == fresh.metrics["test/loss"]
    store.close()


def test_the_validation_data_are_trained_on_where_that_is_asked_for(study, folder):
    seen = []
    best = study.export(folder / "whole.yaml")
    result = hpsearch.train(
        best, output=folder / "whole", home=folder / "home", data="train+valid", progress=seen.append
    )
    assert {name.split("/")[0] for name in result.metrics} == {"test"}
    assert (result.data, result.gap) == ("train+valid", None)
    assert result.reproduction == (
        f"no val/loss to compare with trial {study.best.number}'s value: the validation data were trained on"
    )
    [line] = [event.line for event in seen if isinstance(event, events.Notice) and "together" in event.line]
    last = [event.evaluation for event in seen if isinstance(event, events.Trained)][-1]
    assert f"which are {last.step} steps in place of {study.best.best.step}" in line
    assert json.loads((folder / "whole" / "final.json").read_text()) == {
        "data": "train+valid",
        "seed": result.seed,
        "seeds": None,
    }


def test_a_trainer_that_cannot_train_on_the_validation_data_says_so(folder, tmp_path):
    (tmp_path / "mine.py").write_text("def train(config, trial):\n    yield {'val/loss': 1.0}\n")
    config = {"study": "mine", "train": "./mine.py:train"}
    with pytest.raises(hpsearch.UserError, match=r"cannot train on the validation data as well"):
        hpsearch.train(config, base=tmp_path, home=tmp_path / "home", output=tmp_path / "model", data="train+valid")
    assert not (tmp_path / "model").exists()


def test_mistakes_are_one_line(study, folder):
    config = {**study.config(0), "study": "tiny"}
    config["training"]["learning_rate"] = {"low": 1e-3, "high": 1e-2}
    with pytest.raises(hpsearch.ConfigError, match=r"^space: learning_rate is a range; a training needs one value"):
        hpsearch.train(config, base=folder, home=folder / "home")
    with pytest.raises(hpsearch.UserError, match=r"^threads: 0 is not allowed; allowed: a whole number of at least 1"):
        hpsearch.train(config, threads=0)


ARGUMENTS = [
    ({"config": None}, "config: None is not allowed; allowed: the path of a file, a mapping or an Experiment"),
    ({"output": 3}, "output: 3 is not allowed; allowed: the path of a folder"),
    ({"output": "file.txt"}, "output: file.txt is not a folder"),
    ({"output": "file.txt/below"}, "output: file.txt is not a folder"),
    ({"home": None}, "home: None is not allowed; allowed: the path of a folder"),
    ({"base": "none"}, "base: no such folder: none"),
    ({"data_changed": "no"}, "data_changed: 'no' is not allowed; allowed: True or False"),
    ({"seeds": 0}, "seeds: 0 is not allowed; allowed: a whole number from 1 to 100"),
    ({"data": "test"}, "data: 'test' is not allowed; allowed: 'train' or 'train+valid'"),
    ({"progress": 1}, "progress: 1 is not allowed; allowed: True, False, or a function that receives each event"),
    ({"stopping": True}, "stopping: True is not allowed; allowed: a function that returns True or False, or None"),
]


@pytest.mark.parametrize(("wrong", "said"), ARGUMENTS, ids=[said[:30] for _, said in ARGUMENTS])
def test_an_argument_of_a_wrong_kind_is_one_line(tmp_path, monkeypatch, wrong, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(hpsearch.UserError) as refusal:
        hpsearch.train(**{"config": {"study": "tiny"}, **wrong})
    assert str(refusal.value) == said
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
