"""Batches: what is seen in an epoch, in which order, and what each position is asked to predict."""

from collections import Counter

import numpy as np
import pytest
import torch

from hpsearch.data.corpus import PairTokens, TextTokens
from hpsearch.data.truncation import Cut
from hpsearch.training.batches import PAD_TO, BatchOrder, PairRows, TextRows
from hpsearch.training.evaluation import score
from tests.training.tiny import CPU, MIXED, MOODS, PAIRS, TEXT, model, opened, rows, tiny


def text_rows(n_tokens, *, context=8):
    return TextRows(TextTokens(np.arange(n_tokens, dtype=np.int32), n_bytes=n_tokens), context=context, device=CPU)


def pair_rows(shapes, *, context=64, cut=None):
    """Pairs of (prompt length, target length); every token is another number, so that it says where it comes from."""
    lengths = [prompt + target for prompt, target in shapes]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    prompts = np.array([prompt for prompt, _ in shapes], np.int32)
    pairs = PairTokens(np.arange(starts[-1], dtype=np.int32), starts, prompts, np.ones(len(shapes), np.int32))
    return PairRows(pairs, context=context, device=CPU, cut=cut)


def epoch(kind, *, seed=0, batch_size=4):
    return kind.order(np.random.default_rng(seed), batch_size)


def steps(order, n):
    return [(type(kind).__name__, numbers.tolist()) for kind, numbers in map(order.at, range(n))]


# ----------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize("n_tokens", [10, 11, 16, 17, 18, 100, 101, 104, 105, 1000])
@pytest.mark.parametrize("batch_size", [1, 3, 5, 1000])
def test_an_epoch_of_text_has_every_token_as_a_target_once(n_tokens, batch_size):
    kind = text_rows(n_tokens)
    for seed in range(5):
        batches = [kind.batch(starts) for starts in epoch(kind, seed=seed, batch_size=batch_size)]
        assert sorted(torch.cat([batch.targets for batch in batches]).tolist()) == list(range(n_tokens))
        assert sum(batch.n_tokens for batch in batches) == n_tokens
        assert len(batches) == kind.n_batches(batch_size)


def test_rows_of_text_are_consecutive_tokens_and_predict_the_next():
    kind = text_rows(96)  # twelve rows, none of them shorter
    for starts in epoch(kind):
        batch = kind.batch(starts)
        assert batch.positions is None
        assert batch.tokens.tolist() == [[(start + i) % 96 for i in range(8)] for start in starts]
        assert torch.equal(batch.targets, (batch.tokens.flatten() + 1) % 96)
        assert batch.n_tokens == kind.n_targets(starts) == batch.targets.numel() == len(starts) * 8


