"""Evaluation against numbers worked out by hand, example by example, with other tools."""

import json
import math

import numpy as np
import pytest
import torch
from sacrebleu import corpus_bleu, corpus_chrf
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from hpsearch.tasks.measure import sample_rows
from hpsearch.tasks.scores.replicates import dealt, stretch
from hpsearch.training.evaluation import Evaluator, score, shares
from tests.training.tiny import LONG, MIXED, MOODS, PAIRS, TEXT, long_pairs, model, opened, rows, tiny

PER_SET = {
    "text": {"loss", "loss_stderr", "perplexity", "bits_per_byte"},
    "pairs": {"loss", "loss_stderr", "perplexity", "bits_per_byte", "bleu", "chrf", "ter", "exact_match"},
    "moods": {
        "loss",
        "loss_stderr",
        "perplexity",
        "bits_per_byte",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "accuracy",
        "mcc",
    },
}


def evaluator(config, folder, *, split="valid", sample=None):
    return Evaluator(opened(config, folder), rows(config, folder, split), config, sample=sample)


def examples(tokens):
    """(prompt, target) of every pair."""
    for i, n in enumerate(tokens.prompt_lengths):
        row = tokens.tokens[tokens.starts[i] : tokens.starts[i + 1]].astype(np.int64)
        yield row[:n].tolist(), row[n:].tolist()


@torch.no_grad()
def nll_alone(net, tokens, *, first):
    """The nats of each token from place `first` on, one forward pass for the one sequence."""
    log_probs = net(torch.tensor([tokens[:-1]]))[0].double().log_softmax(-1)
    return [-float(log_probs[i - 1, tokens[i]]) for i in range(first, len(tokens))]


@torch.no_grad()
def greedy_alone(net, prompt, *, eos_id, limit):
    """Greedy decoding without a cache, one prompt by itself."""
    found = []
    while len(found) < limit and len(prompt) + len(found) < net.config.context:
        token = int(net(torch.tensor([prompt + found]))[0, -1].argmax())
        if token == eos_id:
            break
        found.append(token)
    return found


# --------------------------------------------------------------------------------------------------------------- losses


def test_a_model_that_knows_nothing_loses_log_v_nats_a_token(tmp_path):
    (tmp_path / "data").mkdir()
    text = "déjà vu, çà et là: 1 €"  # 5 letters of two bytes, a sign of three
    for part in ("train", "valid", "test"):
        (tmp_path / "data" / f"{part}.txt").write_text(text, encoding="utf-8")
    config = tiny({"text": TEXT}, model={"context": 8, "tied_embeddings": False})
    net = model(config, opened(config, tmp_path))
    torch.nn.init.zeros_(net.head.weight)
    found = evaluator(config, tmp_path).measure(net).metrics
    n_bytes = len(text) + 5 + 2
    assert n_bytes == len(text.encode())
    n_vocab = 256 + 2
    assert found["loss"] == pytest.approx(math.log(n_vocab), rel=1e-6)
    assert found["perplexity"] == pytest.approx(n_vocab, rel=1e-5)
    assert found["loss_stderr"] == pytest.approx(0, abs=1e-4)
    assert found["bits_per_byte"] == pytest.approx(math.log2(n_vocab), rel=1e-6)  # a token is a byte here


def test_bits_per_byte_count_bytes_not_tokens(tmp_path):
    (tmp_path / "data").mkdir()
    for part in ("train", "valid", "test"):
        (tmp_path / "data" / f"{part}.txt").write_text("été à la plage " * 40, encoding="utf-8")
    config = tiny({"text": TEXT}, tokenizer={"kind": "bpe", "vocab_size": 300}, model={"tied_embeddings": False})
    corpus = opened(config, tmp_path)
    net = model(config, corpus)
    torch.nn.init.zeros_(net.head.weight)
    found = evaluator(config, tmp_path).measure(net).metrics
    n_tokens = len(corpus.sets["text"].splits["valid"].tokens) - 1
    n_bytes = 40 * 18
    assert n_tokens < n_bytes / 4
    assert found["bits_per_byte"] == pytest.approx(n_tokens * math.log2(corpus.tokenizer.vocab_size) / n_bytes)


