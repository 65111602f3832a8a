"""The checks of chapter 11: right answers pass, each known slip is told apart."""

from collections.abc import Callable
from math import ceil, floor

import pytest

from contriever_lite.exercises_beir import (
    check_capped,
    check_itself,
    check_memory,
    check_queries,
)
from contriever_lite.index_costs import bytes_per_vector
from contriever_lite.index_settings import KINDS, IndexSettings
from contriever_lite.metrics import Judged, Run, ranking

CHECKS = [check_queries, check_capped, check_itself, check_memory]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def refused(verdict: str, hint: str) -> None:
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_queries_right() -> None:
    assert check_queries(lambda sd, d: ceil((2.8 * sd / d) ** 2)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda sd, d: ceil((1.96 * sd / d) ** 2), "half of the experiments would miss it"),
        (lambda sd, d: ceil(2.8 * sd / d), "Square the ratio"),
        (lambda sd, d: ceil(2 * (2.8 * sd / d) ** 2), "two groups of queries"),
        (lambda sd, d: floor((2.8 * sd / d) ** 2 - 1e-9), "Round up"),
        (lambda sd, d: floor((2.8 * sd / d) ** 2) + 2, "not 5,833."),
        (lambda sd, d: 5, "5,832 queries, not 5."),
    ],
)
def test_queries_slips(function: Callable[[float, float], int], hint: str) -> None:
    refused(check_queries(function), hint)


def capped(ranked: list[str], judged: Judged, k: int) -> float:
    relevant = {d for d, grade in judged.items() if grade > 0}
    return len(relevant & set(ranked[:k])) / min(k, len(relevant)) if relevant else 0.0


def plain(ranked: list[str], judged: Judged, k: int) -> float:
    return capped(ranked, judged, k) * min(k, len(judged)) / max(1, len(judged))


def test_capped_right() -> None:
    assert check_capped(capped).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (plain, "plain recall"),
        (lambda r, j, k: sum(j.get(d, 0) > 0 for d in r[:k]) / k, "That is precision"),
        (lambda r, j, k: capped(r, dict.fromkeys(j, 1), k), "Grade 0 means judged"),
        (lambda r, j, k: min(1, sum(j.get(d, 0) > 0 for d in r) / min(k, len(j))), "first k"),
        (lambda r, j, k: 0.123, "not 0.123"),
        (lambda r, j, k: capped(r, j, 3), "0.750 at k = 5, not 0.667"),
        (lambda r, j, k: capped(r, {d: abs(g) for d, g in j.items()}, k), "a negative grade"),
    ],
)
def test_capped_slips(function: Callable[[list[str], Judged, int], float], hint: str) -> None:
    refused(check_capped(function), hint)


def without_itself(run: Run, k: int) -> Run:
    return {
        query: {d: scores[d] for d in [d for d in ranking(scores) if d != query][:k]}
        for query, scores in run.items()
    }


def cut_first(run: Run, k: int) -> Run:
    return {
        query: {d: scores[d] for d in ranking(scores)[:k] if d != query}
        for query, scores in run.items()
    }


def first_found(run: Run, k: int) -> Run:
    return {q: dict([(d, x) for d, x in s.items() if d != q][:k]) for q, s in run.items()}


def test_itself_right() -> None:
    assert check_itself(without_itself).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda run, k: run, "That is the query itself"),
        (cut_first, "drop first"),
        (lambda run, k: without_itself(run, 9), "Cut at k"),
        (lambda run, k: without_itself(run, 2), "at k = 1, q1 is answered by ['d3'], not"),
        (first_found, "Keep the k best"),
        (lambda run, k: {q: list(s) for q, s in run.items()}, "is no run"),
        (
            lambda run, k: {
                q: dict(list(s.items())[-k:]) for q, s in without_itself(run, 9).items()
            },
            "Keep the k best",
        ),
        (lambda run, k: {q: s for q, s in without_itself(run, k).items() if s}, "every query"),
        (
            lambda run, k: {
                q: {d: -1.0 - i for i, d in enumerate(s)} for q, s in without_itself(run, k).items()
            },
            "scores stay",
        ),
    ],
)
def test_itself_slips(function: Callable[[Run, int], Run], hint: str) -> None:
    refused(check_itself(function), hint)


def fitting(passages: int, dimension: int, gigabytes: float, unit: float = 1e9) -> list[str]:
    size = {kind: bytes_per_vector(IndexSettings(kind), dimension, passages) for kind in KINDS}
    return [kind for kind in KINDS if size[kind] * passages <= gigabytes * unit]


def test_memory_right() -> None:
    assert check_memory(fitting).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda n, d, g: fitting(n, d, g, 2**30), "10^9 bytes"),
        (lambda n, d, g: list(KINDS), "times the number of vectors"),
        (lambda n, d, g: [], "not none"),
        (lambda n, d, g: fitting(21_015_324, 768, g), "of 1,000,000 vectors of 384 numbers"),
    ],
)
def test_memory_slips(function: Callable[[int, int, float], list[str]], hint: str) -> None:
    refused(check_memory(function), hint)
