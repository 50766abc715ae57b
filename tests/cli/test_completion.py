"""A shell completes commands, options, studies and space files, by what `hpsearch completion` prints."""

import os
import shutil
import subprocess
import sys

import pytest

from hpsearch.cli import commands
from hpsearch.cli.completion import INSTALL, STUDIES
from tests.cli.processes import environment


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two homes with studies, and files."""
    for name in ("mlruns/reviews", "mlruns/rivers", "mlruns/cache", "other/elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        if "cache" not in name:
            (tmp_path / name / "journal.jsonl").touch()
    (tmp_path / "spaces").mkdir()
    for name in ("rest.yaml", "spaces/a.yaml", "spaces/b.yml", "spaces/with space.yaml", "spaces/c.txt", "数.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def completes(folder, call, monkeypatch):
    """What a shell is offered for the last of some words, as `kind,value` lines."""

    def offered(*words):
        monkeypatch.setenv("_HPSEARCH_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["hpsearch", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        code, out, err = call()
        assert (code, err) == (0, "")
        return out.split()

    return offered


@pytest.mark.parametrize("shell", INSTALL)
def test_the_script_says_how_to_install_it_and_calls_hpsearch(call, shell):
    code, out, err = call("completion", shell)
    assert (code, err) == (0, "")
    assert out.startswith(f"# to install: {INSTALL[shell]}\n")
    assert f"_HPSEARCH_COMPLETE={shell}_complete" in out


def test_another_shell_is_refused_in_one_line(call):
    code, _, err = call("completion", "csh")
    assert code == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in err
    assert len(err.splitlines()) == 1


def test_commands_and_options_are_completed(completes):
    assert completes("conf") == ["plain,confirm"]
    assert "plain,--json" in completes("show", "reviews", "--")


def test_studies_of_the_home_and_files_beside_are_completed(completes):
    assert completes("show", "r") == ["plain,reviews", "plain,rivers", "plain,rest.yaml"]
    assert completes("show", "--home", "other", "e") == ["plain,elsewhere"]
    assert completes("show", "数") == ["plain,数.yaml"]


def test_a_space_file_completes_files_alone(completes):
    assert completes("run", "r") == ["plain,rest.yaml"]
    assert completes("run", "spaces/") == ["plain,spaces/a.yaml", "plain,spaces/b.yml"]


def test_without_a_name_the_shell_completes_by_itself(completes):
    assert completes("show", "x") == ["file,x"]
    assert completes("run", "spac") == ["file,spac"]


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_argument_that_may_be_a_study_is_completed(name):
    for parameter in commands.commands[name].params:
        if parameter.param_type_name == "argument" and parameter.name in STUDIES:
            assert parameter._custom_shell_complete is not None


def test_a_completion_imports_nothing_heavy(folder):
    """Not even the space files' schema: a person waits at each TAB."""
    code = (
        "import sys, hpsearch.cli\n"
        "try: hpsearch.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'optuna', 'pandas', 'rich', 'hpsearch.space'}\n"
        "print(*(heavy & set(sys.modules)), file=sys.stderr)"
    )
    line = {"COMP_WORDS": "hpsearch show r", "COMP_CWORD": "2", "_HPSEARCH_COMPLETE": "bash_complete"}
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=root, **line),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,reviews", "plain,rivers", "plain,rest.yaml"]
    assert done.stderr.split() == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_with_the_script(folder, call):
    """The script, loaded by a real bash whose `hpsearch` is this package."""
    _, script, _ = call("completion", "bash")
    program = folder / "bin" / "hpsearch"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hpsearch "$@"\n')
    program.chmod(0o755)
    (folder / "script.bash").write_text(script)
    lines = [
        "source script.bash",
        "COMP_WORDS=(hpsearch show re); COMP_CWORD=2",
        "_hpsearch_completion hpsearch re show",
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
    ]
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        env=environment(PYTHONPATH=root, PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["reviews", "rest.yaml"], done.stderr
