"""The checks of chapter 01: right answers pass, each known slip is told apart."""

from math import log, log2

import numpy as np
import pytest

from contriever_lite.exercises_words import (
    check_difference_interval,
    check_failing_query,
    check_idf,
    check_limits,
    check_reciprocal_rank,
)
from contriever_lite.metrics import reciprocal_rank

IDF = {"in one of four": log(1 + 3.5 / 1.5), "in all four": log(1 + 0.5 / 4.5)}


def test_idf_right_to_two_decimals() -> None:
    assert check_idf({name: round(value, 2) for name, value in IDF.items()}).startswith("Right")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (None, "give a number"),
        (log(3.5 / 1.5), "without the 1"),
        (log(4), "ln(N / n)"),
        (log(1 + 3.5 / 1.5) / log(10), "base 10"),
        (log2(1 + 3.5 / 1.5), "base 2"),
        (1 + 3.5 / 1.5, "take its logarithm"),
        (7.0, "1 + (3 + 0.5) / (1 + 0.5)"),
    ],
)
def test_idf_slips(value: float | None, hint: str) -> None:
    verdict = check_idf(IDF | {"in one of four": value})
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_idf_second_number_counts() -> None:
    assert "in all four" in check_idf(IDF | {"in all four": 0.0})


def test_reciprocal_rank_right() -> None:
    assert check_reciprocal_rank(reciprocal_rank).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda ranked, judged, k: None, "returns nothing"),
        (lambda ranked, judged, k: reciprocal_rank(ranked, judged, 100), "rank 11"),
        (lambda ranked, judged, k: reciprocal_rank(ranked, judged, k - 1), "last of the ten"),
        (lambda ranked, judged, k: reciprocal_rank(ranked, judged, 10), "k is 3"),
        (
            lambda ranked, judged, k: reciprocal_rank(
                ranked, {d: g * (g < 2 or len(judged) > 1) for d, g in judged.items()}, k
            ),
            "grade 2",
        ),
        (
            lambda ranked, judged, k: reciprocal_rank(ranked, dict.fromkeys(judged, 1), k),
            "grade 0",
        ),
        (lambda ranked, judged, k: float(ranked[0] in judged), "third"),
        (lambda ranked, judged, k: 1 / (ranked.index(next(iter(judged))) + 1), "2 and 5"),
    ],
)
def test_reciprocal_rank_slips(function: object, hint: str) -> None:
    verdict = check_reciprocal_rank(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


@pytest.mark.parametrize(
    ("query", "document", "begin", "hint"),
    [
        ("the electricity went off tonight", "blackout", "Right", "'power' first"),
        (
            "the electricity went off tonight",
            "blackout",
            "Right",
            "if it is a question that the note",
        ),
        (None, "blackout", "Not yet", "the query is None"),
        ("the lanterns in a storm", "blackout", "Not yet", "three words"),
        ("an old storm lantern please", "lantern", "Not yet", "lantern, storm"),
        ("zyx wvu tsr", "lantern", "Nearly", "nothing at all"),
        ("some three words", "lanterns", "Not yet", "no note 'lanterns'"),
    ],
)
def test_failing_query(query: str, document: str, begin: str, hint: str) -> None:
    verdict = check_failing_query(query, document)
    assert verdict.startswith(begin)
    assert hint in verdict


LIMITS = {
    "k1 = 0: ten times / once": 1,
    "k1 huge: ten times / once": 10,
    "b = 0: long / average": 1,
    "rankings at k1 = 0, as b varies": 1,
}


def test_limits_right() -> None:
    assert check_limits(LIMITS).startswith("Right")


@pytest.mark.parametrize("name", LIMITS)
def test_limits_wrong_or_missing(name: str) -> None:
    for value in (None, 5):
        verdict = check_limits(LIMITS | {name: value})
        assert verdict.startswith("Not yet")
        assert name in verdict


def interval(values: list[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def paired(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    return interval([rng.choice(a - b, len(a)).mean() for _ in range(1000)])


def unpaired(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    draws = range(1000)
    return interval([rng.choice(a, len(a)).mean() - rng.choice(b, len(b)).mean() for _ in draws])


def test_difference_interval_right() -> None:
    assert check_difference_interval(paired).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda a, b, rng: None, "returns nothing"),
        (lambda a, b, rng: paired(a, b, rng)[::-1], "lower end first"),
        (lambda a, b, rng: (float("nan"), 1.0), "no interval"),
        (lambda a, b, rng: paired(b, a, rng), "holds b - a"),
        (lambda a, b, rng: paired(a, 0 * b, rng), "does not hold the mean"),
        (lambda a, b, rng: interval(list(rng.choice(a - b, 1000))), "single queries"),
        (unpaired, "other queries for a than for b"),
        (lambda a, b, rng: paired(np.tile(a, 9), np.tile(b, 9), rng), "too narrow"),
        (lambda a, b, rng: paired(a[:200], b[:200], rng), "too wide"),
        (lambda a, b, rng: (0.041, 0.068), "another generator gives the same"),
        (
            lambda a, b, rng: paired(a, b, np.random.default_rng()),
            "the same generator gives another",
        ),
        (lambda a, b, rng: [0.0, 0.05, 0.1], "two numbers"),
    ],
)
def test_difference_interval_slips(function: object, hint: str) -> None:
    verdict = check_difference_interval(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict
