"""`hpsearch report`: the page of a real study, from its journal alone."""

import os
import stat

import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.outcome import Outcome
from tests.searching import ask, evaluation, experiment, opened


@pytest.fixture
def home(tmp_path):
    """A study of one completed and one pruned trial, and one that its killed driver left running."""
    (tmp_path / "home").mkdir()
    study = opened(experiment("search: {pruner: none, overfitting: false}\n"), tmp_path / "home" / "toy")
    for outcome, losses in (("completed", [3.0, 2.0, 2.5]), ("pruned", [4.0]), (None, [5.0])):
        number = ask(study)
        study.start(number, device="cpu", threads=1, worker=0)
        for index, loss in enumerate(losses, start=1):
            study.report(number, evaluation(index, loss))
        if outcome:
            study.finish(number, Outcome(outcome), "why")
    study.journal.close()
    return tmp_path / "home"


def test_the_command_writes_the_page_and_says_so(call, home, tmp_path):
    file = tmp_path / "toy report.html"
    code, said, _ = call("report", "toy", "--home", home, "-o", file)
    assert (code, said) == (0, f"{file}: 2.0 MB; it needs no network: open it in a browser\n")
    html = file.read_text(encoding="utf-8")
    assert "The best config is trial 0: val/loss 2.0000" in html
    assert f"hpsearch export toy --home {home} -o best.yaml" in html
    assert ">running<" not in html  # no process searches it
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "toy report.html"]


def test_from_python_over_an_older_page(home, tmp_path):
    file = tmp_path / "report.html"
    file.write_text('<!doctype html><meta name="generator" content="hpsearch">older')
    assert hpsearch.report("toy", file, home=home, refresh=5) == file
    assert file.read_text(encoding="utf-8").endswith("</html>")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent"], "no study 'absent'"),
        (["toy", "-o", "."], "is a directory"),
        (["toy", "-o", "no/folder/report.html"], "no/folder/report.html: cannot write: No such file or directory"),
        (["toy", "--refresh", "0"], "0 is not in the range 1<=x<=86400"),
    ],
)
def test_mistakes_end_in_one_line(call, home, arguments, said):
    code, _, error = call("report", *arguments, "--home", home)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"output": 5}, "output: 5 is not allowed; allowed: the path of a file"),
        ({"refresh": True}, "refresh: True is not allowed; allowed: whole seconds from 1 to 86400"),
        ({"refresh": 0.5}, "refresh: 0.5 is not allowed; allowed: whole seconds from 1 to 86400"),
    ],
)
def test_wrong_arguments_are_named(home, arguments, said):
    with pytest.raises(UserError) as raised:
        hpsearch.report("toy", home=home, **arguments)
    assert str(raised.value) == said


def test_a_folder_as_output_is_refused(home, tmp_path):
    with pytest.raises(UserError, match="is a folder; allowed: the path of a file"):
        hpsearch.report("toy", tmp_path, home=home)
