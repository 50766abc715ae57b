"""Memory: errors of its want, what the process has, and the peak of each training."""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import subprocess
import sys

import pytest
import torch

from hpsearch.training import memory
from hpsearch.training.loop import train
from tests.training.tiny import TEXT, handle, tiny

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from Linux's /proc")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: str(error)[:30],
)
def test_errors_of_the_want_of_memory_are_told(error):
    assert memory.ran_out(error)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal memory access"), ValueError("out of memory")])
def test_from_others(error):
    assert not memory.ran_out(error)


def test_torch_says_so_when_the_cpu_has_no_more():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.ran_out(caught.value)


@contextlib.contextmanager
def filled(size):
    """Memory mapped by the system: `free` may keep it in the process (glibc, after a `keep_freed` of another test)."""
    with mmap.mmap(-1, size) as held:
        for start in range(0, size, mmap.PAGESIZE):
            held[start] = 1
        yield


@LINUX
def test_a_peak_is_seen_and_forgotten():
    memory.forget_peak()
    before = memory.peak()
    with filled(200 << 20):
        assert memory.peak() - before > 190 << 20
        assert memory.resident() - before > 190 << 20
    assert memory.peak() - before > 190 << 20
    memory.forget_peak()
    assert memory.peak() - before < 100 << 20


@LINUX
def test_each_evaluation_says_the_peak_of_its_own_training(tmp_path, corpus_files):
    with filled(300 << 20):
        high = memory.peak()
    peaks = [evaluation.peak_memory for evaluation in train(tiny({"text": TEXT}), handle(tmp_path))]
    assert 1 << 26 < peaks[0] < high - (200 << 20)  # not that of what was before
    assert peaks == sorted(peaks)


KEPT = """
import torch
from hpsearch.training import memory
memory.keep_freed()
before = memory.resident()
for _ in range(10):
    torch.ones(16 << 20)  # 64 MiB, freed at once
kept = memory.resident()
memory.give_back()
print([(size - before) >> 20 for size in (kept, memory.resident())])
"""


@LINUX
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library than glibc")
@pytest.mark.parametrize(("environment", "kept"), [({}, True), ({"MALLOC_PERTURB_": "0"}, False)])
def test_what_a_step_frees_is_there_for_the_next_until_it_is_given_back(environment, kept):
    """Unless somebody has set an allocator up."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(memory.OWN_WAY)}
    done = subprocess.run([sys.executable, "-c", KEPT], env=clean | environment, capture_output=True, text=True)
    assert done.stderr == ""
    between, at_last = json.loads(done.stdout)
    assert (between > 60) == kept
    assert at_last < 30
