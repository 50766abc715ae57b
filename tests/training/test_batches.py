"""Batches: what is seen in an epoch, in which order, and what each position is asked to predict."""

from collections import Counter

import numpy as np
import pytest
import torch

from hpsearch.data.corpus import PairTokens, TextTokens
from hpsearch.training.batches import PAD_TO, BatchOrder, PairRows, TextRows
from hpsearch.training.evaluation import score
from tests.training.tiny import CPU, MIXED, MOODS, PAIRS, TEXT, model, opened, rows, tiny


def text_rows(n_tokens, *, context=8):
    return TextRows(TextTokens(np.arange(n_tokens, dtype=np.int32), n_bytes=n_tokens), context=context, device=CPU)


def pair_rows(shapes, *, context=64):
    """Pairs of (prompt length, target length); every token is another number, so that it says where it comes from."""
    lengths = [prompt + target for prompt, target in shapes]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    prompts = np.array([prompt for prompt, _ in shapes], np.int32)
    pairs = PairTokens(np.arange(starts[-1], dtype=np.int32), starts, prompts, np.ones(len(shapes), np.int32))
    return PairRows(pairs, context=context, device=CPU)


def epoch(kind, *, seed=0, batch_size=4):
    return kind.order(np.random.default_rng(seed), batch_size)


def steps(order, n):
    return [(type(kind).__name__, numbers.tolist()) for kind, numbers in map(order.at, range(n))]


# ----------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize("n_tokens", [9, 10, 17, 18, 100, 101, 104, 105, 1000])
def test_an_epoch_of_text_sees_no_token_twice_and_leaves_out_less_than_two_rows(n_tokens):
    kind = text_rows(n_tokens)
    for seed in range(5):
        targets = torch.cat([kind.batch(starts).targets for starts in epoch(kind, seed=seed, batch_size=1)])
        assert len(targets.unique()) == len(targets)
        assert targets.min() >= 1
        assert n_tokens - 1 - len(targets) < 2 * 8


def test_rows_of_text_are_consecutive_tokens_and_predict_the_next():
    kind = text_rows(100)
    for starts in epoch(kind):
        batch = kind.batch(starts)
        assert batch.positions is None
        assert batch.tokens.tolist() == [list(range(start, start + 8)) for start in starts]
        assert torch.equal(batch.targets, batch.tokens.flatten() + 1)
        assert batch.n_tokens == kind.n_targets(starts) == batch.targets.numel() == len(starts) * 8


def test_text_begins_at_another_offset_each_epoch_and_reaches_its_end():
    kind = text_rows(100)
    seen = [np.concatenate(epoch(kind, seed=seed, batch_size=1)) for seed in range(300)]
    offsets = {int(starts.min()) for starts in seen}
    assert offsets == set(range(12))  # 99 targets, 11 rows of 8 and 11 tokens of room
    assert max(starts.max() for starts in seen) + 8 == 99  # the last token is a target now and then


def test_a_batch_of_text_leaves_out_the_remainder():
    kind = text_rows(8 * 12 + 1)  # 11 rows and a spare one
    assert [len(starts) for starts in epoch(kind)] == [4, 4]
    assert kind.n_batches(4) == 2


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
def test_an_epoch_of_pairs_sees_each_once_up_to_the_remainder(n, batch_size):
    kind = pair_rows([(3 + i % 5, 1 + i % 3) for i in range(n)])
    batches = epoch(kind, batch_size=batch_size)
    seen = np.concatenate(batches)
    assert len(set(seen)) == len(seen) == (n if n < batch_size else n // batch_size * batch_size)
    assert all(len(batch) == min(n, batch_size) for batch in batches)
    assert kind.n_batches(batch_size) == len(batches)


def test_the_longest_and_the_shortest_pairs_are_left_out_no_more_than_others():
    kind = pair_rows([(3 + i, 1) for i in range(40)])
    counts = np.bincount(np.concatenate([batch for s in range(400) for batch in epoch(kind, seed=s, batch_size=32)]))
    assert (abs(counts / 400 - 32 / 40) < 5 * (0.8 * 0.2 / 400) ** 0.5).all()  # five standard deviations


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


def test_a_pair_longer_than_the_budget_still_comes():
    assert [numbers.tolist() for numbers, _ in pair_rows([(3, 2), (30, 2)]).in_turn(4)] == [[0], [1]]


@pytest.mark.parametrize("context", [8, 9, 12, 31])
def test_pairs_are_cut_to_the_context_and_keep_separator_and_target(context):
    shapes = [(50, 1), (50, 3), (3, 50), (50, 50), (4, 2), (context, 1), (context + 1, 1)]
    kind = pair_rows(shapes, context=context)
    whole = np.concatenate([[0], np.cumsum([p + t for p, t in shapes])])
    for i, (n_prompt, n_target) in enumerate(shapes):
        row = kind.tokens[kind.starts[i] : kind.starts[i + 1]] - whole[i]
        prompt, target = row[: kind.prompts[i]], row[kind.prompts[i] :]
        assert len(row) <= context + 1
        assert len(row) == min(n_prompt + n_target, context + 1)  # nothing is cut that has room
        assert prompt[-1] == n_prompt - 1  # the separator
        assert prompt[0] == 0  # the task's token
        assert target.tolist() == list(range(n_prompt, n_prompt + len(target)))
        assert len(target) == n_target or len(prompt) <= context // 2
        assert kind.prompt(i) == (prompt + whole[i]).tolist()
    assert kind.batch(np.arange(len(shapes))).tokens.shape[1] <= context


def test_a_row_does_not_depend_on_its_batch(tmp_path, corpus_files):
    config = tiny({"pairs": PAIRS}, model={"context": 36})  # no multiple of what lengths are rounded up to
    net, (kind,) = model(config, opened(config, tmp_path)).eval(), rows(config, tmp_path).values()
    numbers = np.arange(kind.n_rows)
    with torch.no_grad():
        together = score(net, kind.batch(numbers))
        alone = [score(net, kind.batch(numbers[i : i + 1])) for i in range(kind.n_rows)]
        unpadded = []
        for i in range(kind.n_rows):
            tokens = torch.from_numpy(kind.tokens[kind.starts[i] : kind.starts[i + 1]].astype(np.int64))
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
