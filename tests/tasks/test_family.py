"""The family of tasks: a registered fourth task works everywhere without other changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from hpsearch.config import Column
from hpsearch.data.splits import Example
from hpsearch.data.token_arrays import Arrays, CorpusSet, Encoder
from hpsearch.errors import ConfigError
from hpsearch.home.home import Home
from hpsearch.preflight.preparation import prepare, settings_for
from hpsearch.space.experiment import Experiment
from hpsearch.tasks import TASKS, EvaluationConfig, Metric, TaskSet, metric_named, register
from hpsearch.tasks.measure import Measure, Model, Scores, examples_sample
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus
from hpsearch.training.loop import train
from tests.training.tiny import handle

COPIES = "{task: copy, files: {train: data/words.csv}, text: word}"


class CopySet(TaskSet):
    """Texts to be repeated."""

    METRICS: ClassVar[tuple[Metric, ...]] = (Metric("copied", constant="no text is copied: train longer"),)

    task: Literal["copy"]
    text: Column = "text"

    def example_columns(self) -> dict[str, Column]:
        return {"text": self.text}

    def encode(self, examples: list[Example], encoder: Encoder) -> Arrays:
        texts = [example["text"] for example in examples]
        return encoder.pairs(texts, texts)

    def measure(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Measure:
        return Copied("copy")


@dataclass(frozen=True)
class Copied(Measure):
    """The share of texts that are copied."""

    name: str
    decodes = True

    def decode(self, model: Model) -> Scores:
        rows, outputs = model.decode()
        texts = [model.tokens.sources[i] for i in rows]  # type: ignore[union-attr]
        copied = sum(text == output for text, output in zip(texts, outputs, strict=True)) / len(rows)
        shown = [{"text": text, "output": output} for text, output in zip(texts, outputs, strict=True)]
        return Scores({"copied": copied}, examples_sample(self.name, shown), {"copied": "exact"})


@pytest.fixture
def copying(corpus_files: Path) -> Iterator[None]:
    """The task, as it is registered, and a file of words."""
    (corpus_files / "words.csv").write_text("word\n" + "\n".join("ab"[i % 2] * (i % 7 + 1) + str(i) for i in range(60)))
    register(CopySet)
    yield
    del TASKS["copy"]


def experiment(space_file: Any, body: str = "", data: str = f"{{words: {COPIES}}}") -> Experiment:
    body += "tokenizer: {kind: bytes}\nmodel: {n_layers: 1, width: 16, n_heads: 2, context: 32}\n"
    body += "training: {epochs: 1, batch_size: 16, precision: fp32}\n"
    body += "evaluation: {times: 2, max_new_tokens: 4, decode_sample: 4}\n"
    return Experiment.load(space_file(body, data=data))


def test_a_fourth_task_is_prepared_trained_and_measured(copying: None, space_file: Any, tmp_path: Path) -> None:
    prose = "{task: text, files: {train: data/train.txt, valid: data/valid.txt}}"
    data = f"{{words: {COPIES}, prose: {prose}}}"
    mine = experiment(space_file, "objective: {metric: val/copied}\n", data)
    assert (mine.objective.metric, mine.objective.direction) == ("val/copied", "maximize")
    home = Home(tmp_path / "home").make()
    prepared = prepare(mine, home, lambda what, share: None)
    assert any(line.startswith("data.words: ") for line in prepared.summary)

    config = mine.space_file.config
    settings = settings_for(mine, home, prepared, threads=1)
    corpus_set = open_corpus(config, settings).sets["words"]
    tokens = corpus_set.splits["train"]
    assert corpus_set.task == "copy"
    assert list(tokens.sources) == list(tokens.references)  # type: ignore[union-attr]

    run = handle(tmp_path)
    run.settings = settings
    evaluations = list(train(config, run))
    assert [evaluation.index for evaluation in evaluations] == [1, 2]
    metrics = evaluations[-1].metrics
    assert {"val/copied", "val/words/copied", "val/words/loss", "val/prose/perplexity", "val/loss"} <= metrics.keys()
    assert metrics["val/copied"] == metrics["val/words/copied"] <= 1
    assert evaluations[-1].signatures == {"copied": "exact"}
    assert '"output"' in (tmp_path / "trial" / "samples.json").read_text()


def test_a_fourth_task_is_known_wherever_tasks_are_named(copying: None, space_file: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be one of text, translation, classification, copy, not 'poetry'"):
        experiment(space_file, data="{words: {task: poetry, files: a}}")
    with pytest.raises(ConfigError, match=r"key 'task' is missing \(text, translation, classification or copy\)"):
        experiment(space_file, data="{words: {files: a}}")
    with pytest.raises(ConfigError, match=r"data.words.txt: unknown key; did you mean 'text'"):
        experiment(space_file, data="{words: {task: copy, files: a.csv, txt: word}}")
    with pytest.raises(ConfigError, match=r"copied is of copy, and no data set is one"):
        experiment(space_file, "objective: {metric: val/copied}\n", data="{t: {task: text, files: a.txt}}")
    assert metric_named("copied").constant == "no text is copied: train longer"


def test_a_config_of_a_fourth_task_is_the_same_when_it_is_read_again(copying: None) -> None:
    config = TrainConfig.model_validate({"data": {"words": {"task": "copy", "files": "a.csv", "text": "word"}}})
    again = TrainConfig.model_validate(config.model_dump(mode="json"))
    assert again == config
    assert again.digest() == config.digest()
    assert again.model_dump()["data"]["words"]["text"] == "word"


def test_a_name_stands_for_one_task(copying: None) -> None:
    class Other(TaskSet):
        task: Literal["copy"]

    with pytest.raises(ValueError, match="there is a task 'copy' already: CopySet"):
        register(Other)
    assert register(CopySet) is CopySet
