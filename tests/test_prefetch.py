"""Prefetching changes when a batch is drawn, and nothing else."""

import threading
import time

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.batch import PairBatch, batch_of_step
from contriever_lite.prefetch import DEPTH, Prefetch, each

CORPUS, CPU = synthetic.corpus(), torch.device("cpu")


def draw(step: int) -> PairBatch:
    return batch_of_step(CORPUS, np.arange(len(CORPUS)), synthetic.SMALL, step)


def tensors(pairs: PairBatch) -> list[torch.Tensor]:
    found = []
    each(pairs, lambda x: found.append(x) or x)
    return found


def test_batches_come_in_order_and_unchanged() -> None:
    with Prefetch(draw, range(3, 9), CPU) as batches:
        found = dict(batches)
    assert list(found) == list(range(3, 9))
    for step, pairs in found.items():
        expected = tensors(draw(step))
        assert len(expected) == 5
        for one, other in zip(tensors(pairs), expected, strict=True):
            assert torch.equal(one, other)


def test_it_is_ahead_by_its_depth_and_no_more() -> None:
    drawn = []
    with Prefetch(lambda step: drawn.append(step) or torch.zeros(1), range(10), CPU) as batches:
        for step, _ in batches:
            time.sleep(0.02)
            assert drawn == list(range(min(10, step + DEPTH)))
    with Prefetch(draw, range(0), CPU) as batches:
        assert list(batches) == []


def test_an_error_comes_up_where_its_batch_is_asked_for() -> None:
    def failing(step: int) -> torch.Tensor:
        if step == 4:
            raise ValueError("no such document")
        return torch.tensor(step)

    seen = []
    with (
        pytest.raises(ValueError, match="no such document"),
        Prefetch(failing, range(9), CPU) as batches,
    ):
        seen += [step for step, _ in batches]
    with Prefetch(failing, range(9), CPU) as batches:
        taken = iter(batches)
        assert [next(taken)[0] for _ in range(4)] == [0, 1, 2, 3]
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]


def stopped_at(last: int) -> None:
    with Prefetch(draw, range(99), CPU) as batches:
        for step, _ in batches:
            if step == last:
                raise KeyboardInterrupt


def test_no_thread_stays_behind_a_stop() -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped_at(2)
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch")]
