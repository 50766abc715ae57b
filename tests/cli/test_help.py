"""Help: every command is listed, described and shown by example, and nothing heavy is imported for it."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from hpsearch import __version__
from hpsearch.cli import commands

HEAVY = {"torch", "mlflow", "sklearn", "sacrebleu", "datasets", "optuna", "transformers", "matplotlib"}


def said(*arguments):
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0
    return result.output


def test_every_command_is_listed():
    listed = said("--help").split("Commands:")[1].split()
    assert set(commands.commands) == {"run", "stop", "show", "export", "train", "ui", "sync", "repair"} <= set(listed)


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_has_a_sentence_and_an_example(name):
    text = said(name, "--help")
    assert f"hpsearch {name} " in text.split("Example")[1]
    assert commands.commands[name].help
    assert said(name, "-h") == text


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_option_of_an_example_exists(name):
    known = {option for parameter in commands.commands[name].params for option in parameter.opts}
    examples = commands.commands[name].epilog.splitlines()
    used = {word for line in examples for word in line.partition("|")[0].split() if word.startswith("-")}
    assert used <= known


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from hpsearch.cli import commands; commands(['run', '--help'], standalone_mode=False); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_the_packages():
    assert said("--version") == f"hpsearch, version {__version__}\n"


def test_python_runs_the_package():
    done = subprocess.run([sys.executable, "-m", "hpsearch", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"hpsearch, version {__version__}\n"


def test_without_a_command_it_prints_help_and_exits_2(call):
    code, out, err = call()
    assert code == 2
    assert "Commands:" in out + err


def test_an_unknown_command_is_one_line(call):
    code, _, err = call("serch")
    assert code == 2
    assert err.startswith("error: No such command 'serch'")
    assert len(err.splitlines()) == 1
