"""Freed memory comes back without page faults, where the C library is glibc."""

import platform
import subprocess
import sys

import pytest
import torch

from contriever_lite import memory

COUNT = """
import resource, sys
import numpy as np
from contriever_lite.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(3):
    np.ones(5_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_blocks_are_kept() -> None:
    def faults(mode: str) -> int:
        command = [sys.executable, "-c", COUNT, mode]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert faults("keep") < 500


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_freed_memory() is False


def test_live_bytes_counts_what_is_alive_and_each_storage_once() -> None:
    before = torch.ones(1000)
    with memory.LiveBytes() as held:
        first = before + 1
        assert held.live == held.peak == 4000
        half = first[:500]  # a view
        first.mul_(2)
        before.t()
        assert held.live == 4000
        second = torch.cat([first, half])
        assert held.live == held.peak == 4000 + 6000
        del first, second
        assert held.live == 4000, "the view keeps its storage"
        del half
    assert (held.live, held.peak) == (0, 10_000)


def test_live_bytes_sees_what_a_graph_keeps_until_backward() -> None:
    weight = torch.ones(10, 10, requires_grad=True)
    x = torch.ones(50, 10)
    with memory.LiveBytes() as held:
        loss = (x @ weight).sigmoid().sum()
        assert held.live == 50 * 10 * 4 + 4, "sigmoid keeps its result, the product is gone"
        loss.backward()
        assert held.live == 4 + weight.grad.nbytes
    with memory.LiveBytes() as held, torch.no_grad():
        loss = (x @ weight).sigmoid().sum()
        assert held.live == 4


def test_live_bytes_passes_over_sparse_tensors() -> None:
    table = torch.ones(10, 2, requires_grad=True)
    with memory.LiveBytes() as held:
        torch.nn.functional.embedding(torch.tensor([1, 3]), table, sparse=True).sum().backward()
    assert table.grad.is_sparse
    assert held.peak > 0
