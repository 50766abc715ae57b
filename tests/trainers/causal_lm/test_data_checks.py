"""What is said of data that the contexts, batches and epochs of a space do not fit, and what is refused."""

import pytest

from hpsearch.data.corpus import Corpus
from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.causal_lm import data_checks

# 40 pairs: sources of 100 bytes, targets of 20 to 98. From context 196 on no target is cut, from 204 on no source.
PAIRS = "{task: translation, files: {train: pairs.tsv, valid: pairs.tsv}, split: {test: 0}}"
MOODS = "{task: classification, files: {train: moods.tsv, valid: moods.tsv}, split: {test: 0}, truncate: left}"
PARTS = ("train", "valid")
TEXT = "{task: text, files: {train: text.txt, valid: text.txt}}"


@pytest.fixture
def said(tmp_path):
    """The warnings for a space over these data."""
    pairs = [f"{i:0100d}\t{'x' * (20 + 2 * i)}" for i in range(40)]
    (tmp_path / "pairs.tsv").write_text("source\ttarget\n" + "\n".join(pairs))
    moods = [f"{i:030d}\t{'warm' if i % 2 else 'cold'}" for i in range(20)]
    (tmp_path / "moods.tsv").write_text("text\tlabel\n" + "\n".join(moods))
    (tmp_path / "text.txt").write_text("x" * 999)  # and an EOS

    def check(data, body="", *, tokenizer="{kind: bytes}"):
        text = f"data: {data}\ntokenizer: {tokenizer}\n{body}"
        experiment = Experiment.loads(text, path=tmp_path / "space.yaml")
        config = experiment.space_file.config
        corpus = Corpus.open(config.data, config.tokenizer, cache=tmp_path / "cache", base=tmp_path)
        return data_checks.check(experiment.space_file, corpus)

    return check


def enough(context, part="train"):
    """What is said of the context that cuts at most 1% of the examples (none of 40), of the train split alone."""
    return f"; context {context} would cut at most 1%" if part == "train" else ""