def test_what_fills_no_row_of_text_is_scored_at_the_end_of_a_whole_one():
    kind = text_rows(100)  # twelve rows and four tokens
    (starts,) = epoch(kind, batch_size=100)
    batch = kind.batch(starts)
    (short,) = np.flatnonzero(starts < 0)
    assert batch.tokens.shape == (13, 8)  # no shape of its own
    assert batch.tokens.tolist() == [[(start + i) % 100 for i in range(8)] for start in starts]
    scored = np.bincount(batch.positions // 8, minlength=13)
    assert scored[short] == 4
    assert np.delete(scored, short).tolist() == [8] * 12
    assert torch.equal(batch.targets, (batch.tokens.flatten()[batch.positions] + 1) % 100)
    assert kind.n_targets(starts) == batch.n_tokens == len(batch.targets) == 100
    assert [kind.n_targets(starts[i : i + 1]) for i in range(13)] == scored.tolist()


def test_text_begins_at_another_offset_each_epoch():
    kind = text_rows(100)
    seen = {int(starts[0]) % 100 for seed in range(1000) for starts in epoch(kind, seed=seed, batch_size=1)[:1]}
    assert seen == set(range(100))


@pytest.mark.parametrize("context", [8, 16, 30, 64, 99, 128])
def test_an_epoch_of_text_reads_as_much_at_each_context(context):
    kind = text_rows(100, context=context)
    read = sum(kind.n_targets(starts) for starts in epoch(kind))
    assert read == (99 if context >= 99 else 100)  # one row has nothing before its first token


def test_the_last_batch_of_text_is_smaller():
    kind = text_rows(8 * 11)
    assert [len(starts) for starts in epoch(kind)] == [4, 4, 3]
    assert kind.n_batches(4) == 3


@pytest.mark.parametrize("n_tokens", [8, 9, 16, 17, 18, 24, 25, 100])
@pytest.mark.parametrize("max_tokens", [1, 8, 30, 1000])
def test_text_in_turn_has_every_token_but_the_first_as_a_target_once(n_tokens, max_tokens):
    batches = list(text_rows(n_tokens).in_turn(max_tokens))
    assert torch.cat([batch.targets for batch in batches]).tolist() == list(range(1, n_tokens))
    assert torch.cat([batch.tokens.flatten() for batch in batches]).tolist() == list(range(n_tokens - 1))
    assert all(batch.tokens.numel() <= max(8, max_tokens) for batch in batches)
    assert sum(batch.n_tokens for batch in batches) == n_tokens - 1


def test_a_text_shorter_than_the_context_is_one_row():
    kind = text_rows(6, context=64)
    (starts,) = epoch(kind, batch_size=32)
    batch = kind.batch(starts)
    assert batch.tokens.tolist() == [[0, 1, 2, 3, 4]]
    assert batch.targets.tolist() == [1, 2, 3, 4, 5]
    assert len(list(kind.in_turn(1000))) == 1


# ---------------------------------------------------------------------------------------------------------------- pairs


@pytest.mark.parametrize(("n", "batch_size"), [(10, 4), (8, 4), (3, 4), (1, 4), (1000, 7), (5, 1)])
def test_an_epoch_of_pairs_sees_each_once(n, batch_size):
    kind = pair_rows([(3 + i % 5, 1 + i % 3) for i in range(n)])
    batches = epoch(kind, batch_size=batch_size)
    assert sorted(np.concatenate(batches)) == list(range(n))
    sizes = sorted((len(batch) for batch in batches), reverse=True)
    assert sizes == [batch_size] * (n // batch_size) + ([n % batch_size] if n % batch_size else [])
    assert kind.n_batches(batch_size) == len(batches)


def test_the_smaller_batch_has_any_lengths_and_any_place():
    kind = pair_rows([(3 + i, 1) for i in range(40)])
    epochs = [epoch(kind, seed=s, batch_size=32) for s in range(400)]
    counts = np.bincount(np.concatenate([batch for batches in epochs for batch in batches if len(batch) == 8]))
    assert (abs(counts / 400 - 8 / 40) < 5 * (0.2 * 0.8 / 400) ** 0.5).all()  # five standard deviations
    assert {len(batches[0]) for batches in epochs} == {32, 8}


def test_batches_of_pairs_hold_similar_lengths():
    kind = pair_rows([(3 + (i * 37) % 100, 1) for i in range(400)], context=128)
    spreads = [np.ptp(kind.lengths[batch]) for batch in epoch(kind, batch_size=8)]
    assert max(spreads) < 10  # of a range of 100


def test_only_the_targets_of_pairs_are_scored():
    kind = pair_rows([(3, 2), (5, 1), (2, 9)])
    batch = kind.batch(np.array([2, 0, 1]))
    assert batch.targets.tolist() == [*range(13, 22), 3, 4, 10]
    read = batch.tokens.flatten()[batch.positions]
    assert torch.equal(read + 1, batch.targets)  # each is predicted from the token before it, never from padding
    assert batch.n_tokens == 10 + 4 + 5
    assert kind.n_targets(np.array([2, 0, 1])) == len(batch.targets)
    assert batch.tokens.shape[1] % PAD_TO == 0


def test_pairs_in_turn_come_once_within_the_budget():
    kind = pair_rows([(3 + (i * 7) % 20, 1 + i % 4) for i in range(50)])
    found = list(kind.in_turn(100))
    assert sorted(np.concatenate([numbers for numbers, _ in found])) == list(range(50))
    assert all(batch.tokens.numel() <= 100 for _, batch in found)
    assert sum(len(batch.targets) for _, batch in found) == kind.n_targets(np.arange(50))


@pytest.mark.parametrize("budget", [35, 52, 70, 88])
def test_padded_pairs_in_turn_stay_within_the_budget(budget):
    kind = pair_rows([(8, 2)] * 20)  # nine tokens read, padded to sixteen
    sizes = [batch.tokens.shape for _, batch in kind.in_turn(budget)]
    assert {width for _, width in sizes} == {16}
    assert sizes[0] == (budget // 17, 16)
    assert sum(n for n, _ in sizes) == 20


def test_a_pair_longer_than_the_budget_still_comes():
    assert [numbers.tolist() for numbers, _ in pair_rows([(3, 2), (30, 2)]).in_turn(4)] == [[0], [1]]


SHAPES = [(50, 1), (50, 3), (3, 50), (50, 50), (4, 2), (12, 12), (5, 9), (9, 5), (31, 1), (2, 32)]


@pytest.mark.parametrize("context", [8, 9, 12, 31])
@pytest.mark.parametrize("max_new_tokens", [1, 4, 100])
@pytest.mark.parametrize("truncate", ["left", "right", "middle"])
def test_pairs_are_cut_to_the_context(context, max_new_tokens, truncate):
    cut = Cut.of(context, room=max_new_tokens + 1, truncate=truncate)
    kind = pair_rows(SHAPES, context=context, cut=cut)
    first = 0
    for i, (n_prompt, n_target) in enumerate(SHAPES):
        prompt, target = [t - first for t in kind.prompt(i)], [t - first for t in kind.target(i)]
        longest = context - min(max_new_tokens, context // 2)
        n = min(n_prompt, longest)
        n_removed, n_body = n_prompt - n, n - 2  # the task's token and the separator stay
        begin = {"left": 1, "right": 1 + n_body, "middle": 1 + (n_body + 1) // 2}[truncate]
        assert prompt == [*range(begin), *range(begin + n_removed, n_prompt)]
        assert (prompt[0], prompt[-1]) == (0, n_prompt - 1)
        assert target == list(range(n_prompt, n_prompt + min(n_target, context + 1 - n)))
        assert kind.row(i) == kind.prompt(i) + kind.target(i)
        assert len(kind.row(i)) == min(n + n_target, context + 1)  # a target fills what there is
        first += n_prompt + n_target


@pytest.mark.parametrize("truncate", ["left", "right", "middle"])
def test_a_batch_of_cut_pairs_has_their_rows(truncate):
    kind = pair_rows(SHAPES, context=12, cut=Cut.of(12, truncate=truncate))
    rows = np.random.default_rng(0).permutation(len(SHAPES))
    batch = kind.batch(rows)
    assert batch.tokens.shape == (len(SHAPES), 12)
    for i, tokens in zip(rows, batch.tokens.tolist(), strict=True):
        row = kind.row(i)
        assert tokens == row[:-1] + [0] * (13 - len(row))
    assert batch.targets.tolist() == [token for i in rows for token in kind.target(i)]
    before = [token for i in rows for token in kind.row(i)[kind.prompts[i] - 1 : -1]]
    assert batch.tokens.flatten()[batch.positions].tolist() == before
    assert kind.n_targets(rows) == len(batch.targets)
    assert batch.n_tokens == sum(len(kind.row(i)) - 1 for i in rows)


@pytest.mark.parametrize("context", [8, 12, 31])
def test_a_prompt_is_cut_alike_whatever_its_target(context):
    for n_prompt in (3, 5, 8, 20, 50):
        kinds = [pair_rows([(n_prompt, n_target)], context=context) for n_target in (1, 2, 5, 10, 50)]
        assert len({tuple(kind.prompt(0)) for kind in kinds}) == 1


def test_a_text_with_a_label_fills_the_context(tmp_path, corpus_files):
    (kind,) = rows(tiny({"moods": MOODS}, model={"context": 12}), tmp_path).values()
    assert {len(kind.prompt(i)) for i in range(kind.n_rows)} == {12}
    assert set(kind.targets) == {1}


@pytest.mark.parametrize(
    ("truncate", "kept"), [("right", "it is blue"), ("left", "e today 12"), ("middle", "it isay 12")]
)
def test_the_set_says_what_a_long_text_loses(tmp_path, corpus_files, truncate, kept):
    config = tiny({"moods": {**MOODS, "truncate": truncate}}, model={"context": 12})
    corpus = opened(config, tmp_path)
    (kind,) = rows(config, tmp_path).values()
    row = list(corpus.sets["moods"].splits["train"].sources).index("it is blue today 12")
    assert corpus.tokenizer.decode(kind.prompt(row)) == kept


def test_cut_pairs_copy_no_tokens():
    kind = pair_rows(SHAPES * 100, context=8)
    assert np.shares_memory(kind.tokens, kind.pairs.tokens)


@pytest.mark.parametrize("context", [36, 60])  # no multiple of what lengths are rounded up to; cut and not
def test_a_row_does_not_depend_on_its_batch(tmp_path, corpus_files, context):
    config = tiny({"pairs": PAIRS}, model={"context": context})
    net, (kind,) = model(config, opened(config, tmp_path)).eval(), rows(config, tmp_path).values()
    numbers = np.arange(kind.n_rows)
    with torch.no_grad():
        together = score(net, kind.batch(numbers))
        alone = [score(net, kind.batch(numbers[i : i + 1])) for i in range(kind.n_rows)]
        unpadded = []
        for i in range(kind.n_rows):
            tokens = torch.tensor(kind.row(i))
            unpadded.append(net(tokens[None, :-1])[0, kind.prompts[i] - 1 :])
    assert len({len(x) for x in unpadded}) > 1
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)
    torch.testing.assert_close(together, torch.cat(unpadded), rtol=0, atol=1e-5)


def test_a_label_is_the_one_target_of_its_row(tmp_path, corpus_files):
    config = tiny({"moods": MOODS})
    corpus = opened(config, tmp_path)
    (kind,) = rows(config, tmp_path).values()
    batch = kind.batch(np.arange(kind.n_rows))
    labels = corpus.sets["moods"].splits["train"].labels
    assert batch.targets.tolist() == [corpus.sets["moods"].label_ids[label] for label in labels]


# ---------------------------------------------------------------------------------------------------------------- order


def test_the_order_is_a_function_of_seed_and_epoch(tmp_path, corpus_files):
    kinds = rows(tiny(MIXED), tmp_path)
    made = BatchOrder(kinds, batch_size=8, seed=1)
    n = made.steps_per_epoch
    in_turn = steps(made, 3 * n)
    asked_late = BatchOrder(kinds, batch_size=8, seed=1)
    assert steps(asked_late, 1) + steps(made, 3 * n)[1:] == in_turn
    at_once = BatchOrder(kinds, batch_size=8, seed=1).at(2 * n + 3)[1]
    assert at_once.tolist() == in_turn[2 * n + 3][1]
    assert in_turn[:n] != in_turn[n : 2 * n] != in_turn[2 * n :]
    assert steps(BatchOrder(kinds, batch_size=8, seed=2), n) != in_turn[:n]


def test_an_epoch_holds_all_sets_mixed(tmp_path, corpus_files):
    kinds = rows(tiny(MIXED), tmp_path)
    made = BatchOrder(kinds, batch_size=8, seed=0)
    assert made.steps_per_epoch == sum(kind.n_batches(8) for kind in kinds.values())
    names = [name for name, _ in steps(made, made.steps_per_epoch)]
    assert names.count("TextRows") == kinds["text"].n_batches(8)
    assert names != sorted(names)
    assert names != sorted(names, reverse=True)


def test_a_batch_larger_than_the_set_is_the_set(tmp_path, corpus_files):
    kinds = rows(tiny({"text": TEXT, "moods": MOODS}), tmp_path)
    made = BatchOrder(kinds, batch_size=10_000, seed=0)
    assert made.steps_per_epoch == 2
    assert sorted(len(made.at(step)[1]) for step in range(2)) == sorted(kind.n_rows for kind in kinds.values())


def test_a_split_that_a_set_lacks_has_no_rows(tmp_path, corpus_files):
    config = tiny({"text": TEXT, "moods": {**MOODS, "split": {"test": 0}}})
    assert list(rows(config, tmp_path, "test")) == ["text"]


# --------------------------------------------------------------------------------------------------------------- epochs


def read(order):
    """The rows of all steps by set, and the tokens that they read."""
    found = [order.at(step) for step in range(order.total_steps)]
    return sum(len(numbers) for _, numbers in found), sum(kind.batch(numbers).n_tokens for kind, numbers in found)


@pytest.mark.parametrize("epochs", [1.0, 3.0, 0.25, 2.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_equal_epochs_read_as_much_at_each_batch_size(epochs, seed):
    kinds = {
        "text": text_rows(100 * 8),
        "pairs": pair_rows([(12, 5)] * 100),  # equal lengths: any of them may be in the part of an epoch
    }
    for sets in ({"text": kinds["text"]}, {"pairs": kinds["pairs"]}):
        found = {read(BatchOrder(sets, batch_size=size, seed=seed, epochs=epochs)) for size in (10, 51, 64, 99, 128)}
        (of_each,) = found
        assert of_each == (100 * epochs, {"text": 8, "pairs": 16}[next(iter(sets))] * 100 * epochs)
    mixed = {read(BatchOrder(kinds, batch_size=size, seed=seed, epochs=epochs))[0] for size in (10, 51, 64, 128)}
    assert mixed == {200 * epochs}


def test_whole_epochs_read_all_tokens_of_pairs_of_any_length():
    kinds = {"pairs": pair_rows([(3 + i % 17, 1 + i % 5) for i in range(100)])}
    found = {read(BatchOrder(kinds, batch_size=size, seed=0, epochs=10)) for size in (10, 51, 64, 128)}
    assert found == {(1000, 10 * int(kinds["pairs"].lengths.sum()))}


def test_a_part_of_an_epoch_is_its_beginning():
    kinds = {"pairs": pair_rows([(3 + i % 17, 1) for i in range(100)])}
    whole = steps(BatchOrder(kinds, batch_size=8, seed=0, epochs=3), 39)
    order = BatchOrder(kinds, batch_size=8, seed=0, epochs=2.5)
    found = steps(order, order.total_steps)
    assert found[:-1] == whole[: len(found) - 1]
    assert found[-1][1] == whole[len(found) - 1][1][: len(found[-1][1])]
    assert steps(BatchOrder(kinds, batch_size=8, seed=0, epochs=2.5), len(found)) == found


def test_the_shortest_training_is_one_row():
    order = BatchOrder({"pairs": pair_rows([(3, 1)] * 10)}, batch_size=4, seed=0, epochs=1e-6)
    assert order.total_steps == 1
    assert len(order.at(0)[1]) == 1


# -------------------------------------------------------------------------------------------------------------- weights


def passes(kinds, weights, epochs, *, batch_size=8):
    """Of every set the examples of each epoch, in order."""
    made = BatchOrder(kinds, batch_size=batch_size, seed=1, weights=weights)
    seen = {name: [[] for _ in range(epochs)] for name in kinds}
    for step in range(epochs * made.steps_per_epoch):
        name, numbers = made.named(step)
        seen[name][step // made.steps_per_epoch].append(numbers.tolist())
    return seen


def examples_of(epoch):
    return sorted(row for batch in epoch for row in batch)


def test_a_weight_is_the_passes_over_a_set_in_an_epoch(tmp_path, corpus_files):
    kinds = rows(tiny(MIXED), tmp_path)
    plain = passes(kinds, {}, 2)
    assert passes(kinds, dict.fromkeys(kinds, 1.0), 2) == plain
    n = kinds["moods"].n_batches(8)
    seen = passes(kinds, {"moods": 2.0, "pairs": 0.5}, 4)
    assert [len(epoch) for epoch in seen["moods"]] == [2 * n] * 4
    once = [len(part) for part in plain["moods"]]
    assert once == [n, n]
    for epoch in seen["moods"]:
        counts = Counter(examples_of(epoch))
        assert max(counts.values()) == 2  # two passes, each of other batches
        assert sum(counts.values()) == 2 * len(examples_of(plain["moods"][0]))
    half = round(kinds["pairs"].n_batches(8) / 2)
    assert [len(epoch) for epoch in seen["pairs"]] == [half] * 4
    first, second = (set(examples_of(epoch)) for epoch in seen["pairs"][:2])
    assert len(first | second) >= len(examples_of(plain["pairs"][0]))  # all of a pass
    assert len(first & second) <= 8 * (2 * half - kinds["pairs"].n_batches(8))  # seven batches: one begins the next
    assert seen["moods"][0] != seen["moods"][1]


def test_two_sets_of_one_weight_come_each_in_an_order_of_its_own():
    kinds = {name: pair_rows([(3, 1)] * 40) for name in ("one", "other")}
    seen = passes(kinds, {"one": 2.0, "other": 2.0}, 1)
    assert sorted(map(sorted, seen["one"][0])) != sorted(map(sorted, seen["other"][0]))


def test_a_set_of_the_least_weight_has_a_batch_in_each_epoch():
    kinds = {name: pair_rows([(3, 1)] * 40) for name in ("one", "other")}
    seen = passes(kinds, {"one": 0.001}, 6)
    assert [len(epoch) for epoch in seen["one"]] == [1] * 6
    five = [row for epoch in seen["one"][:5] for row in examples_of(epoch)]
    assert len(five) == len(set(five)) == 40


def test_weighted_batches_are_a_function_of_the_step(tmp_path, corpus_files):
    kinds, weights = rows(tiny(MIXED), tmp_path), {"text": 0.3, "pairs": 1.7, "moods": 3.0}
    in_turn = BatchOrder(kinds, batch_size=4, seed=1, weights=weights)
    steps_of = [in_turn.named(step) for step in range(4 * in_turn.steps_per_epoch)]
    for step in (0, 5, in_turn.steps_per_epoch, 3 * in_turn.steps_per_epoch + 2):
        name, numbers = BatchOrder(kinds, batch_size=4, seed=1, weights=weights).named(step)
        assert (name, numbers.tolist()) == (steps_of[step][0], steps_of[step][1].tolist())
    wanted = {name: max(1, round(weights[name] * kind.n_batches(4))) for name, kind in kinds.items()}
    assert Counter(name for name, _ in steps_of) == {name: 4 * n for name, n in wanted.items()}
    assert in_turn.steps_per_epoch == sum(wanted.values())


@pytest.mark.parametrize("case", ["text", "pairs", "mixed"])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_epochs_of_any_number_of_steps_take_that_number(tmp_path, corpus_files, case, size):
    data = {"text": {"text": TEXT}, "pairs": {"pairs": PAIRS}, "mixed": MIXED}[case]
    sets = rows(tiny(data), tmp_path)
    whole = BatchOrder(sets, batch_size=size, seed=3, epochs=1)
    for steps_wanted in range(1, 2 * whole.steps_per_epoch + 2):
        epochs = whole.epochs_of(steps_wanted)
        assert BatchOrder(sets, batch_size=size, seed=3, epochs=epochs).total_steps == steps_wanted
        assert len(repr(epochs)) <= 8  # few decimals
