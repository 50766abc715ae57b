"""`hpsearch.confirm`: a finished study is confirmed later, also one that was searched without."""

import pytest
from ruamel.yaml import YAML

import hpsearch


@pytest.fixture
def searched(space, corpus_files, tmp_path, without_views):
    """The home of a study that was searched and not confirmed."""
    hpsearch.run(space, home=tmp_path / "home", base=corpus_files.parent, launcher="inline", progress=False)
    return tmp_path / "home"


def test_a_finished_study_is_confirmed_by_its_name(searched):
    before = hpsearch.load("toy", home=searched)
    assert (before.confirmation, before.repeats) == (None, ())
    study = hpsearch.confirm("toy", home=searched, top=2, seeds=2, workers=1, progress=False)
    assert [trial.value for trial in study.trials] == [trial.value for trial in before.trials]
    assert len({one.seed for one in study.repeats}) == len(study.repeats) == 4
    found = study.confirmation
    assert study.best.number == found.winner.trial
    values = {one.trial: one.values for one in found.finalists}
    assert values == {number: tuple(one.value for one in study.repeats if one.confirms == number) for number in values}


def test_more_seeds_keep_those_there_are(searched):
    first = hpsearch.confirm("toy", home=searched, top=1, seeds=1, workers=1, progress=False)
    more = hpsearch.confirm("toy", home=searched, top=1, seeds=3, workers=1, progress=False)
    assert more.repeats[:1] == first.repeats
    assert len(more.confirmation.winner.values) == 3


def test_the_export_has_the_winner_and_the_evidence(searched, tmp_path):
    study = hpsearch.confirm("toy", home=searched, workers=1, progress=False)
    exported = YAML(typ="safe").load(study.export(tmp_path / "best.yaml"))["provenance"]
    assert exported["trial"] == study.confirmation.winner.trial
    assert exported["confirmation"] == study.confirmation.to_dict()
    assert exported["val/loss"] == study.best.value  # of its own seed: what the final training reproduces


def test_wrong_arguments_are_refused_in_one_line(searched):
    with pytest.raises(hpsearch.UserError, match=r"^seeds: 0 is not allowed; allowed: a whole number from 1 to 100$"):
        hpsearch.confirm("toy", home=searched, seeds=0)
    with pytest.raises(hpsearch.UserError, match=r"^no study 'other' in .*; there are: toy$"):
        hpsearch.confirm("other", home=searched)


def test_a_study_without_a_completed_trial_is_refused(space, corpus_files, tmp_path, without_views):
    space["model"] = {"dropout": 0.5}  # the toy raises
    home = tmp_path / "home"
    hpsearch.run(space, home=home, base=corpus_files.parent, launcher="inline", progress=False)
    message = "^study 'toy': none of its trials has completed, so there is none to confirm$"
    with pytest.raises(hpsearch.UserError, match=message):
        hpsearch.confirm("toy", home=home)
