"""`hpsearch.check` on trainers that keep their contract, and on those that break parts of it, in real workers."""

import hashlib
import os
import tempfile

import pytest

import hpsearch
from hpsearch.events import Judged, Preparing
from hpsearch.preflight.checking import suite
from hpsearch.preflight.checking.findings import GROUP, PARTS, Finding, fails
from hpsearch.space.experiment import Experiment
from tests.documents import block
from tests.preflight.checking.trainers import BROKEN, DEAF, DISTURBED, GOOD, STUBBORN, TO_OTHER_CURVES, UNREPEATABLE
from tests.trainers.strangers import POLYNOMIAL, POLYNOMIALS


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Checks a function, or another trainer, of a file beside its space; looks at what is left."""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(folder)

    def run(code, file="mine.py", space=None, **options):
        (folder / file).write_text(code)
        given = (
            {"study": "mine", "train": "./mine.py:train", "resources": {"device": "cpu"}} if space is None else space
        )
        found = hpsearch.check(given, base=folder, **{"progress": False, **options})
        assert list((tmp_path / "temporary").iterdir()) == []
        assert {path.name for path in folder.iterdir()} <= {file, "__pycache__", "elsewhere.txt"}
        assert "HPSEARCH_CHECK" not in os.environ
        grouped = "trials_per_worker" in str(given)
        assert [one.name for one in found.findings] == [name for name in PARTS if name != GROUP or grouped]
        return found

    return run


def marks(found):
    return {one.name: one.passed for one in found.findings}


def test_a_function_that_keeps_everything(checked):
    told = []
    found = checked(GOOD, progress=told.append)
    assert marks(found) == dict.fromkeys(set(PARTS) - {GROUP}, True)
    assert found.ok
    assert (found.study, found.trainer, found.device, found.notes) == ("mine", "function", "cpu", ())
    assert found.trainings == 8  # alone, another seed, two at once, paused, resumed, killed, resumed
    assert isinstance(told[-1], Judged)
    judged = [Finding(**vars(one)) for one in told if isinstance(one, Judged)]
    assert sorted(judged, key=lambda one: one.name) == sorted(found.findings, key=lambda one: one.name)
    first = next(at for at, one in enumerate(told) if isinstance(one, Judged))
    assert Preparing("the same with another seed", 0.25) in told[first:]  # each is told as soon as it is known
    assert {one.what for one in told if isinstance(one, Preparing)} >= {"a training", "a training that pauses"}
    assert "after evaluation 2, it goes on to the same curve, to the last bit" in found.finding("resumes").line
    assert "after evaluation 3, it goes on to the same curve, to the last bit" in found.finding("killed").line


def test_a_function_that_breaks_most_of_it(checked):
    """All in one check, since each starts workers."""
    found = checked(BROKEN)
    kept = {"evaluations", "finite", "together", "stops"}
    assert marks(found) == {name: name in kept for name in PARTS if name != GROUP}
    said = {one.name: one.line for one in found.failed}
    assert said["progress"] == "it does not say its progress"
    assert said["seed"] == "another seed gives the same curve: the training does not use it"
    assert said["files"] == "it wrote elsewhere: elsewhere.txt"
    assert "import time; time.sleep(600)" in said["processes"]
    assert said["resumes"] == "it does not save its state: a paused training starts anew"
    assert said["killed"] == "it does not save its state: a killed training starts anew"
    assert said["memory"].startswith("a worker kept ")
    assert "trial.save" in found.finding("killed").mend


@pytest.mark.slow
def test_quick_leaves_most_out(checked):
    found = checked(GOOD, quick=True)
    left_out = {"seed", "together", "memory", "killed"}
    assert marks(found) == {name: None if name in left_out else True for name in PARTS if name != GROUP}
    assert found.finding("seed").line == "not checked: --quick leaves it out"
    assert found.trainings == 3


def test_where_nothing_trains_nothing_else_is_known(checked):
    found = checked("def train(config):\n    raise KeyError('lr')\n")
    assert marks(found) == {name: False if name == "evaluations" else None for name in PARTS if name != GROUP}
    assert "the training failed: KeyError: 'lr'" in found.finding("evaluations").line
    assert found.finding("evaluations").mend.startswith("correct the error that the training raised at mine.py:2")
    assert found.finding("seed").line == "not checked: there is no training to look at"
    assert found.trainings == 1


@pytest.mark.parametrize("given", [{"trial_seconds": 0}, {"quick": "yes"}, {"device": "tpu"}, {"home": 3}])
def test_a_wrong_argument_is_one_line(given):
    with pytest.raises(hpsearch.UserError, match="is not allowed"):
        hpsearch.check({"command": "true"}, **given)


@pytest.mark.slow
def test_a_training_that_is_too_long_is_judged_by_its_beginning(checked):
    found = checked(GOOD.replace("pass  # takes its time", "time.sleep(0.5)").replace("4", "400"), trial_seconds=1.0)
    assert found.ok
    assert "of a training" in found.finding("evaluations").line
    assert "no training ended" in found.finding("progress").line


@pytest.mark.slow
def test_trainings_that_disturb_each_other(checked):
    found = checked(DISTURBED)
    assert [one.name for one in found.failed] == ["together"]
    assert "of two trainings at once, one failed: " in found.finding("together").line
    assert "another trial is here" in found.finding("together").line


@pytest.mark.slow
def test_a_function_that_resumes_to_another_curve(checked):
    found = checked(TO_OTHER_CURVES)
    assert [one.name for one in found.failed] == ["resumes", "killed"]
    assert all("goes on to another curve (val/loss " in one.line for one in found.failed)
    assert all("has another result than the same trial undisturbed" in one.not_promised for one in found.failed)
    assert all("random numbers" in one.mend for one in found.failed)


@pytest.mark.slow
@pytest.mark.parametrize(("quick", "failed", "trainings"), [(False, ["seed"], 9), (True, [], 4)])
def test_a_function_that_does_not_repeat_is_not_blamed_for_its_resuming(checked, quick, failed, trainings):
    found = checked(UNREPEATABLE, quick=quick)
    assert [one.name for one in found.failed] == failed
    assert "two trainings with one seed differ" in found.finding("resumes").line
    assert found.finding("killed").passed is None
    assert found.trainings == trainings  # one more alone, to see whether its seed repeats


@pytest.mark.slow
def test_a_program_that_ignores_sigterm_and_keeps_nothing(checked):
    space = {"study": "mine", "command": "python mine.py --seed {seed}", "grace": 1, "resources": {"device": "cpu"}}
    found = checked(STUBBORN, space=space)
    assert [one.name for one in found.failed] == ["resumes", "stops", "killed"]
    assert found.finding("stops").line == "it did not end at SIGTERM, and was killed after 1 s"
    assert "HPSEARCH_RESUME" in found.finding("killed").mend


@pytest.mark.slow
def test_a_trainer_that_hears_no_command_and_saves_nothing(checked):
    space = {"study": "deaf", "trainer": "python:deaf:Deaf", "resources": {"device": "cpu"}}
    found = checked(DEAF, file="deaf.py", space=space)
    assert [one.name for one in found.failed] == ["resumes", "stops", "killed"]
    assert found.finding("stops").line == "it went on for 4 evaluations, to its end"
    assert "handle.command()" in found.finding("stops").mend


@pytest.mark.slow
def test_a_trainer_of_ones_own(checked):
    fit = {"degree": {"low": 1, "high": 6}, "learning_rate": {"low": 0.01, "high": 0.5, "log": True}}
    space = {"study": "curves", "trainer": "python:polynomial:Polynomial", "fit": fit, "resources": {"device": "cpu"}}
    found = checked(POLYNOMIAL, file="polynomial.py", space=space)
    assert found.ok, found.failed
    assert set(found.params) == {"degree", "learning_rate"}


def grouped(checked, code, **options):
    """The finding of a trainer that trains up to three trials together."""
    fit = {"degree": {"choices": [2]}, "learning_rate": {"low": 0.01, "high": 0.5, "log": True}}
    resources = {"device": "cpu", "trials_per_worker": 3}
    module = f"polynomials_{hashlib.sha256(code.encode()).hexdigest()[:8]}"  # this process imports each code once
    space = {"study": "curves", "trainer": f"python:{module}:Polynomials", "fit": fit, "resources": resources}
    return checked(code, file=f"{module}.py", space=space, **options)


def test_trials_that_one_worker_trains_together_have_the_curves_that_they_have_alone(checked):
    found = grouped(checked, POLYNOMIALS)
    assert found.ok, found.failed
    assert (
        found.trainings == 12
    )  # as ever 8, another config alone, two in a group (the third has another shape), resumed
    assert found.finding(GROUP).line == (
        "trials trained together have the curves that they have alone; "
        "one of them pauses, and resumes, without the others"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (
            "task.config.fit.learning_rate for task in",
            "config.fit.learning_rate for task in",
            "differs from the same alone",
        ),
        ("(config.fit.degree, config.seed)", "(config.fit.degree,)", "3 trained together differs from the same alone"),
        (
            "or task.handle.command() is not Command.CONTINUE:",
            "or task.handle.command() is None:",
            "told to pause goes on",
        ),
        ("save_state(task.config, task.handle, state)", "pass", "does not save its state: it starts anew"),
        ("while running:", "while running or 1 / 0:", "together, one failed: ZeroDivisionError"),
    ],
)
def test_trials_that_are_mixed_up_in_a_group(checked, right, wrong, said):
    """The first one's rate or data for all; no command; no state; an error of the group."""
    assert POLYNOMIALS.count(right) == 1
    found = grouped(checked, POLYNOMIALS.replace(right, wrong))
    assert [one.name for one in found.failed] == [GROUP]
    assert said in found.finding(GROUP).line
    assert "trials_per_worker: 1" in found.finding(GROUP).not_promised


@pytest.mark.slow
def test_a_study_on_ray_is_told_what_was_not_checked(checked):
    space = {"study": "mine", "train": "./mine.py:train", "resources": {"device": "cpu", "launcher": "ray"}}
    found = checked(GOOD, space=space, quick=True)
    assert found.ok
    assert found.notes == (suite.ON_RAY,)


def test_a_study_that_pauses_its_trials_says_what_that_costs(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    space = {"train": "./mine.py:train", "search": {"pruner": {"name": "promotion"}}, "config": {"lr": 1.0}}
    found = fails("resumes", "seen", kind="function")
    paused = suite._in_this_study(found, Experiment.of({"study": "a", **space}, base=tmp_path))
    assert paused.not_promised.endswith("its time so far is lost; this study's pruner, promotion, pauses most trials")
    other = Experiment.of({"study": "a", **space, "search": {}}, base=tmp_path)
    assert suite._in_this_study(found, other) == found


@pytest.mark.slow
def test_a_function_that_starts_ranks(checked):
    """The one of the page, with two processes on a CPU; it saves nothing."""
    space = {"study": "ranks", "train": "./two_ranks.py:train", "config": {"lr": 0.1, "steps": 20}}
    code = block("own_training.md", "# two_ranks.py")
    found = checked(code, file="two_ranks.py", space={**space, "resources": {"device": "cpu"}}, quick=True)
    assert found.finding("evaluations").line == "4 evaluations with val/loss in a whole training"
    assert [one.name for one in found.failed] == ["resumes"], found.failed


@pytest.mark.slow
def test_our_own_trainer(corpus_files, tmp_path):
    files = {"train": "data/train.txt", "valid": "data/valid.txt"}
    found = hpsearch.check(
        {
            "study": "ours",
            "data": {"text": {"task": "text", "files": files}},
            "tokenizer": {"kind": "bytes"},
            "model": {"n_layers": {"low": 1, "high": 2}, "width": 16, "n_heads": 2, "context": 32, "dropout": 0.1},
            "training": {"epochs": {"low": 2, "high": 4}, "batch_size": 4},
            "resources": {"device": "cpu"},
        },
        base=tmp_path,
        home=tmp_path / "home",
        progress=False,
    )
    assert found.ok, found.failed
    assert not (tmp_path / "home").exists()
    assert found.params == {"n_layers": 1, "epochs": 2}  # the smallest
