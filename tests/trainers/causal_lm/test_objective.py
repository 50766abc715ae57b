"""Which metrics data sets give, and which way each is better."""

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.causal_lm.objective import metrics as metrics_of
from hpsearch.training.config import TrainConfig


def metrics(tasks, *, positive=()):
    """The metrics of sets of these tasks (name -> task)."""
    data = {name: {"task": task, "files": "a.tsv"} for name, task in tasks.items()}
    data |= {name: {**data[name], "positive": "yes"} for name in positive}
    return metrics_of(TrainConfig.model_validate({"data": data}).data)


def test_each_metric_has_its_direction():
    sets = {"news": "translation", "stars": "classification"}
    known = metrics(sets)
    assert known["val/loss"] == known["val/news/bits_per_byte"] == "minimize"
    assert known["val/bleu"] == known["val/stars/f1_macro"] == known["val/accuracy"] == "maximize"
    assert "val/stars/bleu" not in known
    assert list(metrics({"r": "text"})) == ["val/loss", "val/perplexity", "val/bits_per_byte"]
    text = (
        "data:\n  news: {task: translation, files: {train: p.jsonl}, source: de, target: en}\n"
        "  stars: {task: classification, files: {train: c.tsv}}\nobjective: {metric: val/news/bleu}\n"
    )
    assert Experiment.loads(text).objective.direction == "maximize"


SETS = {
    "text": "data: {t: {task: text, files: {train: t.txt}}}\n",
    "news": "data: {news: {task: translation, files: {train: p.jsonl}}}\n",
    "mail": "data: {mail: {task: classification, files: {train: c.tsv}}}\n",
    "spam": "data: {spam: {task: classification, positive: spam, files: {train: c.tsv}}}\n",
}


@pytest.mark.parametrize(
    ("data", "metric", "direction"),
    [
        ("news", "val/ter", "minimize"),
        ("news", "val/exact_match", "maximize"),
        ("mail", "val/mcc", "maximize"),
        ("mail", "val/f1_weighted", "maximize"),
        ("spam", "val/f1", "maximize"),
        ("spam", "val/precision", "maximize"),
        ("spam", "val/recall", "maximize"),
    ],
)
def test_metrics_that_people_of_a_task_know_may_be_the_objective(data, metric, direction):
    found = Experiment.loads(SETS[data] + f"objective: {{metric: {metric}}}\n").objective
    assert (found.metric, found.direction) == (metric, direction)


@pytest.mark.parametrize(
    ("data", "metric", "reason"),
    [
        ("text", "val/bleu", r"bleu is of translation, and no data set is one"),
        ("news", "val/mcc", r"mcc is of classification, and no data set is one"),
        ("mail", "val/f1", r"f1 is of one label: name it as data.mail.positive, or use val/f1_macro"),
        ("news", "val/blue", r"did you mean 'val/bleu'\?\); these data sets give val/loss, .*val/exact_match"),
        ("mail", "val/f1_marco", r"did you mean 'val/f1_macro'\?"),
        ("mail", "val/news/mcc", r"did you mean 'val/mcc'\?"),
        ("mail", "rouge", r"; these data sets give val/loss"),
    ],
)
def test_a_metric_that_the_data_do_not_give_is_refused_with_what_would(data, metric, reason):
    with pytest.raises(ConfigError, match=rf"^space.yaml:2:21: objective.metric: no metric '{metric}'.*{reason}"):
        Experiment.loads(SETS[data] + f"objective: {{metric: {metric}}}\n")


def test_an_edit_rate_that_is_switched_off_cannot_be_the_objective():
    text = SETS["news"] + "objective: {metric: val/ter}\nevaluation: {ter: false}\n"
    with pytest.raises(ConfigError, match=r"^space.yaml:3:19: evaluation.ter: the objective is val/ter"):
        Experiment.loads(text)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("evaluation: {bleu_tokenize: zhh}", r"2:29: evaluation.bleu_tokenize: must be one of auto, 13a, .*not 'zhh'"),
        ("evaluation: {ter: sometimes}", r"2:19: evaluation.ter: must be auto, true or false, not 'sometimes'"),
    ],
)
def test_how_translations_are_scored_is_checked(line, reason):
    with pytest.raises(ConfigError, match=reason):
        Experiment.loads(SETS["news"] + line + "\n")


@pytest.mark.parametrize("label", ["[a]", "1.5", "{a: b}"])
def test_a_positive_label_is_one_value(label):
    with pytest.raises(ConfigError, match=r"data.spam.positive: must be one of the labels"):
        Experiment.loads(SETS["spam"].replace("positive: spam", f"positive: {label}"))


def test_metrics_of_a_positive_label_are_of_the_sets_that_name_one():
    known = metrics({"a": "classification", "b": "classification"}, positive=["b"])
    assert {"val/f1", "val/b/f1", "val/b/recall"} <= set(known)
    assert "val/a/f1" not in known
