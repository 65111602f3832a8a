"""The checks of chapter 06: right answers pass, each known slip is told apart."""

from collections.abc import Callable, Sequence
from math import exp, log

import pytest
import torch

from contriever_lite.exercises_queue import (
    check_common,
    check_critical_rate,
    check_history,
    check_own_key,
    check_places,
)

CHECKS = [check_places, check_history, check_own_key, check_common, check_critical_rate]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def _refused(verdict: str, hint: str) -> bool:
    return verdict.startswith("Not yet") and hint in verdict


def _places(t: int, batch: int, size: int) -> list[int]:
    return [((t - 1) * batch + i) % size for i in range(batch)]


def test_places_right() -> None:
    assert check_places(_places).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda t, b, s: _places(t + 1, b, s), "counted from 1"),
        (lambda t, b, s: [(t - 1) * b + i for i in range(b)], "go on at place 0"),
        (lambda t, b, s: sorted(_places(t, b, s)), "In the order of the keys"),
        (lambda t, b, s: _places(t, b, s)[:1], "not the first alone"),
        (lambda t, b, s: _places(t, b, s) if b < 9 else [7] * 8, "8 places, 7, 7, ..., 7"),
    ],
)
def test_places_slips(function: Callable[..., Sequence[int]], hint: str) -> None:
    assert _refused(check_places(function), hint)


def test_critical_rate_takes_a_tensor() -> None:
    assert check_critical_rate(lambda a: torch.tensor(2 / (a + 1))).startswith("Right")
    assert _refused(check_critical_rate(lambda a: 1e300), "1e+300")


def test_history_right() -> None:
    verdict = check_history(lambda size, batch: (size // batch, (size // batch + 1) / 2))
    assert verdict.startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda s, b: (s / b, s / b / 2), "Ages begin at 1"),
        (lambda s, b: (s // b, (s // b + 1) // 2), "Do not round the mean"),
        (lambda s, b: (s / b - 1, (s / b - 1) / 2), "1 step old, not 0"),
        (lambda s, b: (s, (s + 1) / 2), "not keys"),
        (lambda s, b: ((s / b + 1) / 2, s / b), "First the oldest"),
        (lambda s, b: (1.0, 2.0), "measured 3 and 2"),
        (lambda s, b: (s / b,), "two numbers"),
    ],
)
def test_history_slips(function: Callable[..., Sequence[float]], hint: str) -> None:
    assert _refused(check_history(function), hint)


def _own_key(documents: int, size: int) -> float:
    x = size / documents
    return x * x / 2 if x <= 1 else 1 - (2 - x) ** 2 / 2


def test_own_key_right() -> None:
    assert check_own_key(_own_key).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda n, k: 1 - exp(-k / n), "independent draw"),
        (lambda n, k: min(1.0, k / n), "depends on where it stands"),
        (lambda n, k: min(1.0, (k / n) ** 2), "Half of that"),
        (lambda n, k: min(1.0, (k / n) ** 2 / 2), "comes down again"),
        (lambda n, k: 0.4, "0.40, counted 0.0"),
    ],
)
def test_own_key_slips(function: Callable[..., float], hint: str) -> None:
    assert _refused(check_own_key(function), hint)


def _share(p: float, delta: float, tau: float) -> float:
    return p * exp(delta / tau) / (p * exp(delta / tau) + 1 - p)


def test_common_right() -> None:
    assert check_common(lambda p, d, tau: -log(_share(p, d, tau))).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda p, d, tau: -log(p), "negatives that rise as well"),
        (lambda p, d, tau: -log(_share(p, d, 1)), "Divide delta"),
        (lambda p, d, tau: -log(p) - d / tau, "in the denominator too"),
        (lambda p, d, tau: -log(_share(p, -d, tau)), "The sign"),
        (lambda p, d, tau: 2.0, "2.000, not"),
    ],
)
def test_common_slips(function: Callable[..., float], hint: str) -> None:
    assert _refused(check_common(function), hint)


def test_critical_rate_right() -> None:
    assert check_critical_rate(lambda history: 2 / (history + 1)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda history: 1 / history, "half as old"),
        (lambda history: 2 / history, "Nearly"),
        (lambda history: (history + 1) / 2, "other way up"),
        (lambda history: 0.5, "dies out just above"),
        (lambda history: 5.0, "grows just below"),
    ],
)
def test_critical_rate_slips(function: Callable[..., float], hint: str) -> None:
    assert _refused(check_critical_rate(function), hint)
