"""F50: names that try to leave the home folder, and text that tries to command the terminal."""

import json
import os

import pytest

from hpsearch.errors import ConfigError
from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment
from hpsearch.space.validation import wrong_study
from tests import blank
from tests.cli.processes import TOY, hpsearch
from tests.faults.test_input import tree

WORDS = "the cat sat on a mat and saw one small dog "
REST = "\nbudget: {trials: 1}\nsearch: {pruner: none}\ntraining: {epochs: {low: 1, high: 2}}\n" + TOY
TEXTS = "data: {texts: {task: text, files: {train: train.txt, valid: valid.txt}}}"

HOSTILE = {
    "up": "../evil",
    "up twice": "../../evil",
    "up inside": "a/../../evil",
    "here": ".",
    "parent": "..",
    "absolute": "/tmp/evil-hpsearch",
    "folder": "a/b",
    "backslash": "..\\evil",
    "home": "~root",
    "NUL": "evil\0",
    "option": "-rf",
    "hidden": ".evil",
    "underscore first": "_evil",
    "600 characters": "x" * 600,
    "101 characters": "x" * 101,
    "line break": "evil\nerror: fake",
    "ANSI": "\x1b[31mevil\x1b[0m",
    "8-bit control": "\x9b31mevil",
    "right to left": "evil\u202egpj.yaml",
    "space": "my study",
    "empty": "",
    "not ASCII": "\xe9tude",
    "full-width": "\uff0e\uff0e/evil",
    "percent": "%2e%2e",
    "markup": "[red]evil[/red]",
    "cache": "cache",
    "artifacts": "Artifacts",
    "database": "mlflow.db",
    "database's log": "optuna.db-wal",
}
FINE = ["a", "A.b_c-9", "0", "x" * 100, "CON", "nul", "evil..", "a--b", "mlflow", "cache.2"]


@pytest.fixture
def folder(tmp_path):
    """A folder with a space over two text files, deep enough that `../..` is still in tmp_path."""
    inner = tmp_path / "one" / "two"
    inner.mkdir(parents=True)
    for name, n in (("train", 40), ("valid", 10)):
        (inner / f"{name}.txt").write_text(WORDS * n)
    (inner / "space.yaml").write_text(TEXTS + REST)
    return inner


def said(result, words=""):
    """One line, exit 2, with nothing in it that a terminal would obey."""
    code, out, err = result
    assert (code, out.strip(), err.count("\n")) == (2, "", 1), (code, out, err)
    assert err.startswith("error: ")
    assert err.strip().isprintable()
    assert words in err
    assert len(err) < 500


def test_f50_the_allowed_set_is_what_is_said():
    for name in FINE:
        assert wrong_study(name) == ""
    for name in (*HOSTILE.values(), "evil\n"):
        assert wrong_study(name)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_f50_a_hostile_study_is_refused_wherever_it_is_named(call, folder, tmp_path, name):
    (folder / "named.yaml").write_text(f"study: {json.dumps(name)}\n{TEXTS}{REST}")
    (folder / "home").mkdir()
    before, home = tree(tmp_path), folder / "home"
    options = ("--home", home, "--launcher", "inline")
    said(call("run", folder / "named.yaml", *options), "named.yaml:1:8: study: ")
    said(call("run", folder / "space.yaml", *options, f"--study={name}"), "--study: ")
    for command in ("show", "export", "sync", "stop"):
        said(call(command, "--home", home, "--", name))
    assert tree(tmp_path) == before
    assert not os.path.exists("/tmp/evil-hpsearch")


FILE_NAMES = ["-rf.yaml", "..yaml", "my study.yaml", "\x1b[31m.yaml", "a\nb.yaml", "x" * 120 + ".yaml", "cache.yaml"]


@pytest.mark.parametrize("name", FILE_NAMES, ids=[repr(name)[:20] for name in FILE_NAMES])
def test_f50_a_file_whose_name_is_no_study_asks_for_one(call, folder, tmp_path, name):
    (folder / name).write_text(TEXTS + REST)
    before = tree(tmp_path)
    said(call("run", "--home", folder / "home", "--launcher", "inline", "--", folder / name), "give study: NAME")
    assert tree(tmp_path) == before


def test_f50_real_commands_make_nothing_outside_the_home(folder, tmp_path):
    before = tree(tmp_path)
    for name in ("../evil", "\x1b[31mevil"):
        for done in (
            hpsearch("run", "space.yaml", f"--study={name}", cwd=folder),
            hpsearch("sync", "--", name, cwd=folder),
        ):
            said((done.returncode, done.stdout, done.stderr))
    assert tree(tmp_path) == before
    assert not os.path.exists("/tmp/evil-hpsearch")


# ------------------------------------------------------------------------------------------- other names in the space

SETS = ["../x", "/abs", "a/b", "-rf", ".x", "a b", "x\0", "x\n", "\x1b[31m", "\xe9", "x" * 65, "..", "\u202ex"]


