"""`--json` and `--quiet` of `hpsearch run`, in this process and without MLflow."""

import json

import pytest

from tests.api.conftest import NoViews
from tests.cli.folders import small


@pytest.fixture
def run(tmp_path, call, monkeypatch):
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)
    small(tmp_path, "said", trials=2, text="the same text in both, which is a warning ")

    def hpsearch(*options):
        return call("run", tmp_path / "space.yaml", "--home", tmp_path / "home", "--launcher", "inline", *options)

    return hpsearch


def refused(name):
    raise AssertionError(f"{name} is no JSON")


def test_json_has_an_object_for_each_event_and_ends_with_the_result(run, tmp_path):
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    found = [json.loads(line, parse_constant=refused) for line in out.splitlines()]
    kinds = [one["event"] for one in found]
    assert kinds[0] == "preparing"
    assert kinds[-1] == "result"
    assert [kinds.count(kind) for kind in ("opened", "started", "measured", "finished")] == [1, 2, 40, 2]
    assert kinds.index("searched") < kinds.index("shipped") < kinds.index("result")
    warnings = [one["message"] for one in found if one["event"] == "notice" and one["level"] == "warning"]
    assert any("are also in train" in line for line in warnings)
    end = found[-1]
    assert (end["exit_code"], end["stopped"], end["outcomes"]) == (0, False, {"completed": 2})
    assert end["best"]["value"] == min(one["value"] for one in found if one["event"] == "finished")
    assert end["files"]["best"] == str(tmp_path / "home" / "said" / "best.yaml")
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)


def test_quiet_prints_warnings_and_the_winner_with_its_file(run, tmp_path):
    code, out, err = run("--quiet")
    assert code == 0
    [line] = out.splitlines()
    assert line.startswith("best: trial ")
    assert line.endswith(f": {tmp_path / 'home' / 'said' / 'best.yaml'}")
    assert all(line.startswith("warning: ") for line in err.splitlines())
    assert "are also in train" in err


def test_a_warning_of_the_data_is_told_once_and_kept(run, tmp_path, call):
    study = ("said", "--home", tmp_path / "home")
    space = tmp_path / "space.yaml"
    assert "are also in train" in run("--trials", "1", "--quiet")[2]
    space.write_text("# a comment that moves each line\n" + space.read_text())
    best = tmp_path / "home" / "said" / "best.yaml"
    for again in (
        ("run", space, "--home", tmp_path / "home", "--launcher", "inline", "--json"),  # resumes: a second trial
        ("run", space, "--home", tmp_path / "home", "--launcher", "inline", "--json"),  # has nothing left
        ("confirm", space, "--home", tmp_path / "home", "--top", "1", "--seeds", "1", "--json"),
        ("train", best, "--home", tmp_path / "home", "-o", tmp_path / "model", "--json"),
    ):
        code, out, err = call(*again)
        assert (code, "are also in train" in out + err) == (0, False)
    assert "are also in train" not in call("show", *study)[1]
    assert call("show", *study, "-v")[1].count("are also in train") == 1
    assert len([w for w in json.loads(call("show", *study, "--json")[1])["warnings"] if "also in train" in w]) == 1
    page = tmp_path / "report.html"
    assert call("report", *study, "-o", page)[0] == 0
    assert page.read_text().count("are also in train") == 1


def test_a_final_training_without_its_study_tells_what_is_odd_about_the_data(run, tmp_path, call):
    run("--trials", "1")
    best = tmp_path / "home" / "said" / "best.yaml"
    code, _, err = call("train", best, "--home", tmp_path / "other", "-o", tmp_path / "model", "--quiet")
    assert (code, err.count("are also in train")) == (0, 1)


def test_a_mistake_is_an_object_with_the_exit_code(run, tmp_path, call):
    code, out, err = call("run", tmp_path / "none.yaml", "--json")
    assert code == 2
    assert err == f"error: {tmp_path / 'none.yaml'}: no such file\n"
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["kind"], last["exit_code"]) == ("error", "ConfigError", 2)
    code, out, err = run("--json", "--quiet")
    assert (code, err.count("\n")) == (2, 1)
    assert json.loads(out.splitlines()[-1])["message"] == "--quiet and --json exclude each other"
    code, out, _ = run("--trials", "none", "--json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)