KINDS = {"bytes": {"kind": "bytes"}, "bpe": {"kind": "bpe", "vocab_size": 300}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("context", [8, 16, 64, 128, 512])
def test_a_model_that_knows_nothing_has_the_same_bits_a_byte_however_targets_are_cut(tmp_path, context, kind):
    long_pairs(tmp_path)
    config = tiny({"long": LONG}, tokenizer=KINDS[kind], model={"context": context, "tied_embeddings": False})
    corpus = opened(config, tmp_path)
    net = model(config, corpus)
    torch.nn.init.zeros_(net.head.weight)
    found = evaluator(config, tmp_path, split="train").measure(net, decode=False).metrics
    (kind_rows,) = rows(config, tmp_path).values()
    kept = [kind_rows.target(i) for i in range(kind_rows.n_rows)]
    assert context > 64 or any(len(ids) < n for ids, n in zip(kept, kind_rows.whole_targets, strict=True))
    # By hand: the bytes that stand in the vocabulary for each token kept. The end token has none.
    vocabulary = {i: name for name, i in vocabulary_of(corpus).items()}
    n_bytes = sum(len(vocabulary[i]) for ids in kept for i in ids if i != corpus.tokenizer.eos_id)
    n_tokens = sum(map(len, kept))
    assert found["bits_per_byte"] == pytest.approx(n_tokens * math.log2(corpus.tokenizer.vocab_size) / n_bytes)
    if kind == "bytes":
        assert found["bits_per_byte"] == pytest.approx(8.1, abs=0.2)


def vocabulary_of(corpus):
    return json.loads((corpus.folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"] | {
        special: corpus.tokenizer.id(special) for special in corpus.tokenizer.specials
    }


@pytest.mark.parametrize("context", [64, 32, 16])  # nothing is cut; targets; prompts too
def test_losses_are_those_of_every_target_scored_alone(tmp_path, corpus_files, context):
    config = tiny(MIXED, model={"context": context})
    corpus = opened(config, tmp_path)
    net = model(config, corpus).eval()
    text = corpus.sets["text"].splits["valid"].tokens.tolist()
    by_set = {"text": [], "pairs": [], "moods": []}
    for start in range(0, len(text) - 1, context):
        by_set["text"] += nll_alone(net, text[start : start + context + 1], first=1)
    kinds = rows(config, tmp_path, "valid")
    for name in ("pairs", "moods"):
        for i in range(kinds[name].n_rows):
            prompt, target = kinds[name].prompt(i), kinds[name].target(i)
            by_set[name] += nll_alone(net, prompt + target, first=len(prompt))
    targets = [kinds["pairs"].target(i) for i in range(kinds["pairs"].n_rows)]
    assert any(corpus.tokenizer.eos_id not in target for target in targets) == (context < 64)
    n_bytes = {
        "text": corpus.sets["text"].splits["valid"].n_bytes,
        "pairs": sum(token < 256 for target in targets for token in target),  # a token is a byte
        "moods": 4 * kinds["moods"].n_rows,  # warm, cold
    }

    measured = evaluator(config, tmp_path).measure(net)
    found, groups = measured.metrics, {"text": stretch(0, len(text) - 1, len(text) - 1).tolist()}
    for name in ("pairs", "moods"):
        dealt_to = enumerate(dealt(kinds[name].n_rows))
        groups[name] = [group for i, group in dealt_to for _ in kinds[name].target(i)]
    for name, values in by_set.items():
        expected = means_without(values, groups[name])
        assert measured.replicates[f"{name}/loss"] == pytest.approx(expected, rel=1e-5)
        assert found[f"{name}/loss"] == pytest.approx(np.mean(values), rel=1e-5)
        assert found[f"{name}/loss_stderr"] == pytest.approx(np.std(values) / len(values) ** 0.5, rel=1e-4)
        assert found[f"{name}/perplexity"] == pytest.approx(math.exp(np.mean(values)), rel=1e-4)
        assert found[f"{name}/bits_per_byte"] == pytest.approx(sum(values) / math.log(2) / n_bytes[name], rel=1e-5)
    every = [value for values in by_set.values() for value in values]
    expected = means_without(every, [group for name in by_set for group in groups[name]])
    assert measured.replicates["loss"] == pytest.approx(expected, rel=1e-5)
    assert found["loss"] == pytest.approx(np.mean(every), rel=1e-5)  # of tokens, not of sets
    assert found["loss"] != pytest.approx(np.mean([found[f"{name}/loss"] for name in by_set]), rel=1e-3)
    assert found["loss_stderr"] == pytest.approx(np.std(every) / len(every) ** 0.5, rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(sum(every) / math.log(2) / sum(n_bytes.values()), rel=1e-5)


def means_without(values, groups):
    """The mean of the values without those of each group."""
    pairs = list(zip(values, groups, strict=True))
    return [np.mean([value for value, group in pairs if group != left]) for left in sorted(set(groups))]


def test_losses_do_not_depend_on_how_rows_are_batched(tmp_path, corpus_files):
    config = tiny(MIXED)
    net = model(config, opened(config, tmp_path))
    made = evaluator(config, tmp_path)
    at_once = made.measure(net).metrics
    made.max_tokens.size = 32
    for name, value in made.measure(net).metrics.items():
        assert value == pytest.approx(at_once[name], rel=1e-5), name


# ----------------------------------------------------------------------------------------------------------- per set


def test_every_set_has_its_metrics_and_all_together_have_each_once(tmp_path, corpus_files):
    config = tiny(MIXED)
    found = evaluator(config, tmp_path).measure(model(config, opened(config, tmp_path)))
    per_set = {f"{name}/{metric}" for name, metrics in PER_SET.items() for metric in metrics}
    assert set(found.metrics) == per_set | set().union(*PER_SET.values())
    assert found.metrics["bleu"] == found.metrics["pairs/bleu"]
    assert found.metrics["f1_macro"] == found.metrics["moods/f1_macro"]
    assert set(found.samples) == {"pairs", "moods"}
    assert all(isinstance(value, float) for value in found.metrics.values())


def test_one_set_alone_has_no_second_name(tmp_path, corpus_files):
    config = tiny({"moods": MOODS})
    found = evaluator(config, tmp_path).measure(model(config, opened(config, tmp_path)))
    assert set(found.metrics) == PER_SET["moods"]


def test_scores_of_two_sets_of_a_task_are_averaged(tmp_path, corpus_files):
    config = tiny({"a": MOODS, "b": {**MOODS, "split": {"seed": 3}}})
    found = evaluator(config, tmp_path).measure(model(config, opened(config, tmp_path))).metrics
    assert found["accuracy"] == pytest.approx((found["a/accuracy"] + found["b/accuracy"]) / 2)


def test_without_decoding_there_is_no_bleu(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS})
    found = evaluator(config, tmp_path).measure(model(config, opened(config, tmp_path)), decode=False)
    assert set(found.metrics) == PER_SET["text"]
    assert (found.samples, found.signatures) == ({}, {})


# --------------------------------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_are_judged_as_sklearn_judges_guesses_made_one_by_one(tmp_path, corpus_files, seed):
    config = tiny({"moods": MOODS})
    corpus = opened(config, tmp_path)
    net, moods = model(config, corpus, seed=seed).eval(), corpus.sets["moods"]
    split = moods.splits["train"]
    guesses = []
    with torch.no_grad():
        for prompt, _ in examples(split):
            logits = net(torch.tensor([prompt]))[0, -1]
            guesses.append(max(range(2), key=lambda label: float(logits[moods.label_ids[label]])))
    found = evaluator(config, tmp_path, split="train").measure(net)
    truth = split.labels.tolist()
    assert found.metrics["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    for average in ("macro", "micro"):
        expected = f1_score(truth, guesses, labels=[0, 1], average=average, zero_division=0)
        assert found.metrics[f"f1_{average}"] == pytest.approx(expected)
    assert found.samples["moods"]["confusion"] == confusion_matrix(truth, guesses, labels=[0, 1]).tolist()
    assert found.samples["moods"]["labels"] == moods.label_names == ["cold", "warm"]


def test_one_label_may_have_metrics_of_its_own(tmp_path, corpus_files):
    config = tiny({"moods": {**MOODS, "positive": "warm"}})
    corpus = opened(config, tmp_path)
    found = evaluator(config, tmp_path, split="train").measure(model(config, corpus, seed=1))
    [[_, fp], [fn, tp]] = found.samples["moods"]["confusion"]
    assert found.metrics["f1"] == pytest.approx(2 * tp / max(1, 2 * tp + fp + fn))
    assert found.metrics["recall"] == pytest.approx(tp / (tp + fn))
    assert found.metrics["f1"] != pytest.approx(found.metrics["f1_macro"])


def test_sets_of_two_languages_are_scored_each_in_its_way(tmp_path, corpus_files):
    lines = [f'{{"en": "{n} apples", "fr": "现在学生认识{n}个苹果。"}}' for n in range(40)]
    (corpus_files / "chinese.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = tiny({"pairs": PAIRS, "zh": {**PAIRS, "files": {"train": "data/chinese.jsonl"}}})
    made = evaluator(config, tmp_path)
    assert {name: measure.scoring.tokenize for name, measure in made.measures.items()} == {"pairs": "13a", "zh": "zh"}
    found = made.measure(model(config, opened(config, tmp_path)))
    assert "tok:zh" in found.signatures["zh/bleu"]
    assert "tok:13a" in found.signatures["pairs/bleu"]
    assert "asian:yes" in found.signatures["zh/ter"]
    assert found.metrics["ter"] == pytest.approx((found.metrics["zh/ter"] + found.metrics["pairs/ter"]) / 2)


def test_translations_are_judged_as_sacrebleu_judges_those_decoded_one_by_one(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS}, model={"context": 64}, evaluation={"max_new_tokens": 12})
    corpus = opened(config, tmp_path)
    net, split = model(config, corpus).eval(), corpus.sets["pairs"].splits["valid"]
    made = evaluator(config, tmp_path)
    hypotheses = [
        corpus.tokenizer.decode(greedy_alone(net, prompt, eos_id=corpus.tokenizer.eos_id, limit=12))
        for prompt, _ in examples(split)
    ]
    found = made.measure(net)
    shown = found.samples["pairs"]["examples"]
    assert [example["hypothesis"] for example in shown] == hypotheses[:20]
    assert [example["reference"] for example in shown] == list(split.references)[:20]
    assert [example["source"] for example in shown] == list(split.sources)[:20]
    assert found.metrics["bleu"] == pytest.approx(corpus_bleu(hypotheses, [list(split.references)]).score)
    assert found.metrics["chrf"] == pytest.approx(corpus_chrf(hypotheses, [list(split.references)]).score)
    assert "version:" in found.signatures["bleu"]
    assert "version:" in found.signatures["chrf"]


@pytest.mark.parametrize("beam_size", [1, 2])
@pytest.mark.parametrize(("context", "new"), [(16, 100), (64, 100), (64, 20), (512, 30)])
def test_what_is_decoded_does_not_know_how_long_its_reference_is(tmp_path, context, new, beam_size):
    (tmp_path / "data").mkdir()
    sources = ["a" * n for n in (1, 10, 30, 90)]
    lines = [{"source": source, "target": "b" * n} for source in sources for n in (1, 5, 20, 60, 200)]
    (tmp_path / "data" / "long.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = {"max_new_tokens": new, "beam_size": beam_size}
    config = tiny({"long": {**LONG, "split": {"test": 0}}}, model={"context": context}, evaluation=settings)
    corpus = opened(config, tmp_path)
    net = model(config, corpus)
    scores = torch.zeros(corpus.tokenizer.vocab_size)
    scores[ord("x")], scores[corpus.tokenizer.eos_id] = 9.0, -99.0  # it never ends
    net.logits = lambda hidden: scores.expand(*hidden.shape[:-1], -1)
    lengths = {}
    for split in ("train", "valid"):
        measured = evaluator(config, tmp_path, split=split).measure(net)
        for shown in measured.samples["long"]["examples"]:
            lengths.setdefault(shown["source"], set()).add(len(shown["hypothesis"]))
    longest = context - min(new, context // 2)
    assert lengths == {source: {min(new, context - min(longest, len(source) + 2))} for source in sources}


def test_the_same_sample_is_decoded_each_time(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS})
    corpus = opened(config, tmp_path)
    made = evaluator(config, tmp_path, split="train", sample=5)
    sources = [
        [example["source"] for example in made.measure(net).samples["pairs"]["examples"]]
        for net in (model(config, corpus, seed=0), model(config, corpus, seed=1))
    ]
    assert sources[0] == sources[1]
    assert len(set(sources[0])) == 5


@pytest.mark.parametrize(("n", "sample"), [(10, None), (10, 10), (10, 20), (10, 3), (10, 1), (7, 6), (1, 5)])
def test_samples_are_distinct_and_spread(n, sample):
    found = sample_rows(n, sample)
    assert len(set(found)) == len(found) == min(n, sample or n)
    assert found == sorted(found)
    gaps = [b - a for a, b in zip([-1, *found], [*found, n], strict=False)]
    assert max(gaps) <= n // len(found) + 2 or sample == 1


# --------------------------------------------------------------------------------------------------------- side effects


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_no_trace(tmp_path, corpus_files, training):
    config = tiny(MIXED, model={"dropout": 0.5}, evaluation={"beam_size": 2})
    net = model(config, opened(config, tmp_path)).train(training)
    made = evaluator(config, tmp_path)
    weights = {name: weight.clone() for name, weight in net.state_dict().items()}
    rng, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first = made.measure(net)
    assert torch.equal(torch.get_rng_state(), rng)
    assert np.random.get_state()[1].tolist() == numpy_state
    assert {part.training for part in net.modules()} == {training}
    assert all(torch.equal(weight, weights[name]) for name, weight in net.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())
    assert made.measure(net) == first  # without dropout


def test_a_weight_counts_in_what_is_said_over_sets(tmp_path, corpus_files):
    """Losses: each token with its set's weight; scores: each set with its weight; of one set nothing changes."""
    weights = {"text": 0.5, "pairs": 3.0, "moods": 1.0}
    data = {name: {**data_set, "weight": weights[name]} for name, data_set in MIXED.items()}
    config = tiny(data)
    net = model(config, opened(config, tmp_path))
    whole = evaluator(config, tmp_path)
    found = whole.measure(net).metrics
    plain = evaluator(tiny(MIXED), tmp_path).measure(net).metrics
    assert {k: v for k, v in found.items() if k.count("/")} == {k: v for k, v in plain.items() if k.count("/")}
    nats = {name: [] for name in data}
    for name, kind in whole.rows.items():
        for one in kind.in_turn(64):
            batch = one if name == "text" else one[1]
            log_probs = score(net, batch).double().log_softmax(-1)
            nats[name] += (-log_probs[torch.arange(len(batch.targets)), batch.targets]).tolist()
    each = [(nll, weights[name]) for name, values in nats.items() for nll in values]
    loss = sum(nll * weight for nll, weight in each) / sum(weight for _, weight in each)
    assert found["loss"] == pytest.approx(loss)
    assert found["loss"] != pytest.approx(plain["loss"], rel=1e-3)
    counts = {name: len(values) * weights[name] for name, values in nats.items()}
    assert shares(whole.rows, config) == counts
    variance = sum(weight * (nll - loss) ** 2 for nll, weight in each) / sum(weight for _, weight in each)
    effective = sum(weight for _, weight in each) ** 2 / sum(weight**2 for _, weight in each)
    assert found["loss_stderr"] == pytest.approx(math.sqrt(variance / effective))
    assert found["perplexity"] == pytest.approx(math.exp(loss))
    bits = {name: sum(values) / math.log(2) for name, values in nats.items()}
    n_bytes = sum(weights[name] * bits[name] / found[f"{name}/bits_per_byte"] for name in nats)
    assert found["bits_per_byte"] == pytest.approx(sum(weights[name] * bits[name] for name in nats) / n_bytes)


def test_scores_over_sets_are_their_mean_by_weight(tmp_path, corpus_files):
    data = {"moods": {**MOODS, "weight": 3}, "again": {**MOODS, "split": {"seed": 5}}}
    config = tiny(data)
    found = evaluator(config, tmp_path).measure(model(config, opened(config, tmp_path))).metrics
    mean = (3 * found["moods/accuracy"] + found["again/accuracy"]) / 4
    assert found["accuracy"] == pytest.approx(mean)


def test_decoding_alone_is_what_a_whole_pass_says_of_it(tmp_path, corpus_files):
    data = {"pairs": {**PAIRS, "weight": 2}, "more": {**PAIRS, "split": {"seed": 9}}, "moods": MOODS}
    config = tiny(data)
    net, whole = model(config, opened(config, tmp_path)), evaluator(config, tmp_path, sample=3)
    measured, decoded = whole.measure(net), whole.decode(net)
    assert {"bleu", "chrf", "pairs/bleu", "more/chrf"} <= decoded.metrics.keys()
    assert decoded.metrics.items() <= measured.metrics.items()
    assert decoded.samples.items() <= measured.samples.items()
    assert decoded.signatures == measured.signatures
    assert whole.decoded_sets() == {"pairs", "more"}
    one = evaluator(tiny({"pairs": PAIRS}), tmp_path, sample=3)
    net = model(one.config, one.corpus)
    assert one.decode(net).metrics.items() <= one.measure(net).metrics.items()


def test_scores_are_chosen_by_the_train_split_whatever_is_measured(tmp_path, corpus_files):
    lines = [f'{{"en": "{n} apples", "fr": "现在学生认识{n}个苹果。"}}' for n in range(40)]
    (corpus_files / "chinese.jsonl").write_text("\n".join(lines), encoding="utf-8")
    files = {"train": "data/pairs.jsonl", "valid": "data/chinese.jsonl", "test": "data/chinese.jsonl"}
    config = tiny({"pairs": {**PAIRS, "files": files}})
    for split in ("train", "valid", "test"):
        assert evaluator(config, tmp_path, split=split).measures["pairs"].scoring.tokenize == "13a"
