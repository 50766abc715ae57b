"""`hpsearch.verify`: an exported config trained again reproduces its trial, or what differs is named."""

import math

import pytest
from ruamel.yaml import YAML

import hpsearch
from hpsearch import events
from hpsearch.testing.toy import Toy


@pytest.fixture
def exported(space, corpus_files, tmp_path, without_views):
    """The best.yaml of a study, in a home where it was searched."""
    study = hpsearch.run(space, home=tmp_path / "home", base=corpus_files.parent, launcher="inline", progress=False)
    return study.export(tmp_path / "best.yaml")


def edit(path, **changes):
    """Changes values of the provenance."""
    yaml = YAML()
    document = yaml.load(path)
    document["provenance"].update(changes)
    with path.open("w") as file:
        yaml.dump(document, file)


def known(path):
    return YAML(typ="safe").load(path)["provenance"]


def verified(path, tmp_path, **options):
    """The verdict, and the lines that were said."""
    seen = []
    found = hpsearch.verify(path, home=tmp_path / "home", progress=seen.append, **options)
    lines = [event.line for event in seen if isinstance(event, events.Notice)]
    return found, [line for line in lines if not line.startswith("warning: ")]


def written(tmp_path):
    """All files of the home but the cache, with their contents."""
    files = (path for path in (tmp_path / "home").rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if "cache" not in path.parts}


def test_the_same_versions_must_repeat_to_the_last_bit(exported, tmp_path):
    before = written(tmp_path)
    found, lines = verified(exported, tmp_path)
    assert (found.reproduces, found.exact, found.tolerance, found.differences) == (True, True, 0.0, ())
    assert found.value == found.expected == known(exported)["val/loss"]
    trial = known(exported)["trial"]
    assert found.line == f"trial {trial} of study 'toy' reproduces to the last bit: val/loss {found.value:.4f}"
    assert lines[0].startswith(f"to reproduce: trial {trial} of study 'toy', val/loss {found.value:.4f}: its own value")
    assert lines[-1] == "same versions, data and kind of processor: the value must repeat to the last bit"
    assert written(tmp_path) == before  # neither the study, nor MLflow


def test_a_home_that_is_not_there_is_not_made(exported, tmp_path):
    there = sorted(tmp_path.iterdir())
    found = hpsearch.verify(exported, home=tmp_path / "none", progress=False)
    assert (found.reproduces, found.exact) == (True, True)
    assert sorted(tmp_path.iterdir()) == there


def test_another_last_bit_is_no_reproduction_if_nothing_differs(exported, tmp_path):
    edit(exported, **{"val/loss": math.nextafter(known(exported)["val/loss"], 9.0)})
    found, _ = verified(exported, tmp_path)
    assert (found.reproduces, found.exact) == (False, False)
    assert "is NOT reproduced to the last bit, and nothing else differs" in found.line


def test_with_another_version_a_tie_by_an_assumed_sigma_is_enough(exported, tmp_path):
    value = known(exported)["val/loss"]
    edit(exported, **{"val/loss": value * 1.005}, versions={**known(exported)["versions"], "torch": "1.0"})
    found, lines = verified(exported, tmp_path)
    assert (found.reproduces, found.exact) == (True, False)
    assert found.tolerance == pytest.approx(2 * 0.005 * value * 1.005 * math.sqrt(2))
    assert any(line.startswith("differs from the search: torch 1.0 -> ") for line in lines)
    assert "reproduces within the seed noise" in found.line
    assert "assumed)" in found.line
    edit(exported, **{"val/loss": value * 1.02})
    found, _ = verified(exported, tmp_path)
    assert not found.reproduces
    assert "is NOT reproduced: val/loss" in found.line


def test_the_sigma_of_the_confirmation_is_used_and_the_trials_own_value(exported, space, tmp_path):
    study = hpsearch.confirm("toy", home=tmp_path / "home", top=2, seeds=2, workers=1, progress=False)
    path = study.export(tmp_path / "confirmed.yaml")
    found, lines = verified(path, tmp_path)
    assert found.exact
    assert found.expected == study.best.value  # of its own seed, not the mean
    mean = study.confirmation.winner.mean
    assert lines[1] == f"the mean of its fresh seeds, {mean:.4f}, is of other trainings and is not compared"
    edit(path, **{"val/loss": found.expected + study.confirmation.sigma}, processor="another")
    found, lines = verified(path, tmp_path)
    assert found.reproduces
    assert found.tolerance == pytest.approx(4.30265 * math.sqrt(2) * study.confirmation.sigma)  # t(2)
    assert any(line.startswith("differs from the search: processor another -> ") for line in lines)
    assert "measured by the confirmation)" in found.line


def test_what_differs_is_named_before_the_training(exported, tmp_path):
    (tmp_path / "data" / "train.txt").write_text("another text " * 60)
    edit(exported, device="cuda:0", git_commit="abc", python="3.1")
    seen = []
    found = hpsearch.verify(exported, home=tmp_path / "home", threads=2, progress=seen.append)
    said = [e.line for e in seen[: [type(e) for e in seen].index(events.Trained)] if isinstance(e, events.Notice)]
    for start in ("device cuda:0 -> cpu", "threads 1 -> 2", "python 3.1 -> ", "git_commit abc -> "):
        assert any(line.startswith(f"differs from the search: {start}") for line in said), start
    assert any(line.startswith("differs from the search: data.text: contents ") for line in said)
    assert len(found.differences) == 5


def test_the_test_data_are_not_looked_at(exported, tmp_path, monkeypatch):
    def test(*_):
        raise AssertionError("the test set was looked at")

    monkeypatch.setattr(Toy, "test", test)
    assert verified(exported, tmp_path)[0].reproduces


def test_what_names_no_value_is_one_line(exported, tmp_path, space, corpus_files):
    config = {**space, "training": {"learning_rate": 1e-3, "epochs": 2}}
    with pytest.raises(hpsearch.UserError, match=r"has no provenance, so it names no value to reproduce; take what "):
        hpsearch.verify(config, base=corpus_files.parent, home=tmp_path / "home", progress=False)
    edit(exported, **{"val/loss": None})
    with pytest.raises(hpsearch.UserError, match=r"best.yaml:\d+:\d+: provenance.val/loss is not a finite number"):
        hpsearch.verify(exported, home=tmp_path / "home", progress=False)


def test_an_edited_config_is_one_line(exported, tmp_path):
    exported.write_text(exported.read_text().replace("seed: 0", "seed: 1", 1))
    message = (
        r"best.yaml:\d+:\d+: seed was edited \(0 -> 1\): this is another training than trial \d; undo to verify it"
    )
    with pytest.raises(hpsearch.UserError, match=message):
        hpsearch.verify(exported, home=tmp_path / "home", progress=False)


def test_a_stopped_one_says_so_and_leaves_nothing(exported, tmp_path):
    before = written(tmp_path)
    found = hpsearch.verify(exported, home=tmp_path / "home", progress=False, stopping=lambda: True)
    assert (found.stopped, found.reproduces) == (True, False)
    assert written(tmp_path) == before


def test_the_command_exits_with_3_if_it_does_not_reproduce(exported, tmp_path, call):
    code, out, err = call("verify", exported, "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    assert "reproduces to the last bit" in out
    edit(exported, **{"val/loss": 1.0})
    code, out, err = call("verify", exported, "--home", tmp_path / "home")
    assert (code, err) == (3, "")
    assert "is NOT reproduced: val/loss" in out
