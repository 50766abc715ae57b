"""What docs/own_training.md prints, executed: the script as it is, the function, and nanoGPT's space on a stub."""

import pytest
import torch
from safetensors.torch import load_file

from hpsearch.contract import WorkerSettings
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.space.experiment import Experiment
from tests.documents import block
from tests.searching import go

PAGE = "own_training.md"
GPUS = "resources: {device: cuda, gpus_per_trial: 2}\n"  # in the space of two ranks

# What nanoGPT's train.py takes and prints; its model is a curve. (Its options have the types of their defaults.)
NANOGPT = """
import ast, os, pickle, sys
options = dict(out_dir="out", learning_rate=6e-4, dropout=0.0, batch_size=12, max_iters=600000, lr_decay_iters=600000,
               eval_interval=2000, always_save_checkpoint=True, init_from="scratch")
for argument in sys.argv[1:]:
    if "=" not in argument:
        print(f"Overriding config with {argument}:")
        continue
    key, value = argument.removeprefix("--").split("=")
    try:
        value = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        pass
    assert type(value) == type(options[key]), argument
    options[key] = value
globals().update(options)
iter_num = 0
if init_from == "resume":
    print(f"Resuming training from {out_dir}")
    with open(os.path.join(out_dir, "ckpt.pt"), "rb") as file:
        iter_num = pickle.load(file)
while True:
    loss = 4.2 - min(1, learning_rate * 100) * iter_num / 1000 + dropout / 10
    if iter_num % eval_interval == 0:
        print(f"step {iter_num}: train loss {loss:.4f}, val loss {loss + 0.1:.4f}")
        if iter_num > 0:
            print(f"saving checkpoint to {out_dir}")
            with open(os.path.join(out_dir, "ckpt.pt"), "wb") as file:
                pickle.dump(iter_num, file)
    if iter_num % 10 == 0:
        print(f"iter {iter_num}: loss {loss:.4f}, time 20.51ms, mfu -100.00%")
    iter_num += 1
    if iter_num > max_iters:
        break
"""


@pytest.fixture
def searched(tmp_path):
    """Searches a space of the page with a few trials, in this process."""

    def run(name, trials, *, stop_after=None, home="home", on_cpu=""):
        text = block(PAGE, f"# {name}").replace("budget: {trials: 20}", "budget: {trials: 3}")
        text = text.replace("{gpus}", on_cpu).replace(GPUS, "") if on_cpu else text
        experiment = Experiment.loads(text, path=tmp_path / name).override(trials=trials)
        experiment.trainer.check(experiment.space_file)
        settings = WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=tmp_path)
        options = {} if stop_after is None else {"stop_after": stop_after}
        launcher = InlineLauncher(settings, trainer=experiment.trainer.name)
        return go(experiment, tmp_path / home, launcher=launcher, **options)[0].history

    return run


def curves(history):
    return [[(e.index, e.step, e.metrics) for e in trial.evaluations.values()] for trial in history.trials.values()]


def test_the_script_by_its_command(searched, tmp_path):
    (tmp_path / "my_train.py").write_text(block(PAGE, "# my_train.py"))
    history = searched("command.yaml", 2)
    assert {trial.outcome for trial in history.trials.values()} <= {"completed", "diverged"}  # 1.0 is a high rate
    first, second = ([step for _, step, _ in curve] for curve in curves(history))
    assert first == list(range(1, 11))
    assert second == first[: len(second)]


def test_the_function_and_that_it_resumes_to_the_same_curve(searched, tmp_path):
    (tmp_path / "my_function.py").write_text(block(PAGE, "# my_function.py"))
    undisturbed = searched("function.yaml", 2, home="undisturbed")
    stopped = searched("function.yaml", 2, stop_after=3)
    assert [trial.status for trial in stopped.trials.values()] == ["interrupted"]
    resumed = searched("function.yaml", 2)
    assert resumed.trials[0].attempt == 2
    assert curves(resumed) == curves(undisturbed)
    assert all(curve[-1][0] == 20 for curve in curves(resumed))
    for number, curve in enumerate(curves(resumed)):
        saved = load_file(tmp_path / f"home/checkpoints/{number:04}/files/model.safetensors")
        x = torch.linspace(-1, 1, 200)[:, None]
        y = torch.tanh(x @ saved["0.weight"].T + saved["0.bias"]) @ saved["2.weight"].T + saved["2.bias"]
        best = min(metrics["val/loss"] for _, _, metrics in curve)
        assert ((y - torch.sin(3 * x)) ** 2).mean().item() == pytest.approx(best)


def test_nanogpt_is_searched_unchanged_and_resumes_from_its_checkpoint(searched, tmp_path):
    (tmp_path / "train.py").write_text(NANOGPT)
    undisturbed = searched("nanogpt.yaml", 2, home="undisturbed")
    stopped = searched("nanogpt.yaml", 2, stop_after=8)
    assert [trial.status for trial in stopped.trials.values()] == ["interrupted"]
    resumed = searched("nanogpt.yaml", 2)
    assert curves(resumed) == curves(undisturbed)
    assert [step for _, step, _ in curves(resumed)[0]] == list(range(0, 1001, 50))
    (log,) = (tmp_path / "home").rglob("0000/log.txt")
    assert "Resuming training from" in log.read_text()


@pytest.mark.slow
def test_two_ranks_of_torchrun_train_a_trial_on_a_cpu(searched, tmp_path):
    """As the page says: the number of ranks in place of {gpus}, and without `gpus_per_trial`."""
    assert GPUS in block(PAGE, "# ranks.yaml")
    (tmp_path / "my_ranks.py").write_text(block(PAGE, "# my_ranks.py"))
    history = searched("ranks.yaml", 2, on_cpu="2")
    assert {trial.outcome for trial in history.trials.values()} <= {"completed", "diverged"}, history.trials
    first = curves(history)[0]
    assert [step for _, step, _ in first] == list(range(5, 51, 5))[: len(first)]
    assert all(set(metrics) == {"val/loss"} for _, _, metrics in first)
