"""The driver's parts, in the order in which a run needs them; whole runs are in tests/cli/test_run.py."""

import os
import stat
import sys
from dataclasses import replace

import pytest

from hpsearch.data.corpus import Corpus
from hpsearch.errors import ConfigError, DataError, StudyBusy, StudyMismatch, UserError
from hpsearch.home.home import Home, history_of
from hpsearch.home.identity import check_space
from hpsearch.preflight.preparation import prepare, settings_for
from hpsearch.search.driver import opened
from hpsearch.space.experiment import Experiment
from tests.conftest import TOY_SPACE
from tests.searching import go


def quiet(what, share):
    pass


def driver(path, home, say=print, **changes):
    """Opens the study of a space file with a worker in this process; to be entered."""
    experiment = Experiment.load(path).override(launcher="inline", **changes)
    return opened(experiment, Home(home).make(), progress=quiet, say=say)


def open_once(path, home, **options):
    """Opens the study and closes it; what it was, for a look."""
    with driver(path, home, **options) as mine:
        return mine


def test_the_home_is_private_and_made_where_it_is_missing(tmp_path):
    home = Home(tmp_path / "a" / "b").make()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert home.journal("toy") == tmp_path / "a" / "b" / "toy" / "journal.jsonl"


def test_a_file_as_home_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=rf"^home {place}: cannot make the folder"):
            Home(place).make()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "home").mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot write there"):
        Home(tmp_path / "home").make()


def test_data_are_prepared_once_and_counted(tmp_path, space_file):
    experiment, home = Experiment.load(space_file(TOY_SPACE)), Home(tmp_path / "home").make()
    first, second = prepare(experiment, home, quiet), prepare(experiment, home, quiet)
    assert first == second
    [(digest, folder)] = first.folders.items()
    assert digest == experiment.space_file.config.corpus_digest()
    assert Corpus.map(folder).fingerprint == first.facts["fingerprint"]
    assert first.facts["sets"]["text"]["train"]["examples"] == 1


