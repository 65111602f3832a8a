"""Batches: nothing added, nothing lost, each document once an epoch, the same when asked again."""

import numpy as np
import pytest
import synthetic
import torch
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.batch import (
    TokenBatch,
    batch_of_step,
    concatenate,
    documents_of_step,
    text_numbers,
    to_tensors,
)
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import ragged

ROWS = st.lists(st.lists(st.integers(5, 99), max_size=6), max_size=7)


def unpadded(batch: TokenBatch, pad: int = 0) -> list[list[int]]:
    ids, mask = batch.padded(pad)
    assert ids.shape == mask.shape == (len(batch), max(batch.lengths.tolist(), default=0))
    assert (ids[mask == 0] == pad).all()
    assert (mask.diff(dim=1) <= 0).all(), "padding stands at the end"
    return [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)]


@given(ROWS)
def test_padding_gives_the_rows_back(rows: list[list[int]]) -> None:
    batch = to_tensors(ragged(rows))
    assert unpadded(batch) == rows
    assert batch.tokens.dtype == batch.lengths.dtype == torch.int64
    assert batch.offsets.tolist() == [sum(map(len, rows[:i])) for i in range(len(rows))]
    assert len(batch) == len(rows)


@given(ROWS, ROWS)
def test_two_batches_become_one(first: list[list[int]], second: list[list[int]]) -> None:
    both = concatenate([to_tensors(ragged(first)), to_tensors(ragged(second))])
    assert unpadded(both) == first + second


def test_a_batch_moves_whole() -> None:
    moved = to_tensors(ragged([[5, 6], [7]])).to("meta")
    assert moved.tokens.device.type == moved.lengths.device.type == "meta"


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 3))
def test_an_epoch_visits_each_document_at_most_once(documents, batch, seed) -> None:
    usable = np.arange(100, 100 + documents) ** 2
    config = TrainConfig(seed=seed, batch_size=min(batch, documents))
    steps = documents // config.batch_size
    for epoch in range(2):
        places = range(epoch * steps, (epoch + 1) * steps)
        visited = np.concatenate([documents_of_step(usable, config, s) for s in places])
        assert len(visited) == steps * config.batch_size
        assert len(set(visited.tolist())) == len(visited)
        assert set(visited.tolist()) <= set(usable.tolist())


def test_over_many_epochs_every_document_comes_alike() -> None:
    """Ten of 25 documents are left out of no epoch in particular: counts are binomial."""
    usable, config, epochs = np.arange(25), TrainConfig(batch_size=15), 2_000
    drawn = np.concatenate([documents_of_step(usable, config, step) for step in range(epochs)])
    counts = np.bincount(drawn, minlength=25)
    assert np.abs(counts - epochs * 0.6).max() < 5 * np.sqrt(epochs * 0.6 * 0.4)


def test_documents_of_a_step_are_a_function_of_it_alone() -> None:
    usable, config = np.arange(40), TrainConfig(batch_size=8, seed=1)
    forwards = [documents_of_step(usable, config, step).tolist() for step in range(15)]
    backwards = [documents_of_step(usable, config, step).tolist() for step in range(14, -1, -1)]
    assert forwards == backwards[::-1]
    assert forwards[:5] != forwards[5:10], "each epoch has an order of its own"
    assert documents_of_step(usable, config.replace(seed=2), 0).tolist() != forwards[0]


def test_what_is_returned_may_be_written_to() -> None:
    usable, config = np.arange(10), TrainConfig(batch_size=5)
    before = documents_of_step(usable, config, 0).tolist()
    documents_of_step(usable, config, 0)[:] = -1
    assert documents_of_step(usable, config, 0).tolist() == before
    assert usable.tolist() == list(range(10))


@pytest.mark.parametrize("step", [0, 17])
def test_a_pair_belongs_to_the_documents_of_its_step(step: int) -> None:
    corpus, config = synthetic.corpus(), synthetic.SMALL
    usable = np.arange(len(corpus))
    pairs = batch_of_step(corpus, usable, config, step)
    again = batch_of_step(corpus, usable, config, step)
    assert pairs.both.tokens.tolist() == again.both.tokens.tolist()
    assert len(pairs.query) == len(pairs.key) == len(pairs) == config.batch_size
    rows = corpus.documents(documents_of_step(usable, config, step)).rows()
    for side in (pairs.query, pairs.key):
        for view, document in zip(unpadded(side), rows, strict=True):
            assert view
            assert set(view) <= set(document.tolist())
    for other in (config.replace(seed=5), None):
        different = batch_of_step(corpus, usable, other or config, step + (other is None))
        assert different.query.tokens.tolist() != pairs.query.tokens.tolist()


def test_every_step_draws_its_own_views() -> None:
    """All documents are as long as each other, so lengths of views show the draws alone."""
    corpus, config = synthetic.corpus(), synthetic.SMALL
    assert len(set(corpus.lengths.tolist())) == 1
    usable = np.arange(len(corpus))
    lengths = {
        tuple(batch_of_step(corpus, usable, config, step).key.lengths.tolist()) for step in range(4)
    }
    assert len(lengths) == 4


@pytest.mark.parametrize(("views", "world"), [(1, 2), (3, 2), (2, 4)])
def test_the_parts_of_all_processes_are_the_batch(views: int, world: int) -> None:
    corpus, config = synthetic.corpus(), synthetic.SMALL.replace(query_views=views, batch_size=8)
    whole = batch_of_step(corpus, np.arange(len(corpus)), config, 3)
    assert whole.views == views
    parts = [whole.part(rank, world) for rank in range(world)]
    keys = [row for part in parts for row in unpadded(part.key)]
    assert keys == unpadded(whole.key)
    assert torch.cat([part.documents for part in parts]).equal(whole.documents)
    of_view = [
        [row for part in parts for row in unpadded(part.query)[v * len(part) : (v + 1) * len(part)]]
        for v in range(views)
    ]
    assert [row for rows in of_view for row in rows] == unpadded(whole.query)


def test_equal_texts_have_equal_numbers_and_others_do_not() -> None:
    rows = ragged([[1, 2, 3], [1, 2], [3], [1, 2, 3], [], [3, 1, 2], []])
    numbers = text_numbers(rows).tolist()
    assert numbers[0] == numbers[3]
    assert numbers[4] == numbers[6]
    assert len(set(numbers)) == 5


def test_the_seed_decides_the_views() -> None:
    corpus, config = synthetic.corpus(), synthetic.SMALL.replace(batch_size=2)
    batches = [
        batch_of_step(corpus, np.array([0, 0]), config.replace(seed=seed), 0) for seed in range(5)
    ]
    assert len({tuple(batch.key.tokens.tolist()) for batch in batches}) > 1


def test_the_last_part_may_be_small_and_rows_may_be_none() -> None:
    batch = TokenBatch(torch.arange(6), torch.tensor([1, 2, 3]))
    assert [part.tokens.tolist() for part in batch.parts(2)] == [[0, 1, 2], [3, 4, 5]]
    assert len(batch.take(torch.tensor([], dtype=torch.int64))) == 0
