"""A config that was exported: its data are those of the search, and an edited value is called one."""

import pytest

from hpsearch.errors import UserError
from hpsearch.final import best
from hpsearch.final.provenance import cannot_tell, data_changes, edits, outdated, provenance, refuse_changed
from hpsearch.final.reproduction import reproduction
from hpsearch.final.training import FinalTraining
from hpsearch.home.home import Home
from hpsearch.outcome import Outcome
from hpsearch.preflight.preparation import prepare
from hpsearch.space.experiment import Experiment
from hpsearch.training.config import TrainConfig
from tests.searching import ask, evaluation, experiment, go, opened

SPACE = """
study: tiny
seed: 5
budget: {trials: 2}
data:
  left: {task: text, files: {train: left.txt, valid: valid.txt, test: test.txt}}
  right: {task: text, files: {train: right.txt, valid: valid.txt, test: test.txt}}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 16}
evaluation: {times: 2}
training: {batch_size: 4, learning_rate: {low: 1e-3, high: 1e-2}, epochs: 2, precision: fp32}
"""


def quiet(what, share):
    """Nobody looks."""


@pytest.fixture
def project(tmp_path):
    """A folder with the data of a study, and the best.yaml of its one trial, which ends before its schedule."""
    for name in ("left", "right", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"some words of {name}, and a few more of them " * 5)
    (tmp_path / "space.yaml").write_text(SPACE)
    experiment = Experiment.load(tmp_path / "space.yaml")
    facts = prepare(experiment, Home(tmp_path / "home").make(), quiet).facts
    study = opened(experiment, tmp_path / "home" / "tiny", facts)
    number = ask(study)
    study.start(number, device="cpu", threads=1, worker=0)
    for index, loss in enumerate([3.0, 3.5], start=1):
        study.report(number, evaluation(index, loss, times=2))
    study.finish(number, Outcome.COMPLETED)
    study.journal.close()
    best.write(study.history, tmp_path / "best.yaml", base=tmp_path, run_id=None)
    return tmp_path


def loaded(project):
    experiment = Experiment.load(project / "best.yaml")
    return experiment, prepare(experiment, Home(project / "home"), quiet)


def edit(project, before, after):
    """Edits the config, not what its provenance says."""
    config, line, known = (project / "best.yaml").read_text().partition("provenance:")
    assert before in config
    (project / "best.yaml").write_text(config.replace(before, after) + line + known)


def test_what_was_not_touched_has_no_changes(project):
    experiment, prepared = loaded(project)
    assert data_changes(experiment.provenance, prepared.facts) == []
    assert edits(experiment.provenance, experiment.train_config()) == []


def test_the_set_that_changed_is_named(project, call):
    """A row of the test set that leaked into the training data, in one of two sets."""
    with (project / "right.txt").open("a") as file:
        file.write("some words of test")
    code, _, err = call("train", project / "best.yaml", "-o", project / "model", "--home", project / "home")
    first, *others = err.strip().splitlines()
    assert code == 2
    assert first.startswith(f"error: {project}/best.yaml:")
    assert "the data are not those of trial 0 of study 'tiny'" in first
    assert "--data-changed" in first
    known = Experiment.load(project / "best.yaml").provenance["data_contents"]
    [line] = others
    assert line.startswith(f"  data.right: contents {known['right'][:12]} -> contents ")
    assert not (project / "model").exists()


def test_sets_that_come_and_go_are_changes(project):
    experiment, prepared = loaded(project)
    known = experiment.provenance
    contents = prepared.facts["contents"]
    fewer = {"contents": {"left": contents["left"]}}
    assert [keys for keys, *_ in data_changes(known, fewer)] == [("data", "right")]
    more = {"contents": {**contents, "new": "f" * 64}}
    assert [keys for keys, *_ in data_changes(known, more)] == [("data", "new")]


def test_a_corpus_that_is_prepared_otherwise_is_no_change_of_the_data(project):
    """A new version of hpsearch, or another tokenizer, gives another fingerprint of the same sets."""
    experiment, prepared = loaded(project)
    assert data_changes(experiment.provenance, {**prepared.facts, "fingerprint": "0" * 64}) == []


def test_a_file_from_before_is_taken_and_what_cannot_be_told_is_said(project):
    experiment, prepared = loaded(project)
    old = {key: value for key, value in experiment.provenance.items() if key not in ("data_contents", "config")}
    assert data_changes(old, prepared.facts) == []
    assert cannot_tell(old, prepared.facts) is None
    said = "it comes from an hpsearch that did not note what they held: whether the data are still those of trial 0"
    assert cannot_tell(old, {**prepared.facts, "fingerprint": "0" * 64}) == f"{said} cannot be told"
    assert cannot_tell({}, prepared.facts) is None
    assert edits(old, experiment.train_config()) == []
    refuse_changed(experiment, [])


