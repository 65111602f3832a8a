"""Losses: closed forms, and values and gradients equal to a loop over the formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contriever_lite.errors import ConfigError
from contriever_lite.loss import equation_1, info_nce
from contriever_lite.rng import torch_stream

# M views of each query, B keys, K negatives, D dimensions
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 4), st.integers(1, 4))
TEMPERATURES = st.sampled_from([0.05, 0.3, 1.0, 4.0])


def vectors(*shape: int, seed: int = 0, unit: bool = False) -> Tensor:
    x = torch.randn(*shape, generator=torch_stream(seed, "test"), dtype=torch.float64)
    return (F.normalize(x, dim=-1) if unit else x).requires_grad_()


def share(q: Tensor, keys: list[Tensor], positive: int, temperature: float) -> Tensor:
    """p = exp(q . k_+ / tau) / sum_j exp(q . k_j / tau)."""
    scores = [torch.dot(q, k) / temperature for k in keys]
    top = max(scores).detach()
    return (scores[positive] - top).exp() / sum((s - top).exp() for s in scores)


def shares(q, k, negatives, temperature) -> list[Tensor]:
    """p of each query's positive; row i mod B of k is the positive of row i of q."""
    keys = [*k, *(negatives if negatives is not None else [])]
    return [share(q[i], keys, i % len(k), temperature) for i in range(len(q))]


def naive_info_nce(q, k, negatives, temperature, symmetric) -> Tensor:
    loss = -sum(p.log() for p in shares(q, k, negatives, temperature)) / len(q)
    if not symmetric:
        return loss
    backwards = [
        share(k[j], list(view), j, temperature) for view in q.split(len(k)) for j in range(len(k))
    ]
    return (loss - sum(p.log() for p in backwards) / len(q)) / 2


def naive_equation_1(q, k, negatives, temperature) -> Tensor:
    return -sum(shares(q, k, negatives, temperature)) / len(q)


def check_value_and_gradient(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)


@settings(max_examples=40)
@given(SHAPES, TEMPERATURES, st.booleans())
def test_info_nce_equals_a_loop(shape, temperature, symmetric) -> None:
    m, b, n, d = shape
    q, k = vectors(m * b, d, seed=1), vectors(b, d, seed=2)
    negatives = vectors(n, d, seed=3) if n else None
    inputs = [q, k, *([negatives] if n else [])]
    check_value_and_gradient(
        info_nce(q, k, negatives, temperature, symmetric),
        naive_info_nce(q, k, negatives, temperature, symmetric),
        inputs,
    )


@settings(max_examples=40)
@given(SHAPES, TEMPERATURES)
def test_equation_1_equals_a_loop(shape, temperature) -> None:
    m, b, n, d = shape
    q, k = vectors(m * b, d, seed=1), vectors(b, d, seed=2)
    negatives = vectors(n, d, seed=3) if n else None
    inputs = [q, k, *([negatives] if n else [])]
    check_value_and_gradient(
        equation_1(q, k, negatives, temperature),
        naive_equation_1(q, k, negatives, temperature),
        inputs,
    )


@pytest.mark.parametrize("extra", [0, 7])
@pytest.mark.parametrize("temperature", [0.01, 0.05, 10.0])
def test_when_all_vectors_are_alike_the_loss_is_the_logarithm_of_their_number(
    extra: int, temperature: float
) -> None:
    same = vectors(1, 5, unit=True).detach().expand(6, 5)
    negatives = same[:1].expand(extra, 5) if extra else None
    assert info_nce(same, same, negatives, temperature).item() == pytest.approx(math.log(6 + extra))
    assert equation_1(same, same, negatives, temperature).item() == pytest.approx(-1 / (6 + extra))


def test_orthogonal_pairs_have_a_closed_form() -> None:
    """B pairs with q_i = k_i = e_i: loss = log(1 + (B - 1) exp(-1 / tau))."""
    e = torch.eye(4, dtype=torch.float64)
    for temperature in (0.05, 0.5, 2.0):
        expected = math.log(1 + 3 * math.exp(-1 / temperature))
        for symmetric in (False, True):
            found = info_nce(e, e, temperature=temperature, symmetric=symmetric).item()
            assert found == pytest.approx(expected)
        assert equation_1(e, e, temperature=temperature).item() == pytest.approx(
            -math.exp(-expected)
        )


@settings(max_examples=40)
@given(SHAPES, st.sampled_from([0.01, 0.05, 1.0]))
def test_both_losses_stay_in_their_ranges(shape, temperature) -> None:
    m, b, n, d = shape
    q, k = vectors(m * b, d, seed=4, unit=True), vectors(b, d, seed=5, unit=True)
    negatives = vectors(n, d, seed=6, unit=True) if n else None
    assert -1 - 1e-12 <= equation_1(q, k, negatives, temperature).item() <= 0
    assert 0 <= info_nce(q, k, negatives, temperature).item() <= math.log(b + n) + 2 / temperature


@pytest.mark.parametrize("score", [-1.0, -0.2, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_gradients_with_respect_to_the_score_of_the_positive(score, temperature) -> None:
    """(p - 1) / tau with the logarithm, -p (1 - p) / tau without.

    q is the first axis and the positive (s, 0): so d loss / d s stands in the gradient of the key's
    first number.
    """
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    negatives = torch.tensor([[0.1, 1.0], [-0.4, 0.0]], dtype=torch.float64)
    k = torch.tensor([[score, 0.0]], dtype=torch.float64, requires_grad=True)
    p = share(q[0], [k[0].detach(), *negatives], 0, temperature).item()
    for loss, expected in (
        (info_nce, (p - 1) / temperature),
        (equation_1, -p * (1 - p) / temperature),
    ):
        (gradient,) = torch.autograd.grad(loss(q, k, negatives, temperature), k)
        assert gradient[0, 0].item() == pytest.approx(expected)


def test_the_worst_ranked_positive_learns_most_with_the_logarithm_and_nothing_without() -> None:
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    k = torch.tensor([[-1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (log,) = torch.autograd.grad(info_nce(q, k, q), k)
    (bare,) = torch.autograd.grad(equation_1(q, k, q), k)
    assert log.norm().item() == pytest.approx(1 / 0.05)
    assert bare.norm().item() < 1e-14


def test_very_large_scores_do_not_overflow() -> None:
    q = torch.eye(3) * 1e3
    assert info_nce(q, q).item() == 0
    assert info_nce(q, -q).isfinite()
    assert equation_1(q, q).item() == -1


@pytest.mark.parametrize("loss", [info_nce, equation_1])
@pytest.mark.parametrize(
    ("q", "k", "negatives", "temperature", "message"),
    [
        ((3, 2), (4, 2), None, 1.0, r"or \(M B, D\) and \(B, D\): got \(3, 2\) and \(4, 2\)"),
        ((3,), (3,), None, 1.0, "q and k must be"),
        ((3, 2), (3, 2), (5, 4), 1.0, r"negatives must be \(K, 2\) to match q, got \(5, 4\)"),
        ((3, 2), (3, 2), (2,), 1.0, r"negatives must be \(K, 2\)"),
        ((3, 2), (3, 2), None, 0.0, "temperature = 0.0: must be more than 0"),
        ((3, 2), (3, 2), None, -1.0, "temperature = -1.0"),
        ((3, 2), (3, 2), None, math.nan, "temperature = nan"),
    ],
)
def test_what_does_not_fit_is_refused(loss, q, k, negatives, temperature, message) -> None:
    with pytest.raises(ConfigError, match=message):
        loss(
            torch.ones(q),
            torch.ones(k),
            None if negatives is None else torch.ones(negatives),
            temperature,
        )


@pytest.mark.parametrize("symmetric", [False, True])
def test_several_views_of_each_document_average_their_losses(symmetric: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    first, second, k = torch.randn(3, 5, 4, generator=generator)
    both = info_nce(torch.cat([first, second]), k, symmetric=symmetric)
    apart = [info_nce(q, k, symmetric=symmetric) for q in (first, second)]
    torch.testing.assert_close(both, sum(apart) / 2)
    torch.testing.assert_close(
        equation_1(torch.cat([first, second]), k),
        (equation_1(first, k) + equation_1(second, k)) / 2,
    )
