"""The checks of chapter 09: right answers pass, each known slip is told apart."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from torch import Tensor

from contriever_lite.exercises_trust import (
    check_documents,
    check_gather_gradient,
    check_interval,
    check_rate,
)


def _refused(verdict: str, hint: str) -> bool:
    return verdict.startswith("Not yet") and hint in verdict


@pytest.mark.parametrize(
    "check", [check_rate, check_documents, check_gather_gradient, check_interval]
)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def _rate(step: int, steps: int, w: int, peak: float) -> float:
    return peak * (step + 1) / w if step < w else peak * (steps - step) / (steps - w)


def test_rate_right() -> None:
    assert check_rate(_rate).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda t, n, w, p: p * t / w if t < w else _rate(t, n, w, p), "must already move"),
        (lambda t, n, w, p: _rate(t, n, w, p) if t < w else p * (n - 1 - t) / (n - w), "last step"),
        (lambda t, n, w, p: p if t < w else _rate(t, n, w, p), "starts at peak"),
        (lambda t, n, w, p: _rate(t, n, w, p) if t < w else p * (n - t) / n, "The fall begins"),
        (lambda t, n, w, p: _rate(t, n, w, 1), "peak is missing"),
        (lambda t, n, w, p: 7.0, "step 0 of 10, 4 of warm-up: 7, not 0.125."),
    ],
)
def test_rate_slips(function: Callable[..., float], hint: str) -> None:
    assert _refused(check_rate(function), hint)


def _documents(seed: int, step: int, documents: int, batch: int) -> np.ndarray:
    epoch, place = divmod(step, documents // batch)
    order = np.random.default_rng((seed, epoch)).permutation(documents)
    return order[place * batch : (place + 1) * batch]


def test_documents_right() -> None:
    assert check_documents(_documents).startswith("Right")
    assert check_documents(lambda *a: _documents(*a).tolist()).startswith("Right")


def _from_one_generator() -> Callable[..., np.ndarray]:
    rng = np.random.default_rng(0)
    return lambda seed, step, documents, batch: rng.permutation(documents)[:batch]


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (_from_one_generator(), "not pure"),
        (lambda s, t, n, b: np.random.default_rng((s, t)).permutation(n)[:b], "never shows"),
        (lambda s, t, n, b: _documents(s, t % (n // b), n, b), "the epoch must be in the seed"),
        (lambda s, t, n, b: _documents(0, t, n, b), "seeds 0 and 1"),
        (lambda s, t, n, b: _documents(s, t, n, b)[:2], "2 documents in a batch of 4"),
        (lambda s, t, n, b: _documents(s, t, 12, 4), "4 documents in a batch of 11"),
        (lambda s, t, n, b: _documents(0, s * n // b + t, n, b), "not with the sum"),
        (lambda s, t, n, b: _documents(s, t % (2 * n // b), n, b), "two epochs come in the same"),
    ],
)
def test_documents_slips(function: Callable[..., np.ndarray], hint: str) -> None:
    assert _refused(check_documents(function), hint)


def _gathered(gradients: list[Tensor], rank: int) -> Tensor:
    b = len(gradients[0]) // len(gradients)
    return sum(gradients)[rank * b : (rank + 1) * b]


def test_gather_gradient_right() -> None:
    assert check_gather_gradient(_gathered).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda g, r: g[r][2 * r : 2 * r + 2], "pull on these rows too"),
        (lambda g, r: _gathered(g, r) / 3, "divides by W already"),
        (lambda g, r: sum(g), "keeps its own"),
        (lambda g, r: _gathered(g, len(g) - 1), "not the gradient of the sum"),
        (lambda g, r: sum(g)[2 * r : 2 * r + 2], "process 0 of 2: the shape is (2, 4)"),
    ],
)
def test_gather_gradient_slips(function: Callable[..., Tensor], hint: str) -> None:
    assert _refused(check_gather_gradient(function), hint)


def test_interval_right() -> None:
    assert check_interval(lambda save, failure: sqrt(2 * save * failure)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda c, m: sqrt(c * m), "half an interval"),
        (lambda c, m: 2 * c * m, "square root"),
        (lambda c, m: m, "where are they equal"),
        (lambda c, m: c, "the time of a save"),
        (lambda c, m: 300.0, "every 300 s loses"),
        (lambda c, m: -1.0, "-1.0 seconds"),
    ],
)
def test_interval_slips(function: Callable[[float, float], float], hint: str) -> None:
    assert _refused(check_interval(function), hint)
