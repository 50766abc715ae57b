"""Whether the data give the metrics that are asked for, through the driver's preparation of them."""

import pytest

from hpsearch.errors import ConfigError, DataError
from hpsearch.home.home import Home
from hpsearch.preflight.preparation import prepare
from hpsearch.search.driver import opened
from hpsearch.space.experiment import Experiment


def quiet(what, share):
    pass


SPOKEN = "{pairs: {task: translation, files: {train: data/pairs.tsv}}}"
SHORT = ["your old cat", "that small dog", "a big", "a red", "the small green", "a house"]


def spoken(corpus_files, targets):
    lines = [f"{i} {target}\t{target}" for i in range(10) for target in targets]
    (corpus_files / "pairs.tsv").write_text("source\ttarget\n" + "\n".join(lines) + "\n", encoding="utf-8")


def told(path, tmp_path):
    return prepare(Experiment.load(path), Home(tmp_path / "home").make(), quiet).warnings


@pytest.mark.parametrize(("metric", "n"), [("val/bleu", 1), ("val/chrf", 0), ("val/loss", 0)])
def test_bleu_as_the_objective_of_short_targets_is_warned_of(tmp_path, space_file, corpus_files, metric, n):
    spoken(corpus_files, SHORT)
    path = space_file(f"tokenizer: {{kind: bytes}}\nobjective: {{metric: {metric}}}\n", data=SPOKEN)
    lines = [line for line in told(path, tmp_path) if "the targets are short" in line]
    assert len(lines) == n
    assert all("up to 3 words in a row there; val/chrf tells such outputs apart better" in line for line in lines)


def test_bleu_of_longer_targets_is_not_warned_of(tmp_path, space_file, corpus_files):
    spoken(corpus_files, ["the cat sees the dog", "现在学生认识苹果。"])
    path = space_file("tokenizer: {kind: bytes}\nobjective: {metric: val/bleu}\n", data=SPOKEN)
    assert [line for line in told(path, tmp_path) if "short" in line] == []


def test_a_tokenizer_that_the_machine_lacks_is_refused_before_anything_is_made(tmp_path, space_file, monkeypatch):
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path / "none"))
    path = space_file("evaluation: {bleu_tokenize: flores200}\n", data=SPOKEN)
    experiment, home = Experiment.load(path).override(launcher="inline"), Home(tmp_path / "home").make()
    where = rf"^{path}:2:29: evaluation.bleu_tokenize: sacrebleu cannot use 'flores200' .*download .* to {tmp_path}"
    with pytest.raises(ConfigError, match=where), opened(experiment, home, progress=quiet):
        pass
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "home" / "space").exists()


@pytest.mark.parametrize(("label", "reason"), [("wram", "did you mean 'warm'"), ("x", "there are 'cold', 'warm'")])
def test_a_positive_label_that_the_data_lack_is_refused_with_its_place(tmp_path, space_file, label, reason):
    data = "{moods: {task: classification, files: {train: data/moods.tsv}, text: sentence, label: mood, positive: %s}}"
    path = space_file("tokenizer: {kind: bytes}\n", data=data % label)
    with pytest.raises(
        DataError, match=rf"^{path}:1:\d+: data.moods.positive: no label '{label}' in the data; {reason}"
    ):
        told(path, tmp_path)
    assert told(space_file("tokenizer: {kind: bytes}\n", data=data % "warm"), tmp_path) is not None


@pytest.mark.parametrize("labels", [["a", "b", "c", "d"], ["a", "b", "b", "a"]])
def test_the_ceiling_of_macro_f1_is_told_for_each_split_that_lacks_labels(tmp_path, space_file, corpus_files, labels):
    rows = {"train": labels, "valid": ["a", "a"], "test": labels[:2]}
    for part, some in rows.items():
        lines = [f"{part} {i}\t{label}" for i, label in enumerate(some)]
        (corpus_files / f"{part}.tsv").write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    files = "{train: data/train.tsv, valid: data/valid.tsv, test: data/test.tsv}"
    path = space_file("tokenizer: {kind: bytes}\n", data=f"{{m: {{task: classification, files: {files}}}}}")
    valid, test = "data.m: 3 of 4 labels are not in valid ('b', 'c', 'd')", "data.m: 2 of 4 labels are not in test"
    expected = [
        f"{valid}: f1_macro can reach 0.25 at most there",
        f"{test} ('c', 'd'): f1_macro can reach 0.5 at most there",
    ]
    if len(set(labels)) == 2:
        expected = ["data.m: 1 of 2 labels are not in valid ('b'): f1_macro can reach 0.5 at most there"]
    assert [line for line in told(path, tmp_path) if "f1_macro" in line] == expected
