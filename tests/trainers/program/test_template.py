"""Commands with placeholders: no value can inject, and what cannot be filled in is said with its place."""

import json
import subprocess
import sys

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.program.template import arguments_of, filled, placeholders

NASTY = ["; rm -rf /", "$(touch pwned)", "`id`", "a b\tc", "'\"\\", "--flag", "{lr}", "{{", "学习\n", "*", "$HOME", "|"]


@pytest.mark.parametrize("value", NASTY)
def test_a_value_is_one_argument_whatever_it_holds(tmp_path, value):
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    arguments = [sys.executable, "-c", code, *arguments_of("--name={name} {name} 'in quotes {name}'")]
    done = subprocess.run(filled(arguments, {"name": value}), capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == [f"--name={value}", value, f"in quotes {value}"]
    assert list(tmp_path.iterdir()) == []


def test_values_stand_as_python_writes_them():
    arguments = arguments_of("p {a} {b} {c} {d} {e}")
    values = {"a": 1e-05, "b": True, "c": 3, "d": [0.9, 0.99], "e": "text"}
    assert filled(arguments, values) == ["p", "1e-05", "True", "3", "[0.9, 0.99]", "text"]


def test_an_argument_with_a_null_or_without_its_value_is_left_out():
    assert filled(arguments_of("p --a={a} --b={b} {a} --c={c}"), {"a": None, "c": 0}) == ["p", "--c=0"]


def test_braces_of_the_users_own_are_doubled():
    arguments = arguments_of("""p '{{"lr": {lr}}}' {{x}}""")
    assert placeholders(arguments) == ["lr"]
    assert filled(arguments, {"lr": 0.1}) == ["p", '{"lr": 0.1}', "{x}"]


def test_a_list_is_taken_as_it_is():
    assert filled(arguments_of(["p", "a b", "{lr} |", "|"]), {"lr": 1}) == ["p", "a b", "1 |", "|"]


SPACE = "study: mine\nconfig: {lr: {low: 0.1, high: 1.0}, name: x}\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("command: p --lr {lrr}", "3:10: command: {lrr}: unknown key; did you mean 'lr'?"),
        ("command: p --lr {lr", "3:10: command: '{' in '{lr' belongs to no placeholder"),
        ("command: p --name {name}", "2:14: config.lr: lr is searched, but the command has no place for it"),
        ("command: p {lr} 'a", "3:10: command: no closing quotation in the command"),
        ("command: ''", "3:10: command: an empty command"),
        ("command: p {lr} | tee log", "3:10: command: no shell runs the command, so '|' has no meaning"),
        ("command: A=1 p {lr}", "3:10: command: no shell runs the command, so A=... is no assignment; write env: {A: "),
        ("command: sh -c 'p {lr}'", "3:10: command: {lr} in the script of sh -c: a value could be a command there"),
        ("command: [bash, -ec, 'p {lr}']", "3:10: command: {lr} in the script of bash -ec"),
        ("command: p {lr}\nenv: {A: '{x}'}", "4:10: env.A: {x}: unknown key; allowed: lr, name, folder"),
        ("command: p {lr}\nmetrics: {loss: 'loss ('}", "4:17: metrics.loss: 'loss (' is no regular expression"),
        ("command: p {lr}\nmetrics: {loss: 'loss'}", "4:17: metrics.loss: 'loss' has no groups; allowed: one"),
        ("command: p {lr}\ntrain: ./a.py:b", "3:1: command: train and command cannot both be given"),
        ("command: 3", "3:10: command"),
        ("command: p {lr}\nresume_command: q {foo}", "4:17: resume_command: {foo}: unknown key"),
    ],
)
def test_mistakes_are_said_with_their_place(tmp_path, lines, said):
    with pytest.raises(ConfigError) as refused:
        Experiment.loads(SPACE + lines + "\n", path=tmp_path / "space.yaml")
    assert str(refused.value).partition("space.yaml:")[2].startswith(said)
    assert "\n" not in str(refused.value)


def test_a_name_of_ours_cannot_be_the_users(tmp_path):
    with pytest.raises(ConfigError, match=r"1:10: config.folder: \{folder\} is a placeholder of hpsearch's own"):
        Experiment.loads("config: {folder: x}\ncommand: p\n", path=tmp_path / "space.yaml")


@pytest.mark.parametrize(
    "lines", ["command: p {config}", "command: p\nenv: {LR: '{lr}'}", "command: p\nresume_command: q {lr}"]
)
def test_a_searched_value_may_come_in_another_way(tmp_path, lines):
    assert Experiment.loads(SPACE + lines + "\n", path=tmp_path / "space.yaml").trainer.name == "program"


def test_names_of_some_choices_are_placeholders_too(tmp_path):
    text = "command: p --m={o.m} --lr={o.lr} --o={o.name}\nstudy: mine\nconfig:\n  o:\n    choices:\n"
    text += "    - {name: adam, lr: 0.1}\n    - {name: sgd, lr: 0.2, m: {low: 0.0, high: 0.9}}\n"
    experiment = Experiment.loads(text, path=tmp_path / "space.yaml")
    config = experiment.config(experiment.space.internal({"o": "name=adam, lr=0.1"}))
    assert filled(config.commands["command"], config.config.flat) == ["p", "--lr=0.1", "--o=adam"]


def test_a_program_that_is_not_there_is_said_before_the_search(tmp_path):
    for name in ("no-such-program", "./run.sh"):
        experiment = Experiment.loads(f"study: mine\ncommand: {name}\n", path=tmp_path / "space.yaml")
        with pytest.raises(ConfigError, match=rf"space.yaml:2:10: command: no program '{name}' on the PATH"):
            experiment.trainer.check(experiment.space_file)
