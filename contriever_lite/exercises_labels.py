"""Checks for the exercises of chapter 14: each answers "Right" or "Not yet", and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isclose

from contriever_lite.exercises import in_words, listed, number, numbers
from contriever_lite.metrics import Qrels
from contriever_lite.mining import mine

SCORES = {
    "e": 2.0, "d": 9.0, "other": 9.3, "c": 9.4, "twin": 9.6, "right": 9.6, "b": 9.8, "a": 10.0,
}  # fmt: skip


@in_words
def check_guard(function: Callable[[dict[str, float], set[str], float], list[str]]) -> str:
    """A reader's hard negatives, best first, called as function(scores, relevant, margin)."""
    negative = {name: score - 19 for name, score in SCORES.items()}
    for scores, relevant, margin in (
        (SCORES, {"right"}, 1.0),
        (SCORES, {"right"}, 0.95),
        (SCORES, {"right", "other"}, 0.95),
        (SCORES, {"absent"}, 0.95),
        (negative, {"right"}, 0.95),
    ):
        answer = list(map(str, listed(function(dict(scores), set(relevant), margin))))
        right = mine({"q": scores}, {"q": dict.fromkeys(relevant, 1)}, 10, margin)["q"]
        if answer != right:
            asked = f"with {sorted(relevant)} relevant and margin {margin:g}"
            slip = _guard_hint(answer, right, relevant, scores)
            return f"Not yet: {asked} it gives {answer}, should be {right}. {slip}"
    return "Right: nothing above the margin, nothing judged relevant, the best first."


def _guard_hint(
    answer: list[str], right: list[str], relevant: set[str], scores: dict[str, float]
) -> str:
    if set(answer) & relevant:
        return "A relevant document is never a negative."
    if not relevant & scores.keys():
        return "The answer was not found: there is nothing below it."
    if set(answer) == set(right):
        return "Sort them, best first."
    if max(scores.values()) < 0:
        return "Scores may be negative: subtract a share of the score's size."
    return "Compare with the best relevant document's score."


@in_words
def check_seen(function: Callable[[Qrels, Qrels], set[str]]) -> str:
    """A reader's test queries whose answer was an answer in training: function(train, test)."""
    train = {"t1": {"d1": 1, "d2": 0}, "t2": {"d3": 2}}
    test = {"a": {"d1": 1}, "b": {"d2": 1}, "c": {"d3": 0, "d4": 1}, "d": {"d5": 1, "d3": 1}}
    answer = set(map(str, listed(function(train, test))))
    hints = {
        "b": "d2 was judged in training, and judged not relevant.",
        "c": "d3 answers a training query, but not this one: its grade here is 0.",
        "a": "d1 answers t1.",
        "d": "One of its two answers is enough.",
    }
    wrong = answer ^ {"a", "d"}
    if wrong:
        first = sorted(wrong)[0]
        return f"Not yet: look at query {first!r}. {hints.get(first, 'There is no such query.')}"
    swapped = sorted(map(str, listed(function(test, train))))
    if swapped != ["t1", "t2"]:
        found = f"with training and test exchanged it gives {swapped}"
        return f"Not yet: right so far, but {found}, should give ['t1', 't2']."
    return "Right: two of four."


@in_words
def check_worth(function: Callable[[Sequence[int], Sequence[float], float], float]) -> str:
    """A reader's number of labels that reach a score: function(counts, scores, target)."""
    counts, scores = (0, 100, 500, 1000), (0.3, 0.3, 0.4, 0.5)
    cases = ((0.45, 750.0), (0.35, 300.0), (0.4, 500.0), (0.3, 0.0), (0.6, float("inf")))
    for target, right in cases:
        answer = number(function(counts, scores, target))
        if not isclose(answer, right, rel_tol=1e-6, abs_tol=1e-6):
            slip = {
                float("inf"): "The curve never gets there: say infinity, do not extend it.",
                0.0: "It is there before the first label.",
            }.get(right, "Between two points, go along the straight line.")
            return f"Not yet: for {target:g} it gives {answer:g}, should be {right:g}. {slip}"
    return "Right: five targets, of which one is out of reach."


@in_words
def check_cost(function: Callable[[int, int, int], tuple[int, int, int]]) -> str:
    """A reader's numbers of forwards: function(queries, documents, depth) -> (two encoders, a
    cross-encoder over everything, a cross-encoder over the first `depth`)."""
    for queries, documents, depth in ((300, 5183, 100), (7, 50, 100)):
        answer = numbers(function(queries, documents, depth))
        if len(answer) != 3:
            return f"Not yet: three numbers, for (a), (b) and (c); found {len(answer)}."
        right = (
            queries + documents,
            queries * documents,
            queries * min(depth, documents),
        )
        names = ("two encoders", "everything", "the first ones")
        for name, mine_, theirs in zip(names, answer, right, strict=True):
            if mine_ != theirs:
                asked = f"{queries} queries, {documents:,} documents, depth {depth}"
                return f"Not yet: {asked}: {name} take {theirs:,} forwards, not {mine_:,}."
    return "Right: vectors are made once a text, cross scores once a pair."
