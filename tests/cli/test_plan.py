"""`hpsearch plan` as people and programs read it, and how it ends."""

import json
import re
import signal

import pytest

from hpsearch.cli.plan import _row
from hpsearch.preflight.planning.plan import Measured
from tests.cli.processes import alive, descendants, end, started, wait_for

SPACE = """
study: planned
budget: {trials: 12, price_per_hour: 2}
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: {low: 1, high: 12}
trainer: "python:hpsearch.testing.toy:Toy"
"""
INLINE = ("--launcher", "inline", "--seconds", "2")


@pytest.fixture
def planned(call, space_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*options, body=SPACE):
        return call("plan", space_file(body), "--home", tmp_path / "home", *INLINE, *options)

    return run


def test_a_plan_is_printed(planned, tmp_path):
    code, out, err = planned()
    assert (code, err) == (0, "")
    assert "plan of planned: 12 trials; 1 worker on cpu (1 thread each)" in out
    assert "reading the data\n" in out  # it is no terminal: a line for each step
    assert re.search(r"^measuring 1 config", out, re.M)
    assert "data.text: " in out
    said = re.search(r"(\d+) configs measured in \d.*?(?:; (\d+) of them are shown)?\s*\n", out)
    assert int(re.findall(r"^measuring (\d+) config", out, re.M)[-1]) >= int(said[1])
    rows = re.findall(r"^│ (?:default|longest|smallest|largest|random)", out, re.M)
    assert int(said[2] or said[1]) == len(rows)
    for words in (
        "default config",
        "longest",
        "smallest",
        "a trial: ",
        "trials an hour: ",
        "memory: ",
        "nothing pruned",
    ):
        assert words in out or words == "memory: "  # the toy reports no memory
    assert "with the pruner" in out
    assert re.search(r"trials an hour: [\d.e+]+, with \d+% of a training each \(pruner\); the first one", out)
    assert "device-hours" in out
    assert "money" in out
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["cache"]


def test_a_branch_is_shown_by_its_values():
    """Also where the range in the branch does not count, and is not among the names."""
    names = ("tuning", "learning_rate")
    params = {"tuning": "tuning=lora, lora_rank=4..16", "lora_rank": 8, "learning_rate": 2e-4}
    *_, words = _row(Measured("default config", params), names)
    assert words == "tuning=lora lora_rank=8 learning_rate=0.0002"
    *_, words = _row(Measured("longest", {"tuning": "full", "learning_rate": 2e-4}), names)
    assert words == "tuning=full learning_rate=0.0002"


def test_it_fits_80_columns(planned, monkeypatch):
    monkeypatch.setattr("hpsearch.displays.console.UNFOLDED", 80)
    _, out, _ = planned()
    table = [line for line in out.splitlines() if line[:1] in "┏┃┡│└━"]
    assert table
    assert max(map(len, table)) <= 80
    assert "12" in out


def test_programs_get_json(planned):
    code, out, err = planned("--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["study"] == "planned"
    assert found["whole"]["trials"] == 12
    assert found["whole"]["money"] == pytest.approx(2 * found["whole"]["device_hours"])
    assert found["pruned"]["seconds"] < found["whole"]["seconds"]
    assert found["measured"][0]["params"]["epochs"]


def test_quick_says_what_needs_no_measuring(planned):
    code, out, _ = planned("--quick", body=SPACE.replace(", log: true", "").replace("trials: 12", "trials: 2"))
    assert code == 0
    assert "configs measured" not in out
    assert "warning: " in out
    assert re.search(r"space\.yaml:\d+:\d+: training\.learning_rate: a learning rate on a linear scale", out)
    assert re.search(r"space\.yaml:\d+:\d+: budget\.trials: 2 trials for 2 searched params", out)


def test_a_good_space_has_no_warnings(planned):
    _, out, _ = planned(
        "--quick",
        body=SPACE.replace("low: 1, high: 12", "low: 8, high: 16").replace(
            "training:", "evaluation: {times: 4}\nmodel: {context: 16}\ntraining:\n  batch_size: 4"
        ),
    )
    assert "no warnings" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seconds", "0"), "0"),
        (("--workers", "none"), "is neither auto nor a whole number"),
        (("--trials", "0"), "0"),
    ],
)
def test_wrong_options_are_one_line(planned, options, message):
    code, _, err = planned(*options)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_missing_file_is_one_line(call, tmp_path):
    code, _, err = call("plan", tmp_path / "none.yaml")
    assert code == 2
    assert err == f"error: {tmp_path}/none.yaml: no such file\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once_and_cleans_up(space_file, tmp_path, number, code):
    space_file(SPACE)
    (tmp_path / "temporary").mkdir()
    process = started(
        *("plan", "space.yaml", "--home", "home", "--workers", "2", "--seconds", "300"),
        cwd=tmp_path,
        TOY_STEP="0.1",
        TMPDIR=str(tmp_path / "temporary"),
    )
    try:
        wait_for(lambda: list((tmp_path / "temporary").glob("hpsearch-plan-*/*")) or process.poll() is not None)
        family = descendants(process.pid)
        out, err = end(process, number)
    finally:
        end(process)
    assert process.returncode == code, err
    assert "Traceback" not in out + err
    wait_for(lambda: not alive(family))
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["cache"]
