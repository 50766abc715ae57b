"""The lines below the closing table."""

import pytest

from hpsearch.cli.closing import closing, why_fruitless
from hpsearch.cli.terminal import RunTerminal
from hpsearch.events import Interrupted, Opened, Searched, Shipped
from hpsearch.home.home import Home
from hpsearch.launchers import devices
from hpsearch.outcome import Outcome
from hpsearch.results.evidence import idle_gpus
from tests.search.test_loop import workers
from tests.searching import Scripted, ask, evaluation, experiment, go, opened, says
from tests.simulated_gpus import GIB, SimulatedGpus, slots

QUIET = "search: {pruner: none, overfitting: false}\n"


def lines(study, wanted):
    return list(closing(study.history, wanted, more="hpsearch extend space.yaml"))


def test_hours_that_end_before_an_evaluation_say_what_to_change(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.journal.close()
    found = lines(study, wanted)
    assert found[0].startswith("no winner yet: no trial was evaluated in ")
    assert found[0].endswith("allow more hours, a smaller model or more evaluations (evaluation.times)")
    [spent] = found[1:]
    command, _, hours = spent.partition(" --hours ")
    assert command.endswith(" of 0 min; trials interrupted: 1; to add as much again: hpsearch extend space.yaml")
    assert float(hours) == pytest.approx(study.history.seconds / 3600, rel=0.05)  # as much again as was spent


def test_a_winner_that_has_not_ended_is_named_as_such(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    for index, loss in enumerate([3.0, 2.5, 2.75], start=1):
        study.report(0, evaluation(index, loss))
    study.interrupt(0)
    study.journal.close()
    first, second = lines(study, wanted)
    assert first == (
        "the winner has not ended and counts by its best evaluation so far: "
        "trial 0 (interrupted), val/loss 2.5000 at epoch 0.1"
    )
    assert float(second.partition(" --hours ")[2]) == pytest.approx(study.history.seconds / 3600, rel=0.05)


def test_a_study_whose_trials_all_failed_says_the_most_common_cause_and_no_more(tmp_path, monkeypatch):
    wanted = experiment("budget: {trials: 4}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    reasons = [(Outcome.DIVERGED, "nan"), (Outcome.FAILED, "rare"), *[(Outcome.FAILED, "ValueError: a bug")] * 2]
    for outcome, reason in reasons:
        study.finish(ask(study), outcome, reason)
    study.journal.close()
    assert study.history.is_fruitless
    assert lines(study, wanted) == ["spent: 4 of 4 trials"]
    said = "no winner: no trial has a value (3 failed, 1 diverged); trial 2: ValueError: a bug"
    assert why_fruitless(study.history, tmp_path / "home") == said
    (tmp_path / "home/checkpoints/0002").mkdir(parents=True)
    (tmp_path / "home/checkpoints/0002/error.txt").write_text("Traceback")
    monkeypatch.chdir(tmp_path)
    assert why_fruitless(study.history, tmp_path / "home") == f"{said}; see home/checkpoints/0002/error.txt"


def test_a_study_of_which_nothing_but_divergence_came_names_the_reason(tmp_path):
    study = opened(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home")
    study.finish(ask(study), Outcome.PRUNED, "behind")
    study.finish(ask(study), Outcome.OUT_OF_MEMORY, "out of memory: 8 GiB")
    study.journal.close()
    said = "no winner: no trial has a value (1 pruned, 1 out of memory); trial 1: out of memory: 8 GiB"
    assert why_fruitless(study.history, tmp_path / "home") == said


def test_a_study_with_a_trial_that_has_not_ended_is_not_fruitless(tmp_path):
    study = opened(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home")
    assert not study.history.is_fruitless
    study.finish(ask(study), Outcome.FAILED, "why")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.journal.close()
    assert not study.history.is_fruitless


def test_a_spent_budget_of_trials_says_how_to_continue(tmp_path):
    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    script = lambda task: says(task, 3.0, 2.0)  # noqa: E731
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert not any(isinstance(event, Interrupted) for event in seen)
    assert lines(study, wanted) == ["spent: 2 of 2 trials; to add as much again: hpsearch extend space.yaml --trials 2"]
    roomy = experiment("budget: {trials: 3, device_hours: 1, price_per_hour: 2, money: 1}\n" + QUIET)
    study.history.devices.seconds = 1800.0
    assert lines(study, roomy) == [
        "spent: 2 of 3 trials, 0.5 of 1 device-hour, money 1 of 1; to add as much again: "
        "hpsearch extend space.yaml --money 1"
    ]


def test_without_an_evaluation_there_is_no_table(tmp_path, capsys):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.interrupt(0)
    study.journal.close()
    board = RunTerminal(Home(tmp_path / "a home"), tmp_path / "my space.yaml")
    board.show(Opened(wanted, study.history, tmp_path, data=[], workers=[], waiting=0))
    board.show(Searched(study.history, stopped=False, idle=False))
    board.show(Shipped(None, {}))
    out = capsys.readouterr().out
    assert any(line.startswith("toy: 1 interrupted; ") for line in out.splitlines())
    assert "params" not in out
    assert f"hpsearch extend '{tmp_path}/my space.yaml' --home '{tmp_path}/a home' --hours " in out


def test_paused_trials_that_cannot_win_were_given_up(tmp_path):
    """Unlike those of a policy of one's own, or of a search that has not ended."""
    wanted = experiment("budget: {trials: 8}\nsearch: {pruner: promotion, overfitting: false, confirm: false}\n")
    study, _ = go(wanted, tmp_path / "home")
    paused = sum(trial.paused for trial in study.history.trials.values())
    assert paused > 0
    line = f"trials resumed no further: {paused} (paused); by their curves, none would beat the winner"
    assert lines(study, wanted)[0] == line
    other = experiment("budget: {trials: 8}\nsearch: {pruner: none, overfitting: false, confirm: false}\n")
    assert lines(study, other)[0] == f"trials paused: {paused}; each counts by its best evaluation so far"


def closed_on_gpus(folder, *, busy=lambda index: 20.0, needs=GIB, trials=4, resources="", n_gpus=1):
    """The lines after a search on simulated GPUs, one trial on each."""
    names = [f"cuda:{i}" for i in range(n_gpus)]
    launcher = SimulatedGpus(slots(folder, *names), lambda trial, config: needs, size=80 * GIB, busy=busy)
    wanted = experiment(f"budget: {{trials: {trials}}}\n{QUIET}{resources}")
    study, _ = go(wanted, folder / "home", launcher=launcher)
    return [line for line in lines(study, wanted) if idle_gpus.REMEDY in line]


@pytest.fixture
def many_cores(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 16)


@pytest.mark.usefixtures("many_cores")
def test_gpus_that_were_idle_with_one_trial_each_could_have_had_more(tmp_path):
    busy = {1: 100.0, 2: 10.0, 3: 10.0, 4: 40.0}  # the first: while kernels are loaded
    assert closed_on_gpus(tmp_path, busy=busy.__getitem__) == [
        "with one trial at a time, a GPU ran kernels at most 20% of the time, with at most 1 of 80 GiB in use; "
        "resources: {trials_per_gpu: auto} trains several at once (the quickstart on an H200: 35 s instead of 100)"
    ]


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(
    "given",
    [
        {"busy": lambda index: 60.0},
        {"busy": None},  # no NVML
        {"needs": 30 * GIB},  # two do not fit
        {"trials": 1},
        {"trials": 2, "n_gpus": 2},  # one for each
        {"resources": "resources: {trials_per_gpu: 2}\n"},
        {"resources": "resources: {workers: 1}\n"},
        {"resources": "resources: {launcher: inline}\n"},
    ],
    ids=["busy", "unknown", "large", "one trial", "one each", "shared", "workers", "inline"],
)
def test_no_sharing_is_advised_without_measured_reasons(tmp_path, given):
    assert closed_on_gpus(tmp_path, **given) == []


def test_no_sharing_is_advised_where_there_is_a_core_for_one_worker_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 1)
    assert closed_on_gpus(tmp_path) == []
