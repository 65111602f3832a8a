"""Diagnostics: closed forms, and values equal to loops over the formulas."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_loss import vectors

from contriever_lite.diagnostics import accuracy, alignment, uniformity


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