def of_pairs(context, new=128):
    """Examples, tokens, sources and targets of the pairs that a context cuts, counted one by one."""
    longest = context - min(new, context // 2)
    cut = [(max(0, 102 - longest), max(0, 21 + 2 * i - (context + 1 - min(102, longest)))) for i in range(40)]
    examples, tokens = sum(s + t > 0 for s, t in cut), sum(s + t for s, t in cut)
    return examples, tokens, sum(s > 0 for s, _ in cut), sum(t > 0 for _, t in cut)


def test_nothing_is_said_of_what_fits(said):
    data = f"{{pairs: {PAIRS}, moods: {MOODS}, text: {TEXT}}}"
    assert said(data, "model: {context: {low: 204, high: 400}}\ntraining: {batch_size: 2}\n") == []


def test_what_is_cut_is_said_once_for_each_set_and_split(said):
    data = f"{{pairs: {PAIRS}, moods: {MOODS}, text: {TEXT}}}"
    found = said(data, "model: {context: 24}\ntraining: {batch_size: 8}\n")
    examples, tokens, sources, targets = of_pairs(24)
    assert (examples, sources, targets) == (40, 40, 40)
    lost = f"{sources} sources lose their end (truncate: right), {targets} targets lose their end"
    moods = "20 texts lose their beginning (truncate: left)"
    of_moods, of_both = (f"examples ({n} tokens) are cut at context 24" for n in (160, tokens))
    assert found == [
        line
        for lines in (
            [f"data.moods: 20 of 20 {part} {of_moods}: {moods}{enough(32, part)}" for part in PARTS],
            [f"data.pairs: 40 of 40 {part} {of_both}: {lost}{enough(203, part)}" for part in PARTS],
        )
        for line in lines
    ]


def test_a_prompt_leaves_room_for_what_may_be_decoded(said):
    body = "model: {context: 128}\nevaluation: {max_new_tokens: 26}\ntraining: {batch_size: 8}\n"
    found = said(f"{{pairs: {PAIRS}}}", body)
    examples, tokens, sources, targets = of_pairs(128, 26)
    assert (sources, examples) == (0, targets)
    assert found[0] == (
        f"data.pairs: {targets} of 40 train examples ({tokens} tokens) are cut at context 128: "
        f"{targets} targets lose their end{enough(200)}"
    )


def test_of_a_range_both_ends_are_said(said):
    found = said(f"{{pairs: {PAIRS}}}", "objective: {metric: val/bleu}\nmodel: {context: {choices: [16, 160]}}\n")
    n_tokens = of_pairs(16)[1]
    expected = f"data.pairs: 40 of 40 train examples ({n_tokens} tokens) are cut at context 16 (40 at 160): "
    assert found[0].startswith(expected)


BRANCHED = "{choices: [{n_layers: 1, context: 400}, {n_layers: 2, context: {low: 40, high: 50}}]}"


@pytest.mark.parametrize("metric", ["loss", "perplexity", "bits_per_byte", "pairs/loss"])
@pytest.mark.parametrize(
    ("model", "place", "lowest"),
    [
        ("{context: {low: 195, high: 400}}", "3:18: model.context", 195),
        ("{context: {low: 64, high: 400, log: true}}", "3:18: model.context", 64),
        ("{context: {choices: [400, 32]}}", "3:18: model.context", 32),
        (BRANCHED, "3:71: model.choices[2].context", 40),
        ("{choices: [{n_layers: 1, context: 400}, {n_layers: 2}]}", "3:8: model", 128),
        ("{context: 40, choices: [{n_layers: 1, context: 400}, {n_layers: 2}]}", "3:18: model.context", 40),
    ],
)
def test_a_range_of_contexts_is_refused_where_trials_would_have_other_targets(said, metric, model, place, lowest):
    data = f"{{pairs: {PAIRS}, moods: {MOODS}}}"
    with pytest.raises(ConfigError) as refused:
        said(data, f"model: {model}\nobjective: {{metric: val/{metric}}}\n")
    n = of_pairs(lowest)[3]
    where, _, what = str(refused.value).partition("space.yaml:")[2].partition(": val/")
    assert where == place
    assert what == (
        f"{metric} cannot be compared over this range of context: at context {lowest} {n} of 40 valid targets of "
        "data.pairs are cut; from context 196 on none is, or use val/bleu or val/chrf"
    )
    assert of_pairs(196)[3] == 0 < of_pairs(195)[3]


@pytest.mark.parametrize(
    "body",
    [
        "objective: {metric: val/chrf}\nmodel: {context: {choices: [16, 64]}}",
        "objective: {metric: val/moods/loss}\nmodel: {context: {choices: [16, 64]}}",
        "model: {context: 16}",
        "model: {context: {choices: [196, 512]}}",
        "model: {context: 400, choices: [{context: 196}, {context: 300}]}",
    ],
)
def test_a_range_is_not_refused_where_all_trials_have_the_same_targets(said, body):
    said(f"{{pairs: {PAIRS}, moods: {MOODS}}}", body)


def test_a_range_of_texts_and_labels_is_only_warned_of(said):
    body = "model: {context: {choices: [16, 64]}}\ntraining: {batch_size: 8}\n"
    found = said(f"{{moods: {MOODS}, text: {TEXT}}}", body)
    cut = "examples (320 tokens) are cut at context 16 (0 at 64): 20 texts lose their beginning (truncate: left)"
    assert found == [f"data.moods: 20 of 20 {part} {cut}{enough(32, part)}" for part in PARTS]


def test_tokenizers_that_cut_targets_differently_are_refused(said):
    data, body = f"{{pairs: {PAIRS}}}", "objective: {metric: val/bits_per_byte}\nmodel: {context: 160}\n"
    tokenizers = "{choices: [{kind: bpe, vocab_size: 300}, {kind: bytes}]}"
    told = r"space.yaml:2:12: tokenizer: val/bits_per_byte .* of tokenizer: at context 160"
    with pytest.raises(ConfigError, match=told):
        said(data, body, tokenizer=tokenizers)
    said(data, body.replace("160", "204"), tokenizer=tokenizers)
    said(data, body.replace("bits_per_byte", "bleu"), tokenizer=tokenizers)


# ------------------------------------------------------------------------------------------------------ rows and epochs


@pytest.mark.parametrize(
    ("training", "line"),
    [
        ("{batch_size: 40}", None),
        (
            "{batch_size: 41}",
            "training.batch_size 41: the train split of data.pairs has 40 rows; each step reads all of them",
        ),
        (
            "{batch_size: {choices: [8, 64, 128]}}",
            "training.batch_size 128: the train split of data.pairs has 40 rows; "
            "trainings that differ only in a batch size of 40 or more are the same training",
        ),
        ("{batch_size: 4, epochs: {low: 0.1, high: 2}}", None),
        (
            "{batch_size: 8, epochs: {low: 0.1, high: 2}}",
            "training.epochs 0.1: 4 of 40 rows, less than a batch of 8; the training is a single step",
        ),
        (
            "{batch_size: {low: 2, high: 16}, epochs: 0.1}",
            "training.epochs 0.1: 4 of 40 rows, less than a batch of 16; "
            "trainings that differ only in a batch size of 4 or more are the same training",
        ),
        (
            "{batch_size: 8, choices: [{epochs: 2}, {epochs: 0.1}]}",
            "training.epochs 0.1: 4 of 40 rows, less than a batch of 8; the training is a single step",
        ),
    ],
)
def test_batches_and_epochs_that_the_rows_do_not_fill_are_told(said, training, line):
    found = said(f"{{pairs: {PAIRS}}}", f"model: {{context: 300}}\ntraining: {training}\n")
    assert found == ([line] if line else [])


def test_the_rows_of_a_text_are_those_of_its_longest_context(said):
    body = "model: {{context: {{low: 50, high: 100}}}}\ntraining: {{batch_size: {}}}\n"
    assert said(f"{{text: {TEXT}}}", body.format(10)) == []
    (line,) = said(f"{{text: {TEXT}}}", body.format(11))
    assert "data.text has 10 rows" in line


def test_of_several_sets_the_largest_counts(said):
    data = f"{{moods: {MOODS}, pairs: {PAIRS}, text: {TEXT}}}"
    assert said(data, "model: {context: 300}\ntraining: {batch_size: 40}\n") == []
    (line,) = said(data, "model: {context: 300}\ntraining: {batch_size: 41}\n")
    assert "data.pairs, the largest set, has 40 rows" in line
