"""Which metrics data sets give, and which way each is better."""

from hpsearch.experiment import Experiment
from hpsearch.space.objective import metrics


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
