"""A pretrained encoder in real processes: searched, killed with -9, resumed, trained, read by transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import transformers

from hpsearch.journal.history import History
from tests.cli.processes import descendants, end, events, hpsearch, started, wait_for
from tests.faults.nemesis import is_worker, kill
from tests.trainers.huggingface import tiny

SPACE = """
study: tuned
model:
  pretrained: encoder
  context: 32
  tuning: {choices: [full, {tuning: lora, lora_rank: {low: 2, high: 4}}]}
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  batch_size: 8
  epochs: 6
evaluation: {times: 6}
objective: {metric: val/f1_macro}
data:
  reviews: {task: classification, files: labelled.jsonl}
budget: {trials: 3}
search: {sampler: random, pruner: none, confirm: false}
resources: {device: cpu, workers: 1}
"""
RUN = ("run", "space.yaml", "--home", "home")


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    tiny.checkpoint("encoder", folder / "encoder")
    tiny.labelled(folder / "labelled.jsonl", 200)
    (folder / "space.yaml").write_text(SPACE)
    return folder


def curves(folder: Path) -> dict[int, object]:
    """Trial number -> outcome and metrics."""
    trials = History.of(events(folder / "home/tuned/journal.jsonl")).trials.values()
    return {t.number: (t.outcome, [(i, e.metrics) for i, e in sorted(t.evaluations.items())]) for t in trials}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = made(tmp_path_factory.mktemp("undisturbed"))
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder


@pytest.mark.slow
def test_a_study_that_was_killed_comes_to_what_an_undisturbed_one_does(undisturbed, tmp_path) -> None:
    folder = made(tmp_path / "killed")
    process = started(*RUN, cwd=folder)
    try:
        wait_for(lambda: len(events(folder / "home/tuned/journal.jsonl", "evaluation")) >= 8)
    finally:
        end(process)
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert curves(folder) == curves(undisturbed)


@pytest.mark.slow
def test_a_killed_study_resumes_where_its_checkpoint_was_moved_and_not_on_other_weights(undisturbed, tmp_path) -> None:
    folder = made(tmp_path / "moved")
    process = started(*RUN, cwd=folder)
    try:
        wait_for(lambda: len(events(folder / "home/tuned/journal.jsonl", "evaluation")) >= 8)
    finally:
        end(process)
    (folder / "encoder").rename(tmp_path / "mounted")
    tiny.checkpoint("encoder", folder / "encoder", seed=1)
    refused = hpsearch(*RUN, cwd=folder)
    assert refused.returncode == 2
    assert "\n  model.pretrained: contents " in refused.stderr
    (folder / "space.yaml").write_text(SPACE.replace("pretrained: encoder", "pretrained: ../mounted"))
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert curves(folder) == curves(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "all"])
def test_kills_at_random_moments_change_no_bit(undisturbed, tmp_path, victim) -> None:
    """kill -9 of a worker, which the driver replaces, or of the driver with its workers, after some evaluation."""
    folder, after = made(tmp_path / victim), random.randint(1, 16)
    process = started(*RUN, cwd=folder)
    try:
        wait_for(lambda: len(events(folder / "home/tuned/journal.jsonl", "evaluation")) >= after)
        found = descendants(process.pid)
        for pid in found if victim == "all" else filter(is_worker, found):
            kill(pid)
        if victim == "worker":
            process.wait(timeout=600)
    finally:
        end(process)
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert curves(folder) == curves(undisturbed), after


@pytest.mark.slow
def test_the_winner_is_trained_again_tested_and_answers_in_a_pipeline(undisturbed) -> None:
    folder = undisturbed
    trained = hpsearch("train", "home/tuned/best.yaml", "-o", "model", "--home", "home", cwd=folder)
    assert (trained.returncode, trained.stderr) == (0, ""), trained.stdout
    metrics = json.loads((folder / "model/metrics.json").read_text())
    assert metrics["test/f1_macro"] > 0.3
    pipeline = transformers.pipeline("text-classification", model=str(folder / "model"), device="cpu")
    assert pipeline("the cat runs good")[0]["label"] in tiny.LABELS


@pytest.mark.slow
def test_the_other_commands_know_such_a_study(undisturbed) -> None:
    for command in (("show", "tuned"), ("plan", "space.yaml"), ("explain", "model.tuning", "--trainer", "huggingface")):
        home = () if command[0] == "explain" else ("--home", "home")
        done = hpsearch(*command, *home, cwd=undisturbed)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    schema = hpsearch("schema", "--trainer", "huggingface", cwd=undisturbed)
    assert "lora_rank" in json.loads(schema.stdout)["properties"]["model"]["properties"]
