"""Diagnostics: closed forms, and values equal to loops over the formulas."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_loss import SHAPES, counted, ignored, inputs_of, vectors

from contriever_lite.diagnostics import (
    accuracy,
    alignment,
    deviation,
    effective_rank,
    mean_rank,
    uniformity,
)


def test_accuracy_counts_queries_whose_own_key_scores_highest() -> None:
    e = torch.eye(4)
    assert accuracy(e, e).item() == 1
    assert accuracy(e, e.roll(1, 0)).item() == 0
    assert accuracy(e, e[[0, 1, 3, 2]]).item() == 0.5
    assert accuracy(e, e, negatives=2 * e[:1]).item() == 0.75, "a negative beats one positive"
    assert accuracy(torch.cat([e, e.roll(1, 0)]), e).item() == 0.5, "two views of each query"


@given(st.integers(2, 6), st.integers(1, 4), st.sampled_from([0.5, 2.0]))
def test_alignment_and_uniformity_equal_loops(count: int, dimension: int, t: float) -> None:
    """mean_i |q_i - k_i|^2 and log mean_{i<j} exp(-t |x_i - x_j|^2)."""
    q = vectors(count, dimension, seed=7, unit=True).detach()
    k = vectors(count, dimension, seed=8, unit=True).detach()
    squares = [
        sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for x, y in zip(q, k, strict=True)
    ]
    assert alignment(q, k).item() == pytest.approx(float(sum(squares)) / count)
    pairs = [
        math.exp(-t * float((q[i] - q[j]).square().sum())) for j in range(count) for i in range(j)
    ]
    assert uniformity(q, t).item() == pytest.approx(math.log(sum(pairs) / len(pairs)), abs=1e-9)


def test_alignment_and_uniformity_at_their_ends() -> None:
    x = vectors(1, 3, unit=True).detach().expand(5, 3)
    assert alignment(x, x).item() == 0
    assert alignment(x, -x).item() == pytest.approx(4)
    assert uniformity(x).item() == 0
    poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(poles).item() == pytest.approx(-8)


@given(SHAPES, st.integers(0, 3))
def test_mean_rank_equals_a_loop(shape, seed: int) -> None:
    """1 + keys that score more + half of those that score the same; ignored keys do not count."""
    q, k, negatives = (x if x is None else x.detach().round() for x in inputs_of(shape))
    ignore = ignored(shape, seed)
    ranks, firsts = [], []
    for row, (own, rest) in zip(q, counted(q, k, negatives, ignore), strict=True):
        mine, others = float(row @ own), [float(row @ key) for key in rest]
        ranks.append(1 + sum(s > mine for s in others) + sum(s == mine for s in others) / 2)
        firsts.append(all(mine > s for s in others))
    assert mean_rank(q, k, negatives, ignore).item() == pytest.approx(sum(ranks) / len(q))
    assert accuracy(q, k, negatives, ignore).item() >= sum(firsts) / len(q) - 1e-6


def test_rank_and_accuracy_at_their_ends() -> None:
    e = torch.eye(4)
    assert mean_rank(e, e).item() == 1
    assert mean_rank(e, -e).item() == 4
    assert mean_rank(torch.ones(4, 2), torch.ones(4, 2)).item() == 2.5, "all alike: the middle"
    assert mean_rank(e, e, 2 * e[:2]).item() == 1.5
    beaten = torch.zeros(4, 6, dtype=torch.bool)
    beaten[:, 4:] = True
    assert mean_rank(e, e, 2 * e[:2], beaten).item() == 1
    assert accuracy(e, e, 2 * e[:2]).item() == 0.5
    assert accuracy(e, e, 2 * e[:2], beaten).item() == 1


def test_effective_rank_at_its_ends() -> None:
    for n in (1, 3, 7):
        rotation = torch.linalg.qr(vectors(7, 7, seed=n).detach()).Q
        assert effective_rank(rotation[:n]).item() == pytest.approx(n, rel=1e-5), "orthonormal"
        assert effective_rank(5 * rotation[:n]).item() == pytest.approx(n, rel=1e-5), "no scale"
    line = torch.outer(torch.arange(1.0, 6), torch.arange(1.0, 4))
    assert effective_rank(line).item() == pytest.approx(1, abs=1e-4)
    assert effective_rank(torch.zeros(5, 3)).item() == 0


def test_effective_rank_equals_its_formula() -> None:
    """exp of the entropy of the singular values' shares; the values are known by construction."""
    sigma = torch.tensor([4.0, 2.0, 1.0, 0.0])
    left = torch.linalg.qr(vectors(6, 6, seed=1).detach().float()).Q[:, :4]
    right = torch.linalg.qr(vectors(4, 4, seed=2).detach().float()).Q
    expected = math.exp(-sum(p * math.log(p) for p in (4 / 7, 2 / 7, 1 / 7)))
    assert effective_rank(left * sigma @ right).item() == pytest.approx(expected, rel=1e-4)


@given(st.integers(1, 6), st.integers(1, 5))
def test_deviation_equals_a_loop(count: int, dimension: int) -> None:
    """mean_j sqrt(mean_i (x_ij - mean_i x_ij)^2)."""
    x = vectors(count, dimension, seed=9).detach()
    expected = []
    for column in x.T.tolist():
        mean = sum(column) / count
        expected.append(math.sqrt(sum((value - mean) ** 2 for value in column) / count))
    assert deviation(x).item() == pytest.approx(sum(expected) / dimension, abs=1e-9)


def test_deviation_tells_collapse_from_an_even_spread() -> None:
    assert deviation(torch.ones(50, 8)).item() == 0
    even = vectors(4000, 16, unit=True).detach()
    assert deviation(even).item() == pytest.approx(1 / 4, rel=0.02), "1 / sqrt(16)"


def test_effective_rank_of_half_the_bits() -> None:
    """Encoders may give bfloat16, which has no singular values of its own."""
    assert effective_rank(torch.eye(5, 8).bfloat16()).item() == pytest.approx(5, rel=1e-5)
