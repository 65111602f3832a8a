"""The checks of chapter 13: right answers pass, each known slip is told apart."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from contriever_lite.exercises_failures import (
    check_deaf,
    check_fusion,
    check_holm,
    check_oracle,
)
from contriever_lite.significance import holm

CHECKS = [check_fusion, check_holm, check_oracle]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def refused(verdict: str, hint: str) -> None:
    assert verdict.startswith("Not yet")
    assert hint in verdict


def fuse(rankings: Sequence[Sequence[str]], k: float = 60) -> list[str]:
    scores: dict[str, float] = {}
    for ranked in rankings:
        for rank, document in enumerate(ranked, 1):
            scores[document] = scores.get(document, 0.0) + 1 / (k + rank)
    return sorted(sorted(scores, reverse=True), key=lambda d: -scores[d])


def scored(rankings: Sequence[Sequence[str]]) -> Callable[[str], float]:
    return lambda d: -sum(1 / (61 + each.index(d)) for each in rankings if d in each)


def test_fusion_right() -> None:
    assert check_fusion(fuse).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda rankings: fuse(rankings, 0), "That is k = 0"),
        (lambda rankings: fuse(rankings)[::-1], "worst first"),
        (lambda rankings: fuse(rankings[:1]), "Every document of any list"),
        (lambda rankings: sorted(fuse(rankings)), "ranks begin at 1"),
        (lambda rankings: fuse(rankings, 59), "ranks begin at 1"),
        (lambda rankings: fuse(rankings, 61), "ranks begin at 1"),
        (lambda rankings: sorted(sorted(fuse(rankings)), key=scored(rankings)), "order of id"),
    ],
)
def test_fusion_slips(function: Callable, hint: str) -> None:
    refused(check_fusion(function), hint)


def stepped(p: Sequence[float], cut: float = 1.0) -> list[float]:
    order = sorted(range(len(p)), key=p.__getitem__)
    found = [0.0] * len(p)
    for place, i in enumerate(order):
        found[i] = min(cut, (len(p) - place) * p[i])
    return found


def test_holm_right() -> None:
    assert check_holm(holm).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda p: [min(1.0, len(p) * value) for value in p], "Bonferroni"),
        (lambda p: stepped(p), "running maximum"),
        (lambda p: sorted(holm(p)), "order in which they came"),
        (
            lambda p: stepped(p, 9.0) if max(stepped(p, 9.0)) > 1 else holm(p),
            "Cut at 1",
        ),
        (lambda p: list(p), "become [0.02, 0.04], not [0.01, 0.04]"),
    ],
)
def test_holm_slips(function: Callable, hint: str) -> None:
    refused(check_holm(function), hint)


def oracle(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    return sum(max(ours[q], theirs[q]) for q in ours) / len(ours)


def test_oracle_right() -> None:
    assert check_oracle(oracle) == (
        "Right: 0.688, where each of the two systems has 0.438 on its own."
    )


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda a, b: oracle(a, b) * len(a), "divide by the number"),
        (lambda a, b: sum(map(max, a.values(), b.values())) / len(a), "by query id"),
        (lambda a, b: max(sum(a.values()), sum(b.values())) / len(a), "better system"),
        (lambda a, b: sum(map(min, a.values(), b.values())) / len(a), "Take the larger"),
        (lambda a, b: oracle(a, b) * len(a) / 4, "for three others 0.562"),
    ],
)
def test_oracle_slips(function: Callable, hint: str) -> None:
    refused(check_oracle(function), hint)


def test_deaf_right() -> None:
    assert "misses the order" in check_deaf("dog bites man", "man bites dog")
    assert "misses words that it leaves out" in check_deaf("sugar is safe", "sugar is not safe")


@pytest.mark.parametrize(
    ("first", "second", "hint"),
    [
        (None, None, "give two queries"),
        ("a cat", "A cat", "the same query twice"),
        ("the", "not the", "no word left"),
        ("tea with milk", "tea without milk", "apart by without"),
        ("dog bites!", "Dog bites", "the same query twice"),
        ("city", "cities", "two forms of one word"),
        (("dog", "bites"), "dog bites", "a query is a text"),
    ],
)
def test_deaf_slips(first: str | None, second: str | None, hint: str) -> None:
    refused(check_deaf(first, second), hint)