def test_an_export_of_an_earlier_hpsearch_is_trained_and_nothing_else_is_blamed(project):
    """It dealt labelled sets out otherwise, trained and scored otherwise: no data changed, and no package did."""
    experiment, prepared = loaded(project)
    old = {key: value for key, value in experiment.provenance.items() if key != "rules"}
    dealt = {"fingerprint": "0" * 64, "contents": {**prepared.facts["contents"], "right": "1" * 64}}
    assert data_changes(old, dealt) == []
    said = "it comes from an earlier hpsearch: whether the data are still those of trial 0 cannot be told"
    assert cannot_tell(old, dealt) == said
    assert cannot_tell(old, {**prepared.facts, "fingerprint": "0" * 64}) is None  # the sets are as they were
    line = reproduction(old, experiment.train_config(), 2.0, settings=None)
    assert line.endswith(
        "(difference -1): tiny was searched by an earlier hpsearch, which cuts, trains and scores otherwise"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("seed: 5", "seed: 6", "seed was edited (5 -> 6)"),
        ("epochs: 2.0", "epochs: 1", "training.epochs was edited (2.0 -> 1.0)"),
        ("stop_at: 0.5", "stop_at: 1.0", "training.stop_at was edited (0.5 -> 1.0)"),
        ("n_layers: 1", "n_layers: 2", "model.n_layers was edited (1 -> 2)"),
    ],
)
def test_an_edited_value_is_named_and_not_the_machine(project, before, after, said):
    edit(project, before, after)
    experiment, _ = loaded(project)
    config, known = experiment.train_config(), experiment.provenance
    assert edits(known, config) == [said]
    for found in (2.9, 3.0):  # be it the same value by chance
        line = reproduction(known, config, found, settings=None)
        assert line == f"{said}: this is another training than trial 0; val/loss {found:.4f} against its 3.0000"


def test_another_objective_is_an_edit_too(project):
    edit(project, "metric: val/loss", "metric: val/perplexity")
    experiment, _ = loaded(project)
    line = reproduction(experiment.provenance, experiment.train_config(), 20.0, settings=None)
    assert line.startswith("objective.metric was edited (val/loss -> val/perplexity): this is another training")


def test_keys_that_the_exporting_version_did_not_have_are_no_edits(project):
    experiment, _ = loaded(project)
    known = dict(experiment.provenance)
    known["config"] = {
        **known["config"],
        "training": {k: v for k, v in known["config"]["training"].items() if k != "beta2"},
    }
    assert edits(known, experiment.train_config()) == []


def test_a_final_training_does_not_go_on_with_other_data(project):
    experiment, prepared = loaded(project)
    config = experiment.train_config()
    for _ in range(2):
        FinalTraining(config, project / "model", None, trainer=experiment.trainer, data=prepared.facts).close()
    with (project / "left.txt").open("a") as file:
        file.write("more")
    changed = loaded(project)[1].facts
    with pytest.raises(UserError, match=r"model: its training was begun on other data.*\n  data\.left: contents "):
        FinalTraining(config, project / "model", None, trainer=experiment.trainer, data=changed)
    FinalTraining(
        config, project / "model", None, trainer=experiment.trainer, data=prepared.facts
    ).close()  # it is not locked


def test_a_value_of_changed_data_is_not_compared_as_if_it_were_the_trials(project):
    experiment, _ = loaded(project)
    known, config = experiment.provenance, experiment.train_config()
    line = reproduction(known, config, 3.0, settings=None, data_changed=True)
    assert line == "the data changed: this is another training than trial 0; val/loss 3.0000 against its 3.0000"


@pytest.mark.slow  # a real training, and MLflow makes its database
def test_changed_data_are_trained_on_where_they_are_wanted(project, call):
    with (project / "right.txt").open("a") as file:
        file.write("more of it")
    arguments = ("train", project / "best.yaml", "-o", project / "model", "--home", project / "home")
    code, out, err = call(*arguments, "--data-changed")
    assert (code, err) == (0, "")
    assert "the data changed: this is another training than trial 0; val/loss " in out
    assert "another processor" not in out


def test_where_a_set_lies_is_no_value_of_the_training(tmp_path):
    study, _ = go(experiment("budget: {trials: 1}\n"), tmp_path)
    trial = study.history.trials[0]
    config = TrainConfig.model_validate(trial.config)
    known = provenance(study.history, trial, config, None)
    assert edits(known, config) == []
    elsewhere = {name: {**one.model_dump(), "dataset": "python:c:d"} for name, one in config.data.items()}
    assert edits(known, TrainConfig.model_validate({**trial.config, "data": elsewhere})) == []
    assert "dataset" not in known["config"]["data"]["text"]


def with_trial(tmp_path, loss):
    """The provenance of a study's one trial, of 3.0, and the history once a second trial has come to `loss`."""
    study = opened(experiment("budget: {trials: 3}\n"), tmp_path / "toy")
    for value in (3.0, loss):
        number = ask(study)
        if number == 1:
            trial = study.history.trials[0]
            config = study.experiment.trainer.config.model_validate(trial.config)
            known = provenance(study.history, trial, config, None)
        study.start(number, device="cpu", threads=1, worker=0)
        study.report(number, evaluation(1, value, times=1))
        study.finish(number, Outcome.COMPLETED)
    study.journal.close()
    return known, study.history


def test_an_export_is_outdated_once_another_trial_is_better(tmp_path):
    known, history = with_trial(tmp_path, 2.5)
    assert outdated(known, history) == (
        "trial 1 has val/loss 2.5000 by now; trial 0 of this file had 3.0000: "
        "`hpsearch export toy` writes the better one"
    )
    assert outdated({**known, "trial": 1, "search_best_trial": 0}, history) is None  # chosen by its number
    assert outdated({**known, "data_fingerprint": "0"}, history) is None  # of other data, by the same name


def test_an_export_is_not_outdated_by_a_worse_trial(tmp_path):
    assert outdated(*with_trial(tmp_path, 3.5)) is None
