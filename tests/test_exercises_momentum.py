"""The checks of chapter 07: right answers pass, each known slip is told apart."""

from collections.abc import Callable
from math import log

import pytest
import torch
from torch import Tensor

from contriever_lite.exercises_momentum import (
    check_half,
    check_in_place,
    check_key_weights,
    check_largest,
    check_steps,
)

CHECKS = [check_steps, check_largest, check_key_weights, check_half]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def slips(check: Callable[[Callable], str], function: Callable, hint: str) -> None:
    verdict = check(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_steps_right() -> None:
    assert check_steps(lambda m, s: log(1 - s) / log(m)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda m, s: -log(1 - s) / log(m), "negative too"),
        (lambda m, s: log(s) / log(m) if s > 0.6 else log(1 - s) / log(m), "1 - share, not share"),
        (lambda m, s: 1 / (1 - m), "1 - 1/e only"),
        (lambda m, s: round(log(1 - s) / log(m)), "Do not round"),
        (lambda m, s: log(1 - s, 10) / log(m), "one base"),
        (lambda m, s: 42.0, "gives 42.00, should be 6.58"),
    ],
)
def test_steps_slips(function: Callable[[float, float], float], hint: str) -> None:
    slips(check_steps, function, hint)


def test_largest_right() -> None:
    assert check_largest(lambda n, left: left ** (1 / n)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda n, left: left**n, "take the root"),
        (lambda n, left: (1 - left) ** (1 / n), "not what was covered"),
        (lambda n, left: 1 - 1 / n, "leaves 1/e"),
        (lambda n, left: 1 - left ** (1 / n), "That is 1 - m"),
        (lambda n, left: 0.5, "300 steps of m = 0.5 leave"),
        (lambda n, left: 2.0, "leave inf, not 0.1"),
    ],
)
def test_largest_slips(function: Callable[[int, float], float], hint: str) -> None:
    slips(check_largest, function, hint)


def _lerp(slow: list[Tensor], fast: list[Tensor], weight: float) -> None:
    for a, b in zip(slow, fast, strict=True):
        a.lerp_(b, weight)


def _new_tensors(slow: list[Tensor], fast: list[Tensor], m: float) -> None:
    slow[:] = [m * a + (1 - m) * b for a, b in zip(slow, fast, strict=True)]


def _new_memory(slow: list[Tensor], fast: list[Tensor], m: float) -> None:
    for a, b in zip(slow, fast, strict=True):
        a.data = m * a + (1 - m) * b


def test_steps_and_largest_in_float32() -> None:
    def steps(m: float, share: float) -> Tensor:
        return torch.tensor(1 - share).log() / torch.tensor(m).log()

    assert check_steps(steps).startswith("Right")
    assert check_largest(lambda n, left: torch.tensor(left) ** (1 / n)).startswith("Right")


def test_in_place_right() -> None:
    assert check_in_place(lambda s, f, m: _lerp(s, f, 1 - m)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda s, f, m: None, "has not moved"),
        (lambda s, f, m: s.clear(), "new tensors"),
        (_new_tensors, "new tensors"),
        (_new_memory, "new memory"),
        (lambda s, f, m: _lerp(f, s, m), "fast has changed"),
        (lambda s, f, m: _lerp(s, f, m), "the share to move is 1 - m"),
        (
            lambda s, f, m: _lerp(s, f, 0.5),
            "m times itself plus 1 - m times the fast one; in tensor 0",
        ),
        (lambda s, f, m: _lerp(s, f, 0.1), "in tensor 0, at [0, 0] it is"),
        (lambda s, f, m: (_lerp(s, f, 1 - m), f.pop()), "fast has changed"),
    ],
)
def test_in_place_slips(function: Callable[..., None], hint: str) -> None:
    slips(check_in_place, function, hint)


def _slow(fast: list[float], m: float) -> list[float]:
    slow = [fast[0]]
    for weight in fast[1:]:
        slow.append(m * slow[-1] + (1 - m) * weight)
    return slow


def test_key_weights_right() -> None:
    assert check_key_weights(lambda fast, m: _slow(fast, m)[:-1]).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (_slow, "5 numbers, and 5 weights make 4 steps"),
        (lambda fast, m: _slow(fast, m)[1:], "before the slow encoder follows"),
        (lambda fast, m: [fast[0], *_slow(fast, m)[:-2]], "after the following of the step before"),
        (lambda fast, m: _slow(fast, 1 - m)[:-1], "the share that stays"),
        (lambda fast, m: fast[:-1], "at m = 0.9 it gives 1, 3, -2, 5; should be 1, 1.2"),
    ],
)
def test_key_weights_slips(function: Callable[..., list[float]], hint: str) -> None:
    slips(check_key_weights, function, hint)


def test_key_weights_in_float32() -> None:
    right = check_key_weights(lambda fast, m: torch.tensor(_slow(fast, m)[:-1]))
    assert right.startswith("Right")


def test_half_right() -> None:
    assert check_half(lambda d: 1 - 2**-8 / d).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda d: 1 - 2**-7 / d, "half the spacing"),
        (lambda d: 1 - 2**-8, "divide by it"),
        (lambda d: 2**-8 / d, "That is 1 - m"),
        (lambda d: 1 - 2**-8 * d, "not divide"),
        (lambda d: 0.9, "just below m = 0.90000 the weight moves"),
        (lambda d: 0.999, "just below m = 0.99900 the weight stays"),
        (lambda d: 7.0, "the weight stays"),
    ],
)
def test_half_slips(function: Callable[[float], float], hint: str) -> None:
    slips(check_half, function, hint)
