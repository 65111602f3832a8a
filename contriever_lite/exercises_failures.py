"""Checks for the exercises of chapter 13: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isclose

from contriever_lite.exercises import hint, in_words, listed, number, numbers
from contriever_lite.fusion import reciprocal_rank_fusion
from contriever_lite.metrics import ranking
from contriever_lite.search import tokenize
from contriever_lite.significance import holm


def _ranked(others: str, **ranks: int) -> list[str]:
    """Fourteen documents, some of them at given ranks."""
    at = {rank: document for document, rank in ranks.items()}
    return [at.get(rank, f"{others}{rank}") for rank in range(1, 15)]


RANKINGS = {
    "both agree": (["d1", "d2", "d3"], ["d1", "d2", "d3"]),
    "one is alone with d9": (["d1", "d2", "d3"], ["d9", "d2", "d1"]),
    "a list is empty": (["d4", "d2"], []),
    "third in both against first in one": (["d1", "d5", "d7"], ["d8", "d6", "d7"]),
    "d4 is at 6 and 9, d5 at 2 and 14": (_ranked("a", d5=2, d4=6), _ranked("b", d4=9, d5=14)),
    "d4 is at 1 and 13, d5 at 5 and 8": (_ranked("a", d4=1, d5=5), _ranked("b", d5=8, d4=13)),
    "three lists": (["d1", "d2"], ["d2", "d3"], ["d3", "d1", "d2"]),
}


@in_words
def check_fusion(function: Callable[[Sequence[Sequence[str]]], Sequence[str]]) -> str:
    """A reader's reciprocal rank fusion with k = 60, called as function(rankings), which returns
    the documents, best first."""
    for case, lists in RANKINGS.items():
        answer = list(map(str, listed(function([list(each) for each in lists]))))
        right = _fused(lists, 60)
        if answer != right:
            asked = f"where {case}, the order is {_first(right)}, not {_first(answer)}."
            return f"Not yet: {asked} {_fusion_hint(answer, lists, right)}".rstrip()
    return "Right: seven cases, and third in both lists beats first in one."


def _first(documents: Sequence[str]) -> str:
    return ", ".join(documents[:6]) + (", ..." if len(documents) > 6 else "") or "empty"


def _scores(lists: Sequence[Sequence[str]], k: float) -> dict[str, float]:
    runs = [{"q": {d: -float(r) for r, d in enumerate(each)}} for each in lists]
    return reciprocal_rank_fusion(runs, k)["q"]


def _fused(lists: Sequence[Sequence[str]], k: float) -> list[str]:
    return ranking(_scores(lists, k))


def _fusion_hint(answer: list[str], lists: Sequence[Sequence[str]], right: list[str]) -> str:
    if sorted(answer) != sorted(right):
        return "Every document of any list is in the answer, once."
    if answer == _fused(lists, 0):
        return "That is k = 0, where a first place beats everything."
    if answer == right[::-1]:
        return "That is worst first."
    scores = _scores(lists, 60)
    if all(scores[a] == scores[b] for a, b in zip(answer, right, strict=True)):
        return "Equal scores stand in descending order of id, as everywhere in this book."
    return "A list adds 1 / (60 + rank) to each of its documents, and ranks begin at 1."


@in_words
def check_holm(function: Callable[[Sequence[float]], Sequence[float]]) -> str:
    """A reader's Holm correction, called as function(p_values)."""
    for p in ([0.01], [0.01, 0.04], [0.04, 0.01, 0.03], [0.02, 0.02, 0.5], [0.6, 0.9]):
        answer, right = numbers(function(list(p))), holm(p)
        if not _near(answer, right):
            should, found = ([round(value, 4) for value in each] for each in (right, answer))
            return f"Not yet: {p} become {should}, not {found}. {_holm_hint(answer, p)}".rstrip()
    return "Right: in the order given, never above 1, and never smaller than a smaller p's."


def _near(answer: list[float], other: list[float]) -> bool:
    return len(answer) == len(other) and all(
        isclose(a, b, abs_tol=1e-6) for a, b in zip(answer, other, strict=True)
    )


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
    return hint(slips, lambda slip: _near(answer, slip))


@in_words
def check_oracle(function: Callable[[Mapping[str, float], Mapping[str, float]], float]) -> str:
    """A reader's score of a perfect choice between two systems, query by query, called as
    function(ours, theirs)."""
    ours = {"q1": 1.0, "q2": 0.0, "q3": 0.5, "q4": 0.25}
    theirs = {"q4": 0.75, "q3": 0.5, "q2": 0.5, "q1": 0.0}
    value, right = number(function(dict(ours), dict(theirs))), 2.75 / 4
    if not isclose(value, right, abs_tol=1e-6):
        slips = {
            "That is one system for all queries, the better system or their mean: they are equal "
            "here.": 1.75 / 4,
            "That is the sum: divide by the number of queries.": 2.75,
            "Match the two by query id, not by place.": (1.0 + 0.5 + 0.5 + 0.25) / 4,
        }
        slip = hint(slips, lambda wrong: isclose(value, wrong, abs_tol=1e-6))
        found = f"{value:.3f}, and it should be {right:.3f}"
        return f"Not yet: {found}. {slip or 'Take the larger of each query.'}"
    other = number(function({"x": 1.0, "y": 0.0, "z": 0.25}, {"z": 0.5, "x": 0.0, "y": 0.75}))
    if not isclose(other, 0.75, abs_tol=1e-6):
        return f"Not yet: right for four queries; for three others {other:.3f}, should be 0.750."
    return "Right: 0.688, where each of the two systems has 0.438 on its own."


@in_words
def check_deaf(first: str | None, second: str | None) -> str:
    """Two queries that ask different things and are one and the same to BM25, and so to any bag
    that leaves out the same words."""
    if not first or not second:
        return "Not yet: give two queries."
    if not isinstance(first, str) or not isinstance(second, str):
        return "Not yet: a query is a text, in quotation marks; one of these is not."
    words = [re.findall(r"\w+", text.lower()) for text in (first, second)]
    if words[0] == words[1]:
        return "Not yet: that is the same query twice."
    bags = [Counter(found) for found in tokenize([first, second])]
    if not bags[0]:
        return "Not yet: the first has no word left when stop words are gone."
    if apart := sorted((bags[0] - bags[1]) + (bags[1] - bags[0])):
        return f"Not yet: BM25 can tell them apart by {', '.join(apart)}."
    if len(words[0]) == len(words[1]) == 1:
        return "Not yet: two forms of one word ask for the same. Take two words or more."
    how = "the order" if Counter(words[0]) == Counter(words[1]) else "words that it leaves out"
    count = f"BM25 counts {sum(bags[0].values())} words in each, and misses {how}."
    return f"Right: {count} Do they ask for different things? No check can tell."