def test_a_storage_that_nothing_opens_is_named_with_its_place(tmp_path, space_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    path = space_file("resources: {launcher: {name: ray, storage: 's3://bucket/a'}}\n")
    experiment, home = Experiment.load(path), Home(tmp_path / "home").make()
    where = rf"^{path}:2:\d+: storage s3://bucket/a: Install s3fs to access S3 \(pip install it, on every node\)$"
    with pytest.raises(UserError, match=where), opened(experiment, home, progress=quiet):
        pass
    assert not (tmp_path / "home" / "space").exists()


def test_a_missing_data_file_is_found_with_its_place_before_anything_is_made(tmp_path, space_file):
    path = space_file(TOY_SPACE, data="{text: {task: text, files: {train: data/none.txt, valid: data/valid.txt}}}")
    with pytest.raises(DataError, match=r"space.yaml:1:14: data.text: .*none.txt: no such file"):
        open_once(path, tmp_path / "home")
    assert not (tmp_path / "home" / "toy" / "journal.jsonl").exists()


def test_opening_makes_the_study_and_leaves_its_space_beside_the_journal(tmp_path, space_file):
    path, said = space_file(TOY_SPACE.replace("training:", "training:\n  batch_size: 4")), []
    study = open_once(path, tmp_path / "home", say=said.append).study
    assert study.history.origin.source == path.read_text()
    assert (tmp_path / "home" / "toy" / "space.yaml").read_text() == path.read_text()
    assert study.history.origin.data["sets"]["text"]["valid"]["tokens"] > 0
    assert {"git_commit", "git_dirty", "python", "platform", "processor", "versions"} == set(
        study.history.origin.environment
    )
    assert said == []
    assert history_of(Home(tmp_path / "home"), "toy").study == "toy"


def test_one_driver_at_a_time_and_the_next_when_it_has_gone(tmp_path, space_file):
    path = space_file(TOY_SPACE)
    with driver(path, tmp_path / "home"):
        with pytest.raises(StudyBusy, match=f"pid {os.getpid()}"):
            open_once(path, tmp_path / "home")
        open_once(path, tmp_path / "home", study="another")
    open_once(path, tmp_path / "home")


def test_changed_data_are_refused(tmp_path, space_file, corpus_files):
    path = space_file(TOY_SPACE)
    open_once(path, tmp_path / "home")
    (corpus_files / "valid.txt").write_text("something else altogether")
    with pytest.raises(StudyMismatch, match=r"data\.text: contents \w{12} -> contents \w{12}"):
        open_once(path, tmp_path / "home")


def test_a_budget_that_names_nothing_is_said(tmp_path, space_file):
    said = []
    open_once(space_file("study: toy\ntraining: {batch_size: 4}\n"), tmp_path / "home", say=said.append)
    assert said == ["warning: the budget names neither trials nor hours: 20 trials"]


def test_an_unknown_study_is_named_with_those_there_are(tmp_path, space_file):
    with pytest.raises(UserError, match=r"no study 'x' in .*; it has no study yet"):
        history_of(Home(tmp_path), "x")
    go(Experiment.load(space_file(TOY_SPACE)).override(trials=1), tmp_path / "toy")
    with pytest.raises(UserError, match=r"no study 'x' in .*; there are: toy"):
        history_of(Home(tmp_path), "x")


def test_the_final_training_takes_the_trials_threads_unless_told(tmp_path, space_file):
    experiment, home = Experiment.load(space_file("provenance: {threads: 3}\n")), Home(tmp_path)
    prepared = prepare(experiment, home, quiet)
    assert settings_for(experiment, home, prepared, None).threads == 3
    assert settings_for(experiment, home, prepared, 2).threads == 2
    plain = replace(experiment, settings=experiment.settings.model_copy(update={"provenance": {}}))
    assert settings_for(plain, home, prepared, None).threads == 1
    assert settings_for(experiment, home, prepared, None).prepared == prepared.folders


LONG_PAIRS = "{pairs: {task: translation, files: {train: data/pairs.jsonl}, source: en, target: fr, truncate: middle}}"


def test_a_range_of_contexts_that_cut_targets_is_refused_with_its_place_before_anything_trains(tmp_path, space_file):
    body = "study: cut\ntokenizer: {kind: bytes}\nmodel: {n_layers: 1, context: {choices: [64, 16]}}\n"
    with pytest.raises(
        ConfigError, match=r"space.yaml:4:31: model.context: val/loss cannot be compared .* at context 16"
    ):
        open_once(space_file(body, data=LONG_PAIRS), tmp_path / "home")
    assert not (tmp_path / "home" / "cut").exists()


def test_what_is_cut_is_warned_of_until_a_search_has_begun(tmp_path, space_file):
    body = "study: cut\ntokenizer: {kind: bytes}\nmodel: {n_layers: 1, context: 16}\ntraining: {batch_size: 2}\n"
    for _ in range(2):
        said = []
        open_once(space_file(body, data=LONG_PAIRS), tmp_path / "home", say=said.append)
        cut = [line for line in said if "are cut at context 16" in line]
        assert [line.split()[5] for line in cut] == ["train", "valid", "test"]
        assert all("sources lose their middle (truncate: middle)" in line for line in cut)


def test_the_data_are_told_and_a_test_without_labels_is_a_warning(tmp_path, space_file, corpus_files):
    (corpus_files / "test.tsv").write_text("sentence\nit is blue today\n")
    files = "{train: data/moods.tsv, test: data/test.tsv}"
    mine = f"{{moods: {{task: classification, files: {files}, text: sentence, label: mood}}}}"
    said = []
    with_test = open_once(space_file(TOY_SPACE, data=mine), tmp_path / "home", say=said.append)
    assert said == ["warning: data.moods: the test split has no labels: the model is not tested on it"]
    assert with_test.prepared.summary == [
        "data.moods: 72 train, 8 valid examples (no test: it has no labels); 2 labels: cold 36, warm 36"
    ]


def test_a_study_from_before_a_key_whose_default_is_nothing_goes_on(tmp_path, space_file):
    path = space_file(TOY_SPACE)
    history = open_once(path, tmp_path / "home").study.history
    assert not {"normalise", "weight", "truncate"} & set(history.origin.identity["data"]["text"])
    check_space(Experiment.load(path), history)
    history.origin.identity["data"]["text"].pop("task")
    with pytest.raises(StudyMismatch, match=r"data\.text\.task: \(not there\) -> text"):
        check_space(Experiment.load(path), history)
