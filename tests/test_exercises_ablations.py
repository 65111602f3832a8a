"""The checks of chapter 12: right answers pass, each known slip is told apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch

from contriever_lite.config import TrainConfig
from contriever_lite.exercises_ablations import (
    check_audit,
    check_equal_text,
    check_hidden_mean,
    check_reading,
    check_seeds,
)
from contriever_lite.sweep import T

CHECKS = [check_reading, check_audit, check_equal_text, check_hidden_mean, check_seeds]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def refused(verdict: str, hint: str) -> None:
    assert verdict.startswith("Not yet")
    assert hint in verdict


def read(low: float, high: float, margin: float) -> str:
    if low > 0 or high < 0:
        return "better" if low > 0 else "worse"
    inside = -margin < low and high < margin
    return "no difference that matters" if inside else "cannot tell"


def sided(low: float, high: float, margin: float) -> str:
    return read(low, min(high, margin / 2), margin)


def test_reading_right() -> None:
    assert check_reading(read).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda low, high, margin: "cannot tell", "All of it is above 0"),
        (lambda low, high, margin: "better" if low > 0 else "cannot tell", "below 0"),
        (lambda low, high, margin: read(low, high, 0.0), "within the margin"),
        (sided, "gains that would matter"),
        (lambda low, high, margin: read(max(low, -0.004), high, margin), "losses that would"),
        (lambda low, high, margin: read(low, high, 0.01), "now .005"),
        (
            lambda low, high, margin: (
                "no difference that matters" if abs(high) < margin else read(low, high, margin)
            ),
            "Not yet",
        ),
        (
            lambda low, high, margin: (
                "no difference that matters"
                if high - low < 2 * margin and low < 0 < high and margin > 0.005
                else read(low, high, margin)
            ),
            "less than two margins",
        ),
        (lambda low, high, margin: "equal", "'equal' is none of 'better'"),
    ],
)
def test_reading_slips(function: Callable[..., str], hint: str) -> None:
    refused(check_reading(function), hint)


def audit(a: TrainConfig, b: TrainConfig) -> set[str]:
    def budget(c: TrainConfig) -> dict[str, float]:
        negatives = c.batch_size - 1 if c.objective == "in_batch" else c.queue_size
        pairs = c.batch_size * c.steps
        return {"negatives": negatives, "pairs": pairs, "updates": c.steps,
                "learning rate": c.learning_rate}  # fmt: skip

    return {name for name, value in budget(a).items() if value != budget(b)[name]}


def test_audit_right() -> None:
    assert check_audit(audit).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda a, b: set(), "what differs is negatives, pairs. A batch of B"),
        (lambda a, b: audit(a, b) | {"updates"}, "for temperature .05 and .1 it finds updates"),
        (lambda a, b: audit(a, b) - {"pairs"}, "batch_size times steps"),
        (lambda a, b: audit(a, b) - {"updates"}, "Updates are steps"),
        (lambda a, b: audit(a, b) - {"learning rate"}, "at equal text"),
        (
            lambda a, b: (
                audit(a, b) - {"negatives"} | ({"negatives"} if a.batch_size < 1024 else set())
                if a.batch_size != b.batch_size
                else audit(a, b) - {"negatives"}
            ),
            "a queue as many as it has keys",
        ),
    ],
)
def test_audit_slips(function: Callable[..., set], hint: str) -> None:
    refused(check_audit(function), hint)


def equal_text(base: TrainConfig, batch: int) -> TrainConfig:
    rate = base.learning_rate * sqrt(batch / base.batch_size)
    steps = base.batch_size * base.steps // batch
    return base.replace(batch_size=batch, steps=steps, learning_rate=rate)


def test_equal_text_with_numpys_numbers() -> None:
    def function(base: TrainConfig, batch: int) -> TrainConfig:
        rate = base.learning_rate * np.sqrt(batch / base.batch_size)
        config = replace(base, learning_rate=rate)
        return config.replace(batch_size=batch, steps=base.batch_size * base.steps / batch)

    assert check_equal_text(function).startswith("Right")


def test_equal_text_is_asked_of_another_base() -> None:
    def function(base: TrainConfig, batch: int) -> TrainConfig:
        return equal_text(base, batch).replace(steps=256 * 300 // batch)

    refused(check_equal_text(function), "it sees 76,800 pairs, the base 51,200")
    refused(check_equal_text(lambda base, batch: {"steps": 3}), "is no TrainConfig")


def test_hidden_mean_in_float32() -> None:
    def function(shown: Sequence[float], overall: float, total: int) -> torch.Tensor:
        return (total * overall - torch.tensor(shown).sum()) / (total - len(shown))

    assert check_hidden_mean(function).startswith("Right")


def test_equal_text_right() -> None:
    assert check_equal_text(equal_text).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda base, batch: base, "batch size is 256"),
        (lambda base, batch: base.replace(batch_size=batch), "sees 4,800 pairs, the base 76,800"),
        (
            lambda base, batch: equal_text(base, batch).replace(learning_rate=base.learning_rate),
            "should be 0.0025",
        ),
        (lambda base, batch: equal_text(base, batch).replace(seed=1), "seed changed as well"),
    ],
)
def test_equal_text_slips(function: Callable[..., TrainConfig], hint: str) -> None:
    refused(check_equal_text(function), hint)


def hidden(shown: list[float], overall: float, total: int) -> float:
    return (total * overall - sum(shown)) / (total - len(shown))


def test_hidden_mean_right_tells_both_means() -> None:
    verdict = check_hidden_mean(hidden)
    assert verdict.startswith("Right: 28.0 in one table and 29.6 in the other")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda shown, overall, total: sum(shown) / len(shown), "mean of those shown"),
        (lambda shown, overall, total: total * overall - sum(shown), "Divide by the number"),
        (
            lambda shown, overall, total: overall - sum(shown) / (total - len(shown)),
            "counts every column",
        ),
        (
            lambda shown, overall, total: 2 * overall - sum(shown) / len(shown),
            "not of two means",
        ),
        (lambda shown, overall, total: 0.0, "the others have the mean 5.33, not 0.00."),
    ],
)
def test_hidden_mean_slips(function: Callable[..., float], hint: str) -> None:
    refused(check_hidden_mean(function), hint)


def seeds(sd: float, effect: float) -> int:
    return next(n for n in range(2, 11) if T[n - 2] * sd / sqrt(n) < effect)


def test_seeds_right() -> None:
    assert check_seeds(seeds).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda sd, effect: 2, "3 seeds give a half width of 0.0075, 2 give 0.0270"),
        (lambda sd, effect: seeds(sd, effect) + 1, "it gives 4"),
        (lambda sd, effect: next(n for n in range(2, 99) if 2 * sd / sqrt(n) < effect), "gives 2"),
        (lambda sd, effect: max(3, seeds(sd, effect)), "2 seeds give a half width of 0.0090."),
    ],
)
def test_seeds_slips(function: Callable[..., int], hint: str) -> None:
    refused(check_seeds(function), hint)
