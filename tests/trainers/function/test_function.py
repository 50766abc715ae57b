"""The trainer of a user's own function: what it yields, how it stops and resumes, and hostile functions."""

import logging
import os
import sys

import pytest

from hpsearch.contract import Command
from hpsearch.errors import ConfigError
from tests.trainers.own_code import losses
from tests.trainers.own_code import written as written_as

STEPS = """
def train(config, trial):
    state = trial.load() or {"step": 0, "x": config["start"]}
    for step in range(state["step"] + 1, 9):
        state = {"step": step, "x": state["x"] * config.get("decay", 0.5)}
        BEFORE
        yield {"val/loss": state["x"], "step": step, "steps": 8}
        AFTER
"""
YIELDS_THEN_SAVES = STEPS.replace("BEFORE", "").replace("AFTER", "trial.save(state)")
SAVES_THEN_YIELDS = STEPS.replace("AFTER", "").replace("BEFORE", "trial.save(state)")
NEVER_SAVES = STEPS.replace("BEFORE", "").replace("AFTER", "")
COUNTS = YIELDS_THEN_SAVES.replace(', "step": step, "steps": 8', "")
CONFIG = {"config": {"start": 8.0}}
WHOLE = [(i, i, 8.0 * 0.5**i) for i in range(1, 9)]  # index, step, loss; of a grid of 8


def written(tmp_path, code, **file):
    return written_as(tmp_path, code, **(CONFIG | {"evaluations": 8} | file))


# ------------------------------------------------------------------------------------------------- what it yields


def test_a_generator_is_asked_to_its_end(tmp_path):
    assert written(tmp_path, NEVER_SAVES).losses() == WHOLE


def test_progress_puts_reports_on_the_grid_and_the_others_between_them(tmp_path):
    code = "def train(config, trial):\n    for i in range(1, 101):\n"
    code += "        yield {'val/loss': 1.0 / i, 'train/loss': 2.0 / i, 'step': i, 'progress': i / 100}\n"
    found = list(written_as(tmp_path, code).train())
    assert [(one.index, one.step, one.progress) for one in found] == [(i, 5 * i, i / 20) for i in range(1, 21)]
    assert [point.step for point in found[1].points] == [6, 7, 8, 9, 10]
    assert found[1].points[-1].metrics == found[1].metrics == {"val/loss": 0.1, "train/loss": 0.2}


def test_the_last_report_counts_wherever_it_stands(tmp_path):
    code = "def train(config, trial):\n    for i in range(1, 8):\n        yield {'val/loss': -i, 'progress': i / 100}\n"
    assert losses(written_as(tmp_path, code).train()) == [(1, 1, -5.0), (2, 2, -7.0)]


def test_without_progress_the_reports_are_counted(tmp_path):
    code = "def train(config, trial):\n    yield {'val/loss': 3}\n    yield {'val/loss': 2}\n"
    found = list(written_as(tmp_path, code).train())
    assert [(one.index, one.step, one.progress) for one in found] == [(1, 1, 0.0), (2, 2, 0.0)]
    found = list(written_as(tmp_path, code, evaluations=4).train())
    assert [(one.index, one.progress) for one in found] == [(1, 0.25), (2, 0.5)]


def test_what_is_reported_twice_for_a_step_counts_once(tmp_path):
    lines = ("for step in (1, 1, 2, 2):", "    yield {'val/loss': step, 'step': step}")
    code = "\n    ".join(("def train(config, trial):", *lines))
    assert losses(written_as(tmp_path, code).train()) == [(1, 1, 1.0), (2, 2, 2.0)]


def test_reports_without_the_objective_are_points_of_the_curves(tmp_path):
    code = """
def train(config, trial):
    for step in range(1, 4):
        yield {"train/loss": 1 / step, "step": step}
        trial.log_metrics({"grad_norm": step}, step=step)
    yield {"val/loss": 0.5, "step": 3, "epoch": 1.5}
"""
    (found,) = written_as(tmp_path, code).train()
    assert (found.step, found.epoch, found.metrics) == (3, 1.5, {"val/loss": 0.5})
    assert [point.step for point in found.points] == [1, 1, 2, 2, 3, 3]
    assert found.points[-1].metrics == {"grad_norm": 3.0}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return {'val/loss': 0.25}", [(1, 20, 0.25)]),
        ("return 0.25", [(1, 20, 0.25)]),
        ("return numpy.float32(0.25)", [(1, 20, 0.25)]),
        ("return torch.tensor(0.25, requires_grad=True)", [(1, 20, 0.25)]),
        ("return [{'val/loss': 2}, {'val/loss': 1}]", [(1, 1, 2.0), (2, 2, 1.0)]),
        ("trial.report({'val/loss': 2}, step=5); trial.report(step=6, **{'val/loss': 1})", [(1, 5, 2.0), (2, 6, 1.0)]),
    ],
)
def test_a_plain_function_returns_or_reports(tmp_path, body, expected):
    found = losses(written_as(tmp_path, f"import numpy, torch\ndef train(config, trial):\n    {body}\n").train())
    assert [loss for _, _, loss in found] == [loss for _, _, loss in expected]


def test_it_says_the_peak_of_its_memory(tmp_path):
    code = "def train(config, trial):\n    held = bytearray(b'x') * (200 << 20)\n    return 1\n"
    (found,) = written_as(tmp_path, code).train()
    assert found.peak_memory > 200 << 20
    assert found.device_memory == 0


def test_a_function_of_the_config_alone(tmp_path):
    assert [loss for _, _, loss in written(tmp_path, "def train(config):\n    return config['start']\n").losses()] == [
        8
    ]


def test_it_gets_seed_device_threads_and_a_folder(tmp_path):
    code = """
import random
def train(config, trial):
    (trial.folder / "model.txt").write_text("weights")
    assert (trial.seed, trial.device, trial.threads, trial.number) == (5, "cpu", 1, 0)
    assert config == {"start": 8.0, "inner": {"list": [1, 2], "null": None}}
    return random.random()
"""
    mine = written(tmp_path, code, seed=5, config={"start": 8.0, "inner": {"list": [1, 2], "null": None}})
    first = mine.losses()
    assert first == mine.losses()
    assert (tmp_path / "home/0000/files/model.txt").read_text() == "weights"


def test_metrics_of_the_test_set_are_for_the_final_training_alone(tmp_path):
    lines = ("yield {'val/loss': 1, 'test/loss': 3}", "yield {'val/loss': 0, 'test/loss': 2}")
    code = "\n    ".join(("def train(config, trial):", *lines))
    mine = written_as(tmp_path, code)
    assert [set(one.metrics) for one in mine.train()] == [{"val/loss"}] * 2
    assert mine.trainer.test(mine.config, mine.handle()).metrics == {"test/loss": 2.0}


# ---------------------------------------------------------------------------------------------- stopping and resuming


@pytest.mark.parametrize("code", [YIELDS_THEN_SAVES, SAVES_THEN_YIELDS], ids=["yields first", "saves first"])
def test_a_pause_at_any_evaluation_resumes_to_the_same_curve(tmp_path, code):
    for index in range(1, 8):
        folder = tmp_path / str(index)
        folder.mkdir()
        mine = written(folder, code)
        assert mine.up_to(index, Command.PAUSE) == WHOLE[:index]
        assert mine.losses() == WHOLE


@pytest.mark.parametrize(
    "code", [YIELDS_THEN_SAVES, SAVES_THEN_YIELDS, COUNTS], ids=["yields first", "saves first", "counts"]
)
def test_a_kill_after_any_evaluation_resumes_to_the_same_curve(tmp_path, code):
    """The training is left where it is, as kill -9 leaves it, and every file that it has written is there."""
    for index in range(1, 8):
        folder = tmp_path / str(index)
        folder.mkdir()
        mine = written(folder, code)
        training = mine.train()
        assert losses(next(training) for _ in range(index)) == WHOLE[:index]
        assert mine.losses() == WHOLE
        training.close()


def test_a_function_that_saves_nothing_starts_anew_and_says_so_once(tmp_path, caplog):
    mine = written(tmp_path, NEVER_SAVES)
    assert mine.up_to(3, Command.PAUSE) == WHOLE[:3]
    with caplog.at_level(logging.WARNING):
        assert mine.losses() == WHOLE
    assert [record.getMessage() for record in caplog.records] == [
        "the function has saved no state (trial.save): it starts anew"
    ]


def test_finish_and_close_end_it_at_a_yield_and_run_its_cleanup(tmp_path):
    code = (
        NEVER_SAVES.replace("    for step", "    try:\n     for step").replace("        ", "          ")
        + """
    finally:
        (trial.folder / "closed").touch()
"""
    )
    for command in (Command.FINISH, None):
        folder = tmp_path / str(command)
        folder.mkdir()
        mine = written(folder, code)
        if command is None:
            training = mine.train()
            next(training)
            training.close()
        else:
            assert mine.up_to(2, command) == WHOLE[:2]
        assert (folder / "home/0000/files/closed").exists()


def test_a_function_that_reports_is_stopped_inside_its_loop(tmp_path):
    code = """
def train(config, trial):
    try:
        for step in range(1, 100):
            try:
                trial.report({"val/loss": 1 / step}, step=step)
            except Exception:
                pass
    finally:
        (trial.folder / "stopped").write_text(str(step))
"""
    mine = written_as(tmp_path, code)
    assert [index for index, _, _ in mine.up_to(3, Command.FINISH)] == [1, 2, 3]
    assert (tmp_path / "home/0000/files/stopped").read_text() == "3"


def test_the_previous_state_is_used_if_the_last_one_is_damaged(tmp_path, caplog):
    mine = written(tmp_path, YIELDS_THEN_SAVES)
    assert mine.up_to(4, Command.PAUSE) == WHOLE[:4]
    path = tmp_path / "home/0000/last.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with caplog.at_level(logging.WARNING):
        assert mine.losses() == WHOLE
    assert "does not match its checksum" in caplog.text


def test_what_was_logged_and_tested_before_the_state_is_not_lost(tmp_path):
    code = """
def train(config, trial):
    step = trial.load() or 0
    while step < 4:
        step += 1
        trial.log_metrics({"x": step}, step=step)
        if step == 1:
            yield {"val/loss": 2, "test/loss": 7, "step": 1}
        trial.save(step)
    yield {"val/loss": 1, "step": 5}
"""
    mine = written_as(tmp_path, code)
    heard = []

    def command():
        heard.append(1)
        return Command.PAUSE if len(heard) > 4 else Command.CONTINUE

    assert [one.index for one in mine.train(command)] == [1]
    *_, last = mine.train()
    assert [point.step for point in last.points] == [2, 3, 4]
    assert mine.trainer.test(mine.config, mine.handle()).metrics == {"test/loss": 7.0}


# ------------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("yield {'val/loss': 'low'}", TypeError, "val/loss: 'low' is not a number"),
        ("yield 0.5", TypeError, "a float is no report of metrics; allowed: a dict such as"),
        ("yield", TypeError, "None is no report of metrics"),
        ("yield {3: 0.5}", TypeError, "the name 3 of a metric is no text"),
        ("yield {'val/loss': [1, 2]}", TypeError, "val/loss: [1, 2] is not a number"),
        ("yield {'val/loss': 1, 'step': -1}", ValueError, "step is -1; allowed: a finite number from 0"),
        ("yield {'val/loss': 1, 'progress': 40}", ValueError, "progress is 40; allowed: the share of the training"),
        ("yield {'val/loss': 1, 'step': 9}; yield {'val/loss': 1, 'step': 3}", ValueError, "step 3 after step 9"),
        ("pass", ValueError, "the training has ended without val/loss, the objective; it reported: nothing"),
        ("yield {'acc': 1}", ValueError, "ended without val/loss, the objective; it reported: acc"),
        ("return 'done'", TypeError, "is no report of metrics"),
        ("trial.save({'model': trial})", TypeError, "state['model'] is a FunctionTrial, which cannot be stored"),
        ("sys.exit(3)", SystemExit, "3"),
        ("1 / 0; yield", ZeroDivisionError, "division by zero"),
    ],
)
def test_mistakes_of_a_function_are_errors_of_one_line(tmp_path, body, error, said):
    mine = written_as(tmp_path, f"import sys\ndef train(config, trial):\n    {body}\n")
    with pytest.raises(error) as raised:
        list(mine.train())
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_spelling_of_the_objective_ends_the_search_at_its_first_report(tmp_path):
    from hpsearch.errors import UserError

    mine = written_as(tmp_path, "def train(config, trial):\n    yield {'val_loss': 1}\n")
    with pytest.raises(UserError, match="it reports 'val_loss', but the objective is 'val/loss': report that name, or"):
        list(mine.train())


@pytest.mark.parametrize(
    ("reported", "remedy"),
    [
        ("eval_loss", "; if eval_loss is meant, write objective: {metric: eval_loss} in the space file"),
        ("validation loss", "; if validation loss is meant, write objective: {metric: validation loss} in the space "),
        ("acc", "; objective: {metric: NAME} in the space file names it"),
        ("value", "; objective: {metric: NAME} in the space file names it"),
        ("test/loss", "it reported: test/loss"),  # never an objective
    ],
)
def test_a_training_without_the_objective_says_how_another_metric_is_named(tmp_path, reported, remedy):
    mine = written_as(tmp_path, f"def train(config, trial):\n    yield {{'{reported}': 1}}\n")
    with pytest.raises(ValueError, match="the training has ended without val/loss, the objective") as raised:
        list(mine.train())
    assert remedy in str(raised.value)


def test_a_script_that_runs_hpsearch_where_it_is_imported_is_told_of_the_guard(tmp_path):
    """As a worker meets it whose driver is the script: the study is in use."""
    code = "from hpsearch import StudyBusy\ndef train(config):\n    pass\nraise StudyBusy('study x is being run')\n"
    with pytest.raises(ConfigError, match=r"since it runs hpsearch itself \(study x .*if __name__ == '__main__':$"):
        list(written_as(tmp_path, code).train())


def test_a_loss_that_is_no_number_is_an_evaluation(tmp_path):
    (found,) = written_as(tmp_path, "def train(config, trial):\n    return float('nan')\n").train()
    assert str(found.metrics["val/loss"]) == "nan"


def test_what_it_prints_goes_to_its_log(tmp_path, capsys):
    code = """
import sys
def train(config, trial):
    print("step 1 学习")
    yield {"val/loss": 1}
    print("to stderr", file=sys.stderr)
    print(*sys.argv)
"""
    mine = written_as(tmp_path, code)
    arguments = list(sys.argv)
    for _ in mine.train():
        print("the driver prints")
    assert sys.argv == arguments
    assert capsys.readouterr().out == "the driver prints\n"
    first, second, third = (tmp_path / "home/0000/log.txt").read_text().splitlines()
    assert (first, second) == ("step 1 学习", "to stderr")
    assert third.endswith(".py")


def test_a_log_has_a_bound(tmp_path):
    code = "def train(config, trial):\n    for _ in range(400):\n        print('x' * 10000)\n    return 1\n"
    list(written_as(tmp_path, code).train())
    assert sum(path.stat().st_size for path in (tmp_path / "home/0000").glob("log*")) <= 2 << 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of Python, about such a generator
@pytest.mark.parametrize("caught", ["BaseException", "GeneratorExit"])
def test_a_function_that_goes_on_regardless_is_left(tmp_path, caplog, caught):
    yields = f"""
def train(config, trial):
    while True:
        try:
            yield {{"val/loss": 1}}
        except {caught}:
            pass
"""
    reports = yields.replace("yield {", "trial.report({").replace(": 1}", ": 1})")
    for code in (yields, reports) if caught == "BaseException" else (yields,):
        folder = tmp_path / str(hash(code))
        folder.mkdir()
        mine = written_as(folder, code)
        with caplog.at_level(logging.WARNING):
            assert len(mine.up_to(2, Command.PAUSE)) == 2
        assert caplog.records


def test_a_report_from_another_thread_is_refused_there(tmp_path):
    code = """
import threading
def train(config, trial):
    caught = []
    def work():
        try:
            trial.report({"val/loss": 1})
        except RuntimeError as error:
            caught.append(str(error))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert caught[0].startswith("trial.report was called in another thread")
    return 1.0
"""
    assert [one.metrics["val/loss"] for one in written_as(tmp_path, code).train()][-1] == 1.0


def test_artifacts_are_kept_in_the_trials_folder(tmp_path):
    code = """
def train(config, trial):
    (trial.folder / "a.txt").write_text("a")
    (trial.folder / "plots").mkdir()
    (trial.folder / "plots" / "b.txt").write_text("b")
    trial.log_artifact(trial.folder / "a.txt")
    trial.log_artifact(str(trial.folder / "plots"))
    return 1.0
"""
    list(written_as(tmp_path, code).train())
    kept = tmp_path / "home/0000/artifacts"
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*.txt")) == ["a.txt", "plots/b.txt"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_of_this_name\ndef train(config, trial): ...\n", "cannot be imported (ModuleNotFoundError"),
        ("def train(a, b, c): ...\n", "it takes (a, b, c); allowed: def train(config, trial), or def train(config)"),
        ("def train(): ...\n", "it takes (); allowed: def train(config, trial)"),
        ("async def train(config, trial): ...\n", "train is async; allowed: def train(config, trial)"),
        ("train = 3\n", "train is a int; allowed: def train(config, trial)"),
        ("import sys\nsys.exit()\ndef train(config, trial): ...\n", "called sys.exit()"),
    ],
)
def test_a_function_that_cannot_be_called_is_said_in_one_line(tmp_path, code, said):
    mine = written_as(tmp_path, code)
    with pytest.raises(ConfigError) as refused:
        list(mine.train())
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_file_of_a_function_goes_with_a_study_that_is_moved(tmp_path):
    mine = written_as(tmp_path, NEVER_SAVES)
    (found,) = mine.trainer.files(mine.config.model_dump(mode="json"))
    assert os.path.basename(found) == os.path.basename(mine.config.train.partition(":")[0])
