"""The queue is a list of which only the last keys are kept."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_loss import vectors

from contriever_lite.errors import ConfigError
from contriever_lite.key_queue import KeyQueue
from contriever_lite.rng import torch_stream

PUSHES = st.lists(st.integers(0, 9), max_size=12)


def batch(number: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys that all differ, with a number for the text of each."""
    return vectors(count, 3, seed=100 + number).detach().float(), torch.arange(count) + 10 * number


def contents(queue: KeyQueue) -> list[tuple]:
    """(key, document, age) of what counts, the oldest first."""
    keys, documents = queue.negatives()
    rows = zip(keys.tolist(), documents.tolist(), queue.ages().tolist(), strict=True)
    filled = list(rows)
    start = queue.place if len(queue) == queue.size else 0
    return filled[start:] + filled[:start]


@given(st.integers(1, 12), PUSHES)
def test_any_sequence_of_pushes_equals_a_list(size: int, pushes: list[int]) -> None:
    """Batches smaller and larger than the queue, empty ones, and every wrap."""
    queue, listed, place = KeyQueue(size, 3), [], 0
    for number, count in enumerate(pushes):
        keys, documents = batch(number, count)
        queue.push(keys, documents)
        listed += [
            (key, text, number) for key, text in zip(keys.tolist(), documents.tolist(), strict=True)
        ]
        place = (place + count) % size  # p <- p + n, mod size
        expected = [(key, text, number + 1 - pushed) for key, text, pushed in listed[-size:]]
        assert contents(queue) == expected
        assert len(queue) == len(expected)
        assert queue.place == place
        for offset, (key, _, _) in enumerate(reversed(expected), 1):
            assert queue.keys[(place - offset) % size].tolist() == key


def test_only_places_that_were_written_are_negatives() -> None:
    queue = KeyQueue(10, 3)
    assert len(queue) == 0
    assert queue.negatives()[0].shape == (0, 3)
    assert queue.ages().shape == (0,)
    queue.push(*batch(0, 4))
    keys, documents = queue.negatives()
    assert torch.equal(keys, batch(0, 4)[0])
    assert documents.tolist() == [0, 1, 2, 3]
    assert queue.ages().tolist() == [1, 1, 1, 1]


def test_pushed_keys_are_copies_without_gradient() -> None:
    keys = vectors(2, 3)
    queue = KeyQueue(4, 3)
    queue.push(keys)
    with torch.no_grad():
        keys.zero_()
    found, documents = queue.negatives()
    assert found.abs().sum() > 0
    assert not found.requires_grad
    assert found.dtype == torch.float32
    assert documents.tolist() == [-1, -1], "no text known"


@given(st.integers(1, 12), PUSHES, PUSHES)
def test_a_saved_queue_goes_on_identically(size: int, before: list[int], after: list[int]) -> None:
    whole = KeyQueue(size, 3)
    for number, count in enumerate(before):
        whole.push(*batch(number, count))
    loaded = KeyQueue(size, 3, noise=torch_stream(5, "noise"))
    loaded.load_state_dict(whole.state_dict())
    for number, count in enumerate(after, len(before)):
        whole.push(*batch(number, count))
        loaded.push(*batch(number, count))
        assert contents(loaded) == contents(whole)
    assert loaded.ages().tolist() == whole.ages().tolist()


def test_noise_counts_where_it_is_asked_for_until_keys_replace_it() -> None:
    queue = KeyQueue(6, 3, noise=torch_stream(0, "noise"))
    noise = queue.negatives()[0].clone()
    assert len(queue) == 6
    torch.testing.assert_close(noise.norm(dim=1), torch.ones(6))
    again = KeyQueue(6, 3, noise=torch_stream(0, "noise")).negatives()[0]
    assert torch.equal(noise, again)
    keys, documents = batch(0, 4)
    queue.push(keys, documents)
    assert torch.equal(queue.negatives()[0], torch.cat([keys, noise[4:]]))
    assert queue.negatives()[1].tolist() == [0, 1, 2, 3, -1, -1]
    assert queue.ages().tolist() == [1, 1, 1, 1, 2, 2]
    queue.push(*batch(1, 4))
    assert queue.negatives()[1].tolist() == [12, 13, 2, 3, 10, 11]


@pytest.mark.parametrize("size", [0, -3])
def test_a_queue_without_places_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"queue_size = {size}: must be at least 1"):
        KeyQueue(size, 4)
