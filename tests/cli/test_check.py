"""`hpsearch check` as people and programs read it."""

import json
import signal

import pytest

from hpsearch.preflight.checking.findings import GROUP, PARTS
from tests.cli.processes import alive, descendants, end, started, wait_for

SPACE = "study: mine\ntrain: ./mine.py:train\nresources: {device: cpu}\n"
FAILS = "def train(config):\n    raise KeyError('width')\n"


@pytest.fixture
def checked(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(code, *options):
        (tmp_path / "mine.py").write_text(code)
        (tmp_path / "space.yaml").write_text(SPACE)
        return call("check", "space.yaml", *options)

    return run


def test_what_fails_is_said_in_words(checked, tmp_path):
    code, out, err = checked(FAILS)
    lines = out.splitlines()
    assert (code, err) == (1, "")
    assert lines[0] == "check of mine: trainer function on cpu; config: the only one"
    assert lines[1] == "FAILS  evaluations  the training failed: KeyError: 'width' (mine.py:2)"
    assert lines[2] == "       not promised: every trial that fails like this one is lost"
    assert lines[3].startswith("       mend it:      correct the error that the training raised at mine.py:2, or catch")
    unchecked = ", ".join(name for name in PARTS if name not in ("evaluations", GROUP))
    assert lines[4] == f"-      not checked: there is no training to look at ({unchecked})"
    assert len(lines) == 6
    assert lines[-1].startswith("1 of 11 parts of the contract fail; 1 training, ")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["mine.py", "space.yaml"]


@pytest.mark.slow
def test_programs_get_json(checked):
    code, out, err = checked("def train(config):\n    return 1.5\n", "--json", "--quick", "--trial-seconds", "5")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert (found["ok"], found["study"], found["trainer"], found["trainings"]) == (True, "mine", "function", 1)
    parts = {one["name"]: (one["passed"], one["line"]) for one in found["findings"]}
    assert parts["evaluations"] == (True, "1 evaluation with val/loss in a whole training")
    assert parts["resumes"][0] is None
    assert "a training has one evaluation" in parts["resumes"][1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trial-seconds", "0"), "Invalid value for '--trial-seconds'"),
        (("--device", "tpu"), "Invalid value for '--device'"),
    ],
)
def test_a_wrong_option_is_one_line(checked, options, said):
    code, _, err = checked(FAILS, *options)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_a_space_with_a_mistake_is_one_line(call, tmp_path):
    (tmp_path / "space.yaml").write_text("train: ./none.py:train\n")
    code, out, err = call("check", tmp_path / "space.yaml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "none.py" in err


LASTING = """
import time

def train(config):
    for step in range(1000):
        time.sleep(0.1)
        yield {"val/loss": 1.0, "step": step, "steps": 1000}
"""


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_cleans_up(tmp_path):
    (tmp_path / "mine.py").write_text(LASTING)
    (tmp_path / "space.yaml").write_text(SPACE)
    (tmp_path / "temporary").mkdir()
    options = ("--trial-seconds", "1")
    process = started("check", "space.yaml", *options, cwd=tmp_path, TMPDIR=str(tmp_path / "temporary"))
    try:
        second = "hpsearch-check-*/a/0001"
        wait_for(lambda: list((tmp_path / "temporary").glob(second)) or process.poll() is not None)
        family = descendants(process.pid)
        out, err = end(process, signal.SIGINT)
    finally:
        end(process)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["ok", name] for name in ("evaluations", "finite", "progress")]
    assert lines[4:] == [
        "interrupted: 3 of 11 parts were judged, 0 of them fail",
        "not judged: seed, together, memory, files, processes, resumes, stops, killed",
    ]
    wait_for(lambda: not alive(family))
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "mlruns").exists()
