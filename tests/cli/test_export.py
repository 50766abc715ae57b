"""`hpsearch export`: the winner as a file."""

from hpsearch.space.experiment import Experiment
from tests.cli.test_run import one_line
from tests.searching import ask, experiment, go, opened


def test_the_winner_is_written_and_named(story, call, tmp_path):
    code, out, err = call("export", "story", "-o", tmp_path / "mine.yaml", "--home", story.home)
    assert (code, err) == (0, "")
    exported, automatic = (
        Experiment.load(path) for path in (tmp_path / "mine.yaml", story.home / "story" / "best.yaml")
    )
    assert exported.train_config() == automatic.train_config()
    assert exported.provenance == automatic.provenance
    assert exported.base.resolve() == automatic.base.resolve() == story.cwd
    assert f"trial {exported.provenance['trial']}, val/loss" in out
    assert f"next: hpsearch train {tmp_path / 'mine.yaml'} " in out


def test_best_yaml_in_this_folder_is_the_default(call, tmp_path, monkeypatch):
    go(experiment("budget: {trials: 3}\nsearch: {pruner: none}\n"), tmp_path / "toy")
    monkeypatch.chdir(tmp_path)
    assert call("export", "toy", "--home", tmp_path)[0] == 0
    assert Experiment.load("best.yaml").study == "toy"


def test_mistakes_are_one_line(story, call, tmp_path):
    missing = tmp_path / "missing" / "best.yaml"
    one_line(call("export", "story", "-o", missing, "--home", story.home), 2, r"best.yaml: cannot write: No such file")
    one_line(call("export", "none", "--home", story.home), 2, r"no study 'none'")
    one_line(call("export", "story", "-o", tmp_path, "--home", story.home), 2, r"is a directory")


def test_without_a_completed_trial_there_is_nothing_to_export(call, tmp_path):
    study = opened(experiment(), tmp_path / "toy")
    ask(study)
    study.journal.close()
    result = call("export", "toy", "-o", tmp_path / "best.yaml", "--home", tmp_path)
    one_line(result, 2, r"none of its 1 trials has completed")
    assert not (tmp_path / "best.yaml").exists()
