"""The memory-mapped arrays of a corpus."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hpsearch.data.token_arrays import map_set
from hpsearch.training.batches import BatchOrder, PairRows, TextRows

SIZE = 64 << 20
SMAPS = Path("/proc/self/smaps_rollup")

pytestmark = pytest.mark.skipif(not SMAPS.exists(), reason="the system does not say what a process shares")


def private():
    """Bytes of this process that no file backs, so that no other process shares them."""
    return int(re.search(r"Anonymous: +(\d+) kB", SMAPS.read_text())[1]) * 1024


def trained(folder, task, kind):
    """Private bytes that twenty batches of a mapped set take, and how many targets they have."""
    counts = {"n_bytes": 1} if kind is TextRows else {}
    about = {"task": task, "splits": {"train": counts}, "label_names": [], "label_ids": []}
    before = private()
    rows = kind(map_set(folder, "set", about).splits["train"], context=64, device=torch.device("cpu"))
    order = BatchOrder({"set": rows}, batch_size=8, seed=0)
    batches = [rows.batch(numbers) for _, numbers in map(order.at, range(20))]
    assert all((batch.targets == 1).all() for batch in batches)
    return private() - before, sum(len(batch.targets) for batch in batches)


def write_ones(folder):
    """64 MiB of tokens, without having them in memory that could be used again."""
    path = folder / "train-tokens.npy"
    tokens = np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=(SIZE // 4,))
    tokens[:] = 1
    tokens.flush()


def test_processes_share_the_tokens_of_a_text(tmp_path):
    write_ones(tmp_path)
    (tmp_path / "train-tokens.npy").chmod(0o400)
    taken, n_targets = trained(tmp_path, "text", TextRows)
    assert n_targets == 20 * 8 * 64
    assert taken < SIZE // 4


def test_processes_share_the_tokens_of_pairs_that_are_cut(tmp_path):
    n = 1 << 13
    length = SIZE // 4 // n  # of which the context holds a part
    write_ones(tmp_path)
    arrays = {
        "starts": np.arange(n + 1, dtype=np.int64) * length,
        "prompt_lengths": np.full(n, length // 2, np.int32),
        "target_bytes": np.ones(n, np.int32),
        "references": np.ones(n, np.uint8),
        "references-starts": np.arange(n + 1, dtype=np.int64),
        "sources": np.ones(n, np.uint8),
        "sources-starts": np.arange(n + 1, dtype=np.int64),
    }
    for key, array in arrays.items():
        np.save(tmp_path / f"train-{key}.npy", array)
    taken, n_targets = trained(tmp_path, "translation", PairRows)
    assert n_targets == 20 * 8 * 33  # half of 64 and the one behind
    assert taken < SIZE // 4


def test_writing_to_what_is_mapped_leaves_the_file(tmp_path):
    np.save(tmp_path / "train-tokens.npy", np.ones(100, np.int32))
    about = {"task": "text", "splits": {"train": {"n_bytes": 1}}, "label_names": [], "label_ids": []}
    map_set(tmp_path, "set", about).splits["train"].tokens[:] = 2
    assert np.load(tmp_path / "train-tokens.npy").tolist() == [1] * 100
