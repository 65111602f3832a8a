"""The checks of chapter 03: right answers pass, each known slip is told apart."""

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from torch import Tensor

from contriever_lite.exercises_loss import (
    check_bridge,
    check_false_negative,
    check_random_loss,
    check_score_gradient,
    check_uniformity,
)

CHECKS = [
    check_random_loss,
    check_score_gradient,
    check_bridge,
    check_false_negative,
    check_uniformity,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def test_random_loss_right() -> None:
    assert check_random_loss(lambda b, d, tau: log(b) + 1 / (2 * d * tau**2)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda b, d, tau: log(b), "equal vectors"),
        (lambda b, d, tau: log(b) + 1 / (2 * d * tau), "tau squared"),
        (lambda b, d, tau: log(b) + 1 / (d * tau**2), "the half is missing"),
        (lambda b, d, tau: log(b) - 1 / (2 * d * tau**2), "The sign"),
        (lambda b, d, tau: 3.0, "3.00, measured 5.9"),
        (lambda b, d, tau: log(b - 1) + 1 / (2 * d * tau**2), "not B - 1"),
    ],
)
def test_random_loss_slips(function: Callable[..., float], hint: str) -> None:
    verdict = check_random_loss(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def _gradient(scores: Tensor, tau: float) -> Tensor:
    return ((scores / tau).softmax(dim=1) - torch.eye(len(scores))) / tau / len(scores)


def test_score_gradient_right() -> None:
    assert check_score_gradient(_gradient).startswith("Right")
    assert check_score_gradient(lambda s, tau: _gradient(s, tau).tolist()).startswith("Right")


def test_score_gradient_is_not_bent_by_a_change_in_place() -> None:
    verdict = check_score_gradient(lambda s, tau: _gradient(s.mul_(2), tau))
    assert verdict.startswith("Not yet, at tau = 0.5")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda s, tau: -_gradient(s, tau), "The sign"),
        (lambda s, tau: _gradient(s, tau) * len(s), "divide by B"),
        (lambda s, tau: _gradient(s, tau) * tau, "factor 1 / tau"),
        (lambda s, tau: _gradient(s.T, tau).T, "along a row"),
        (lambda s, tau: _gradient(s, 1.0) / tau, "before the softmax"),
        (lambda s, tau: (s / tau).softmax(dim=1) / tau / len(s), "1 is missing"),
        (lambda s, tau: s, "minus the truth"),
        (lambda s, tau: s, "at tau = 0.5: at [0, 0] it is"),
        (lambda s, tau: _gradient(s, tau).diagonal(), "found (5,)"),
    ],
)
def test_score_gradient_slips(function: Callable[..., Tensor], hint: str) -> None:
    verdict = check_score_gradient(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def _shares(q: Tensor, k: Tensor, tau: float) -> Tensor:
    return (q @ k.T / tau).softmax(dim=1).diagonal()


def test_bridge_right() -> None:
    verdict = check_bridge(lambda q, k, a, tau: ((1 - _shares(q, k, tau) ** a) / a).mean())
    assert verdict.startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, k, a, tau: (1 - _shares(q, k, tau) ** a).mean(), "Divide by a"),
        (lambda q, k, a, tau: ((_shares(q, k, tau) ** a - 1) / a).mean(), "The sign"),
        (lambda q, k, a, tau: (1 - _shares(q, k, tau).mean() ** a) / a, "before the mean"),
        (lambda q, k, a, tau: -_shares(q, k, tau).log().mean(), "at a = 1"),
        (lambda q, k, a, tau: (1 - _shares(q, k, tau) ** a) / a, "one number"),
    ],
)
def test_bridge_slips(function: Callable[..., Tensor], hint: str) -> None:
    verdict = check_bridge(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_false_negative_right_and_the_colder_the_worse() -> None:
    verdict = check_false_negative(lambda s, i, tau: (s / tau).softmax(dim=0)[i])
    assert verdict.startswith("Right")
    assert "1% at tau = 1" in verdict
    assert "100% at tau = 0.01" in verdict


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda s, i, tau: s.softmax(dim=0)[i] if tau < 1 else (s / tau).softmax(0)[i], "Divide"),
        (lambda s, i, tau: (s * tau).softmax(dim=0)[i], "not multiply"),
        (lambda s, i, tau: (s[i] / tau).exp(), "sum over all"),
        (lambda s, i, tau: s[i], "gets 0.6000, should get"),
        (lambda s, i, tau: (s / tau).softmax(dim=0).max(), "that of `index`"),
    ],
)
def test_false_negative_slips(function: Callable[..., Tensor], hint: str) -> None:
    verdict = check_false_negative(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def _squared(x: list[list[float]], itself: bool = False) -> list[float]:
    """Squared distances of the pairs i > j, or of all pairs, a point with itself included."""
    return [
        sum((a - b) ** 2 for a, b in zip(x[i], x[j], strict=True))
        for i in range(len(x))
        for j in range(len(x) if itself else i)
    ]


def _log_mean(values: list[float]) -> float:
    return log(sum(values) / len(values))


def test_uniformity_right() -> None:
    verdict = check_uniformity(lambda x: _log_mean([exp(-2 * d) for d in _squared(x)]))
    assert verdict.startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: exp(_log_mean([exp(-2 * d) for d in _squared(x)])), "Take the logarithm"),
        (lambda x: _log_mean([exp(-2 * d) for d in _squared(x, itself=True)]), "to itself"),
        (lambda x: _log_mean([exp(-2 * d**0.5) for d in _squared(x)]), "Square the distance"),
        (lambda x: _log_mean([exp(-d) for d in _squared(x)]), "t = 2"),
        (lambda x: -2 * sum(_squared(x)) / len(_squared(x)), "the mean of the exponentials"),
        (lambda x: log(sum(exp(-2 * d) for d in _squared(x))), "Divide by the number of pairs"),
        (lambda x: 7.0, "six random points it gives 7.000"),
    ],
)
def test_uniformity_slips(function: Callable[[list], float], hint: str) -> None:
    verdict = check_uniformity(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict
