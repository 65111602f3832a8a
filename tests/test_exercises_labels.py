"""The checks of chapter 14: right answers pass, each known slip is told apart."""

from collections.abc import Callable

import numpy as np
import pytest

from contriever_lite.exercises_labels import check_cost, check_guard, check_seen, check_worth

CHECKS = [check_guard, check_seen, check_worth, check_cost]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def guard(scores: dict, relevant: set, margin: float) -> list[str]:
    found = [scores[d] for d in relevant if d in scores]
    if not found:
        return []
    most = max(found) - (1 - margin) * abs(max(found))
    kept = [d for d in scores if d not in relevant and scores[d] <= most]
    return sorted(kept, key=scores.get, reverse=True)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda s, r, m: sorted(s, key=s.get, reverse=True), "never a negative"),
        (lambda s, r, m: guard(s, r, m)[::-1], "best first"),
        (lambda s, r, m: guard(s, r, m) or ["a"], "nothing below it"),
        (lambda s, r, m: guard(s, r, 0.5 if m < 1 else 1), "Compare with the best"),
        (lambda s, r, m: guard(s, r, 2 - m if max(s.values()) < 0 else m), "may be negative"),
        (lambda s, r, m: guard(s, r, m) if m < 1 else guard(s, r, 1 - 1e-9), "'twin'"),
        (lambda s, r, m: [d for d in s if d in guard(s, r, m)], "best first"),
        (lambda s, r, m: guard(s, {d for d in s if d in r and d != "right"} or r, m), "should be"),
    ],
)
def test_guard_slips(function: Callable, hint: str) -> None:
    assert check_guard(guard).startswith("Right")
    assert hint in check_guard(function)


def seen(train: dict, test: dict) -> set[str]:
    known = {d for judged in train.values() for d, grade in judged.items() if grade > 0}
    return {q for q, judged in test.items() if any(judged[d] > 0 and d in known for d in judged)}


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"a", "b", "d"}, "judged not relevant"),
        ({"a", "c", "d"}, "not this one"),
        ({"d"}, "d1 answers t1"),
        ({"a"}, "One of its two"),
        ({"a", "d", "z"}, "no such query"),
        ({"a", "d"}, "with training and test exchanged it gives ['a', 'd']"),
    ],
)
def test_seen_slips(answer: set[str], hint: str) -> None:
    assert check_seen(seen).startswith("Right")
    assert hint in check_seen(lambda *_: answer)


def worth(counts: tuple, scores: tuple, target: float) -> float:
    for i, score in enumerate(scores):
        if score >= target:
            return (
                float(np.interp(target, scores[i - 1 : i + 1], counts[i - 1 : i + 1])) if i else 0
            )
    return float("inf")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda c, s, t: worth(c, s, min(t, 0.5)), "do not extend"),
        (lambda c, s, t: worth(c, s, t) or 100.0, "before the first label"),
        (lambda c, s, t: c[int(np.argmin(np.abs(np.array(s) - t)))], "straight line"),
    ],
)
def test_worth_slips(function: Callable, hint: str) -> None:
    assert check_worth(worth).startswith("Right")
    assert hint in check_worth(function)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, d, k: (q * d, q * d, q * k), "two encoders take 5,483"),
        (lambda q, d, k: (q + d, q + d, q * k), "everything take 1,554,900"),
        (lambda q, d, k: (q + d, q * d, q * k), "the first ones take 350"),
    ],
)
def test_cost_slips(function: Callable, hint: str) -> None:
    assert check_cost(lambda q, d, k: (q + d, q * d, q * min(d, k))).startswith("Right")
    assert hint in check_cost(function)
