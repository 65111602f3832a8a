"""Checks for the exercises of chapter 13: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isclose

from contriever_lite.fusion import reciprocal_rank_fusion
from contriever_lite.metrics import ranking
from contriever_lite.search import tokenize
from contriever_lite.significance import holm

NOTHING = "Not yet: the function returns nothing."
RANKINGS = {
    "both agree": (["d1", "d2", "d3"], ["d1", "d2", "d3"]),
    "one is alone with d9": (["d1", "d2", "d3"], ["d9", "d2", "d1"]),
    "a list is empty": (["d4", "d2"], []),
    "third in both against first in one": (["d1", "d5", "d7"], ["d8", "d6", "d7"]),
    "three lists": (["d1", "d2"], ["d2", "d3"], ["d3", "d1", "d2"]),
}


def check_fusion(function: Callable[[Sequence[Sequence[str]]], Sequence[str]]) -> str:
    """A reader's reciprocal rank fusion with k = 60, called as function(rankings), which returns
    the documents, best first."""
    for case, lists in RANKINGS.items():
        answer = function([list(each) for each in lists])
        if answer is None:
            return NOTHING
        right = _fused(lists, 60)
        if list(answer) != right:
            asked = f"where {case}, the order is {', '.join(right)}, not {', '.join(answer)}."
            return f"Not yet: {asked} {_fusion_hint(list(answer), lists, right)}".rstrip()
    return "Right: five cases, and third in both lists beats first in one."


def _fused(lists: Sequence[Sequence[str]], k: float) -> list[str]:
    runs = [{"q": {d: -float(r) for r, d in enumerate(each)}} for each in lists]
    return ranking(reciprocal_rank_fusion(runs, k)["q"])


def _fusion_hint(answer: list[str], lists: Sequence[Sequence[str]], right: list[str]) -> str:
    if set(answer) != set(right):
        return "Every document of any list is in the answer, once."
    if answer == _fused(lists, 0):
        return "That is k = 0, where a first place beats everything."
    if answer == right[::-1]:
        return "That is worst first."
    return "Equal scores stand in descending order of id, as everywhere in this book."


def check_holm(function: Callable[[Sequence[float]], Sequence[float]]) -> str:
    """A reader's Holm correction, called as function(p_values)."""
    for p in ([0.01], [0.01, 0.04], [0.04, 0.01, 0.03], [0.02, 0.02, 0.5], [0.6, 0.9]):
        answer, right = function(list(p)), holm(p)
        if answer is None:
            return NOTHING
        answer = [float(value) for value in answer]
        if len(answer) != len(p) or not all(map(isclose, answer, right)):
            shown = [round(value, 4) for value in right]
            return f"Not yet: {p} become {shown}. {_holm_hint(answer, p)}".rstrip()
    return "Right: in the order given, never above 1, and never smaller than a smaller p's."


def _holm_hint(answer: list[float], p: list[float]) -> str:
    m, order = len(p), sorted(range(len(p)), key=p.__getitem__)
    stepped = {i: (m - place) * p[i] for place, i in enumerate(order)}
    slips = {
        "That is Bonferroni: only the smallest is multiplied by the number of tests.": [
            min(1.0, m * value) for value in p
        ],
        "A larger p may not come out below a smaller one: take the running maximum.": [
            min(1.0, stepped[i]) for i in range(m)
        ],
        "Cut at 1: it is a probability.": [stepped[i] for i in range(m)],
        "Give them back in the order in which they came.": sorted(holm(p)),
    }
    for hint, slip in slips.items():
        if len(answer) == m and all(map(isclose, answer, slip)):
            return hint
    return ""


def check_oracle(function: Callable[[Mapping[str, float], Mapping[str, float]], float]) -> str:
    """A reader's score of a perfect choice between two systems, query by query, called as
    function(ours, theirs)."""
    ours = {"q1": 1.0, "q2": 0.0, "q3": 0.5, "q4": 0.25}
    theirs = {"q4": 0.75, "q3": 0.5, "q2": 0.5, "q1": 0.0}
    value, right = function(ours, theirs), 2.75 / 4
    if value is None:
        return NOTHING
    if isclose(value, right):
        return "Right: 0.688, where the better of the two systems has 0.438 on its own."
    slips = {
        "That is the better system, for all queries.": 1.75 / 4,
        "That is the mean of the two systems.": 3.5 / 8,
        "That is the sum: divide by the number of queries.": 2.75,
        "Match the two by query id, not by place.": (1.0 + 0.5 + 0.5 + 0.25) / 4,
    }
    hint = next((hint for hint, slip in slips.items() if isclose(value, slip)), "")
    return f"Not yet: {value:.3f} is not it. {hint or 'Take the larger of each query.'}"


def check_deaf(first: str | None, second: str | None) -> str:
    """Two queries that ask different things and are one and the same to BM25, and so to any bag
    that leaves out the same words."""
    if not first or not second:
        return "Not yet: give two queries."
    words = [text.lower().split() for text in (first, second)]
    if words[0] == words[1]:
        return "Not yet: that is the same query twice."
    bags = [Counter(found) for found in tokenize([first, second])]
    if not bags[0]:
        return "Not yet: the first has no word left when stop words are gone."
    if apart := sorted((bags[0] - bags[1]) + (bags[1] - bags[0])):
        return f"Not yet: BM25 can tell them apart by {', '.join(apart)}."
    how = "the order" if Counter(words[0]) == Counter(words[1]) else "words that it leaves out"
    return f"Right: BM25 counts {sum(bags[0].values())} words in each, and misses {how}."
