"""Data modules that exit, parse arguments or change the folder: a DataError, and our process is unchanged."""

import importlib
import os
import sys

import pytest

from hpsearch.data import sources
from hpsearch.errors import DataError, UserError
from hpsearch.policies import loading as policies
from hpsearch.system import user_modules
from hpsearch.tasks import TextSet
from hpsearch.tasks import loading as tasks
from hpsearch.trainers import loading as trainers
from tests.searching import experiment

SCRIPT = "import sys\ndef lines(): return ['a b c'] * 3\nsys.exit(0)\n"
PARSER = """
import argparse, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--trials", type=int, default=7)
options = parser.parse_args()
os.chdir("/")
def seen(): return [f"{options.trials} {sys.argv}"] + [str(i) for i in range(9)]
def leaves(): sys.exit("no data today")
def leaves_late():
    yield "a"
    sys.exit()
def interrupted(): raise KeyboardInterrupt
"""
NEEDY = (
    "import argparse\np = argparse.ArgumentParser()\np.add_argument('corpus')\np.parse_args()\ndef lines(): return []\n"
)


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder of modules; our own command line would disturb them."""
    for name, text in {"guest_script": SCRIPT, "guest_parser": PARSER, "guest_needy": NEEDY}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "argv", ["hpsearch", "run", "space.yaml", "--trials", "3"])
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("guest_script", "guest_parser", "guest_needy"):
        sys.modules.pop(name, None)


def load(base, origin):
    return sources.load("mine", TextSet(task="text", dataset=f"python:{origin}"), cache=None, base=base)


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (
            "guest_script:lines",
            "importing module guest_script called sys.exit(0); put what a script does under: if __na",
        ),
        (
            "guest_needy:lines",
            "importing module guest_needy called sys.exit(2); put what a script does under: if __nam",
        ),
        (
            "guest_parser:leaves",
            "the function called sys.exit('no data today'); a data function must return its examples",
        ),
        ("guest_parser:leaves_late", "the function called sys.exit(); a data function must return its examples"),
    ],
)
def test_a_module_that_exits_is_named_with_its_set(base, origin, message):
    with pytest.raises(DataError) as refusal:
        load(base, origin)
    assert str(refusal.value).startswith(f"data.mine: python:{origin}: {message}")


def test_a_script_is_refused_before_anything_is_read(base):
    with pytest.raises(DataError, match="importing module guest_script called"):
        sources.check_sources("mine", TextSet(task="text", dataset="python:guest_script:lines"), base=base)


def test_a_module_sees_none_of_our_arguments_and_moves_nothing(base):
    texts = [example["text"] for part in load(base, "guest_parser:seen").parts().values() for example in part]
    assert f"7 ['{base}/guest_parser.py']" in texts
    assert sys.argv == ["hpsearch", "run", "space.yaml", "--trials", "3"]
    assert os.getcwd() == str(base)
    assert str(base) not in sys.path


def test_ctrl_c_in_a_function_is_no_mistake_of_it(base):
    with pytest.raises(KeyboardInterrupt):
        load(base, "guest_parser:interrupted")


def test_an_edited_module_is_imported_again_and_one_of_another_folder_is_refused(base):
    (base / "guest_script.py").write_text("def lines(): return [f'a {i}' for i in range(9)]\n")
    assert load(base, "guest_script:lines").train[0]["text"][0] == "a"
    (base / "guest_script.py").write_text("def lines(): return [f'd {i}' for i in range(9)]\n")
    assert "guest_script" in user_modules.forget_changed()
    assert load(base, "guest_script:lines").train[0]["text"][0] == "d"
    assert user_modules.forget_changed() == set()
    (base / "other").mkdir()
    (base / "other" / "guest_script.py").write_text("def lines(): return [f'g {i}' for i in range(9)]\n")
    with pytest.raises(DataError, match=r"data.mine: .*this process has imported another module 'guest_script'"):
        load(base / "other", "guest_script:lines")


def test_a_module_of_python_is_not_taken_for_the_file_of_its_name(base):
    (base / "json.py").write_text("def lines(): return [f'a {i}' for i in range(9)]\n")
    with pytest.raises(DataError, match="has imported another module 'json'"):
        load(base, "json:lines")
    assert importlib.import_module("json").loads("1") == 1


def load_policy(base, name):
    policies.load(experiment(f"budget: {{trials: 2}}\nsearch: {{policy: '{name}'}}\n", folder=base))


def load_task(base, name):
    tasks.search_in(base)
    tasks.load(name)


LOADERS = {
    "data": lambda base, name: load(base, name.removeprefix("python:")),
    "policy": load_policy,
    "task": load_task,
    "trainer": lambda base, name: trainers.load(name, base),
}
BROKEN = {
    "a missing module": ("import os\nimport no_such_module_x\n", "No module named 'no_such_module_x', {module}.py:2"),
    "a missing name": ("from json import nothing\n", "cannot import name 'nothing' from 'json'"),
    "an error below": ("import json\njson.loads('x')\n", "Expecting value: line 1 column 1 (char 0), {module}.py:2"),
    "a syntax error": ("import os\ndef f(:\n", "SyntaxError: invalid syntax ({module}.py, line 2)"),
    "no file": (None, "No module named '{module}')"),
}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("case", BROKEN)
def test_an_error_at_the_import_is_one_line_with_the_users_line(base, kind, case):
    code, said = BROKEN[case]
    module = f"broken_{kind}_{'_'.join(case.split())}"
    if code is not None:
        (base / f"{module}.py").write_text(code)
    with pytest.raises(UserError) as refusal:
        LOADERS[kind](base, f"python:{module}:thing")
    line = str(refusal.value)
    assert f"python:{module}:thing: cannot be imported (" in line
    assert said.format(module=module) in line
    assert case != "a missing name" or line.endswith(f"{module}.py:1)")
    assert "frozen" not in line
    assert "\n" not in line
