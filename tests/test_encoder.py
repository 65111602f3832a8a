"""The bag of word pieces equals a loop over its formula, gradients included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contriever_lite.batch import TokenBatch, to_tensors
from contriever_lite.corpus import ragged
from contriever_lite.encoder import BagEncoder
from contriever_lite.rng import torch_stream

PIECES, DIMENSION = 20, 6
ROWS = st.lists(st.lists(st.integers(0, PIECES - 1), max_size=9), max_size=5)


def bag(normalise: bool = True) -> BagEncoder:
    encoder = BagEncoder(PIECES, DIMENSION, normalise=normalise, generator=torch_stream(0, "test"))
    with torch.no_grad():
        encoder.log_weights.normal_(generator=torch_stream(1, "test"))
    return encoder.double()


def naive(encoder: BagEncoder, rows: list[list[int]]) -> Tensor:
    """f(x) = sum_{t in x} exp(a_t) v_t, then f(x) / |f(x)| if normalise: a token at a time."""
    vectors = []
    for row in rows:
        total = torch.zeros(DIMENSION, dtype=torch.float64)
        for piece in row:
            total = total + encoder.log_weights[piece].exp() * encoder.vectors[piece]
        vectors.append(total / total.norm() if encoder.normalise and row else total)
    return torch.stack(vectors) if vectors else torch.zeros(0, DIMENSION, dtype=torch.float64)


def batch(rows: list[list[int]]) -> TokenBatch:
    return to_tensors(ragged(rows))


def dense(gradient: Tensor | None) -> Tensor:
    return gradient.to_dense() if gradient.is_sparse else gradient


@settings(max_examples=50)
@given(ROWS, st.booleans())
def test_values_and_gradients_equal_a_loop(rows: list[list[int]], normalise: bool) -> None:
    encoder = bag(normalise)
    vectors, expected = encoder(batch(rows)), naive(encoder, rows)
    torch.testing.assert_close(vectors, expected)
    if not any(rows):
        return
    direction = torch.randn(expected.shape, generator=torch_stream(2, "test"), dtype=torch.float64)
    for value in (vectors, expected):
        (value * direction).sum().backward()
        if value is vectors:
            found = [dense(p.grad) for p in encoder.parameters()]
            encoder.zero_grad()
    for gradient, parameter in zip(found, encoder.parameters(), strict=True):
        torch.testing.assert_close(gradient, dense(parameter.grad))


def test_gradients_touch_only_the_rows_of_the_batch() -> None:
    encoder = bag()
    encoder(batch([[3, 5, 3], [7]]))[:, 0].sum().backward()
    for parameter in encoder.parameters():
        assert parameter.grad.is_sparse
        assert set(parameter.grad.coalesce().indices()[0].tolist()) == {3, 5, 7}


@given(st.permutations([1, 1, 2, 3, 5, 8]))
def test_order_does_not_matter(row: list[int]) -> None:
    encoder = bag()
    torch.testing.assert_close(encoder(batch([row])), encoder(batch([[1, 1, 2, 3, 5, 8]])))


def test_a_repeated_token_counts_as_often_as_it_stands() -> None:
    encoder = bag(normalise=False)
    once, thrice, other = encoder(batch([[4], [4, 4, 4], [4, 9, 4, 4]]))
    torch.testing.assert_close(thrice, 3 * once)
    torch.testing.assert_close(other, thrice + encoder(batch([[9]]))[0])


def test_an_empty_row_is_the_zero_vector_and_moves_nobody() -> None:
    encoder = bag()
    vectors = encoder(batch([[], [1, 2], [], []]))
    assert vectors[[0, 2, 3]].eq(0).all()
    torch.testing.assert_close(vectors[1], encoder(batch([[1, 2]]))[0])
    vectors.sum().backward()
    assert all(p.grad.to_dense().isfinite().all() for p in encoder.parameters())
    assert encoder(batch([])).shape == (0, DIMENSION)
    assert encoder(batch([[], []])).shape == (2, DIMENSION)


def test_a_long_row_equals_the_loop() -> None:
    row = torch.randint(PIECES, (5_000,), generator=torch_stream(3, "test")).tolist()
    encoder = bag()
    torch.testing.assert_close(encoder(batch([row, [1]])), naive(encoder, [row, [1]]))


def test_vectors_have_length_one_where_they_are_normalised() -> None:
    rows = [[i, i + 1] for i in range(PIECES - 1)]
    torch.testing.assert_close(
        bag()(batch(rows)).norm(dim=1), torch.ones(len(rows), dtype=torch.float64)
    )
    assert bag(normalise=False)(batch(rows)).norm(dim=1).std() > 0.1


def test_the_start_is_drawn_from_the_generator_given() -> None:
    def start(seed: int, size: int = PIECES) -> BagEncoder:
        return BagEncoder(size, 64, generator=torch_stream(seed, "test"))

    assert torch.equal(start(0).vectors, start(0).vectors)
    assert not torch.equal(start(0).vectors, start(1).vectors)
    assert start(0).log_weights.eq(0).all(), "all weights are 1"
    squares = start(0, 2_000).vectors.square().sum(dim=1)
    assert abs(squares.mean().item() - 1) < 0.05, "each vector has a length near 1"
    assert start(0).dimension == 64


def test_weights_at_idf_are_bm25s() -> None:
    """exp(a_t) = log(1 + (N - df + 1/2) / (df + 1/2))."""
    encoder = BagEncoder(4, 2)
    frequency = torch.tensor([0, 1, 7, 10])
    encoder.start_weights_at_idf(frequency, 10)
    expected = torch.log(1 + (10 - frequency + 0.5) / (frequency + 0.5))
    torch.testing.assert_close(encoder.log_weights.exp()[:, 0], expected)
    assert (encoder.log_weights.diff(dim=0) < 0).all(), "the rarer, the heavier"
    assert encoder.log_weights.requires_grad


@pytest.mark.parametrize("normalise", [False, True])
def test_the_table_holds_what_each_piece_adds(normalise: bool) -> None:
    encoder = bag(normalise)
    table = encoder.table()
    assert not table.requires_grad
    summed = table[[2, 2, 5]].sum(dim=0)
    expected = summed / summed.norm() if normalise else summed
    torch.testing.assert_close(encoder(batch([[2, 2, 5]]))[0].detach(), expected)
