"""Streams: the same for the same arguments, another for any other, and nobody else's."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.rng import stream, torch_stream

PLACES = st.tuples(
    st.integers(0, 2**31),
    st.sampled_from(["views", "epoch", "encoder"]),
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(0, 2**20),
)


def draws(place: tuple, count: int = 4) -> list[int]:
    seed, purpose, rank, worker, step = place
    generator = stream(seed, purpose, rank=rank, worker=worker, step=step)
    return generator.integers(2**62, size=count).tolist()


@given(PLACES, PLACES)
def test_equal_arguments_equal_numbers_and_only_they(one: tuple, other: tuple) -> None:
    assert draws(one) == draws(one)
    assert (draws(one) == draws(other)) == (one == other)


def test_each_argument_counts() -> None:
    places = list(itertools.product((0, 1), ("views", "epoch"), (0, 1), (0, 1), (0, 1)))
    assert len({tuple(draws(place)) for place in places}) == len(places) == 32


def test_neighbouring_streams_are_not_correlated() -> None:
    """Correlations of independent normal draws have standard deviation 1 / sqrt(n)."""
    count = 10_000
    rows = np.stack([stream(0, "views", step=s).standard_normal(count) for s in range(12)])
    correlations = np.corrcoef(rows)[np.triu_indices(12, 1)]
    assert np.abs(correlations).max() < 5 / count**0.5


@pytest.mark.parametrize("negative", ["seed", "rank", "worker", "step"])
def test_a_negative_number_is_refused(negative: str) -> None:
    seed, places = 0, {"rank": 0, "worker": 0, "step": 0}
    if negative == "seed":
        seed = -1
    else:
        places[negative] = -1
    with pytest.raises(ValueError, match="must be 0 or more"):
        stream(seed, "views", **places)


def test_torch_streams_follow_the_same_rule() -> None:
    def numbers(*arguments: object, **places: int) -> list[float]:
        return torch.rand(4, generator=torch_stream(*arguments, **places)).tolist()

    assert numbers(3, "encoder") == numbers(3, "encoder")
    others = [numbers(4, "encoder"), numbers(3, "views"), numbers(3, "encoder", rank=1),
              numbers(3, "encoder", step=1)]  # fmt: skip
    assert numbers(3, "encoder") not in others


def test_drawing_a_stream_leaves_the_global_generators_alone() -> None:
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    stream(1, "views").random(10)
    torch.rand(10, generator=torch_stream(1, "views"))
    assert np.random.get_state()[1].tolist() == before[0]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
