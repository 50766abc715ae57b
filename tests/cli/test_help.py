"""Help: every command is listed, described and shown by example, and nothing heavy is imported for it."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from hpsearch import __version__
from hpsearch.cli import commands

HEAVY = {"torch", "mlflow", "sklearn", "sacrebleu", "datasets", "optuna", "transformers", "matplotlib"}

COMMANDS = {
    "new",
    "explain",
    "schema",
    "plan",
    "check",
    "list",
    "compare",
    "rename",
    "delete",
    "run",
    "watch",
    "pause",
    "resume",
    "extend",
    "enqueue",
    "stop",
    "show",
    "report",
    "confirm",
    "audit",
    "export",
    "train",
    "register",
    "predict",
    "evaluate",
    "verify",
    "ui",
    "clean",
    "sync",
    "repair",
    "completion",
}


def said(*arguments):
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0
    return result.output


def test_every_command_is_listed():
    headings = said("--help").split("\nBefore:")[1].splitlines()
    listed = [line.split()[0] for line in headings if line.startswith("  ") and not line.startswith("   ")]
    assert set(commands.commands) == COMMANDS == set(listed)
    assert len(listed) == len(COMMANDS)


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_command_has_a_sentence_and_an_example(name):
    text = said(name, "--help")
    assert f"hpsearch {name} " in text.split("Example")[1]
    assert commands.commands[name].help
    assert said(name, "-h") == text


@pytest.mark.parametrize("name", sorted(commands.commands))
def test_every_option_of_an_example_exists(name):
    params = commands.commands[name].params
    known = {option for one in params for option in (*one.opts, *one.secondary_opts)}
    examples = commands.commands[name].epilog.splitlines()
    used = {word.partition("=")[0] for line in examples for word in line.partition("|")[0].split() if word[0] == "-"}
    assert used <= known


def test_the_list_of_commands_fits_80_columns_and_cuts_nothing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = said("--help").splitlines()
    assert [line for line in lines[1:] if len(line) > 80 or line.endswith("...")] == []
    names = [line.split()[0] for line in lines if line.startswith("  ") and line[2:3].strip()]
    assert set(names) >= COMMANDS  # each on a line of its own: none is wrapped
    wrapped = [line for line in lines if line.startswith(" " * 10) and line.strip()]
    assert wrapped == []


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
    assert "Search:" in out + err


def test_an_unknown_command_is_one_line(call):
    code, _, err = call("serch")
    assert code == 2
    assert err.startswith("error: No such command 'serch'")
    assert "Did you mean 'confirm'?" in call("confrim")[2]
    assert len(err.splitlines()) == 1