@pytest.mark.parametrize("name", SETS, ids=[repr(name)[:20] for name in SETS])
def test_f50_a_hostile_name_of_a_data_set_is_refused(name):
    text = "data:\n  " + json.dumps(name) + ": {task: text, files: {train: train.txt}}\n"
    with pytest.raises(ConfigError) as caught:
        Experiment.loads(text, path="space.yaml")
    assert str(caught.value).startswith("space.yaml:2:")
    assert "\n" not in str(caught.value)


PARAMS = ["../x", "/abs", "-rf", "x\n", "\x1b[31mwidth", "x" * 600, "width\0", "n_layers.1", "__class__"]


@pytest.mark.parametrize("name", PARAMS, ids=[repr(name)[:20] for name in PARAMS])
def test_f50_a_hostile_name_of_a_parameter_is_refused(name):
    text = TEXTS + "\nmodel:\n  " + json.dumps(name) + ": {low: 1, high: 2}\n"
    with pytest.raises(ConfigError) as caught:
        Experiment.loads(text, path="space.yaml")
    assert str(caught.value).startswith("space.yaml:3:")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


DATA_FILES = ["../gone.txt", "/gone/abs.txt", "x\0.txt", "-rf.txt", "x" * 600 + ".txt", "a\nb.txt", "\x1b[31mred.txt"]


@pytest.mark.parametrize("name", DATA_FILES, ids=[repr(name)[:20] for name in DATA_FILES])
def test_f50_a_hostile_name_of_a_data_file_is_one_line(call, folder, tmp_path, name):
    text = f"data: {{texts: {{task: text, files: {{train: {json.dumps(name)}}}}}}}{REST}"
    (folder / "space.yaml").write_text(text)
    before = tree(tmp_path)
    code, out, err = call("run", folder / "space.yaml", "--home", folder / "home", "--launcher", "inline")
    assert (code, out.strip()) == (2, "")
    assert "\x1b" not in err
    assert err.startswith(f"error: {folder}/space.yaml:1:15: data.texts: ")
    after = tree(tmp_path)
    assert {name for name in after if name not in before and not name.startswith("one/two/home")} == set()


# -------------------------------------------------------------------------------------------------- what is printed

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\rgone"
TRAINER = f"""
from hpsearch.testing.toy import Toy

class Hostile(Toy):
    def train(self, config, handle):
        raise RuntimeError({EVIL!r})
        yield
"""
EXAMPLES = f"""
def examples():
    return [(f"some words {{i}}", ("a", "b")[i % 2]) for i in range(40)] + [("one more", {EVIL!r})]

def failing():
    raise ValueError({EVIL!r})
"""


def silent(*texts):
    """Nothing of it moves the cursor."""
    for text in texts:
        assert all(character.isprintable() or character == "\n" for character in text), text


def test_f50_what_a_trainer_raises_is_printed_with_its_escapes(folder):
    blank.home(folder / "home")
    (folder / "hostile.py").write_text(TRAINER)
    space = (folder / "space.yaml").read_text()
    assert space.count("hpsearch.testing.toy:Toy") == 1
    (folder / "space.yaml").write_text(space.replace("hpsearch.testing.toy:Toy", "hostile:Hostile"))
    done = hpsearch("run", "space.yaml", "--home", "home", "--workers", "1", cwd=folder)
    assert r"RuntimeError: \x1b]0;owned\x07\x1b[2J\x9b31m" in done.stdout + done.stderr
    silent(done.stdout, done.stderr)
    shown = hpsearch("show", "space", "--home", "home", cwd=folder)
    assert shown.returncode == 0
    silent(shown.stdout, shown.stderr)


@pytest.mark.parametrize("function", ["examples", "failing"])
def test_f50_what_a_data_function_gives_is_printed_with_its_escapes(call, folder, function):
    blank.home(folder / "home")
    (folder / "hostile_data.py").write_text(EXAMPLES)
    data = f"data: {{mine: {{task: classification, dataset: 'python:hostile_data:{function}'}}}}"
    (folder / "space.yaml").write_text(data + REST)
    code, out, err = call("run", folder / "space.yaml", "--home", folder / "home", "--launcher", "inline")
    assert code == (0 if function == "examples" else 2)
    assert "owned" in out + err
    silent(out, err)


def test_f50_what_the_board_prints_is_escaped(capsys, folder):
    from hpsearch.cli.terminal import RunTerminal
    from hpsearch.displays.lines import finished, finished_in
    from hpsearch.displays.text import params
    from hpsearch.home.home import Home
    from hpsearch.journal.trial_history import TrialHistory

    board = RunTerminal(Home(folder / "home"), folder / "space.yaml")
    board.say(f"warning: {EVIL} [red]")
    trial = TrialHistory(0, params={"file": EVIL}, outcome=Outcome.FAILED, reason=EVIL)
    board.screen.say(finished(trial, "val/loss"))
    board.screen.say(finished_in(trial, 200, None, "~"))
    out = capsys.readouterr().out
    silent(out)
    assert out.count(r"\x1b]0;owned\x07") == 5
    assert "[red]" in out
    assert EVIL in params(trial)
