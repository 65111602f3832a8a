"""Checks for the exercises of chapter 11: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, isclose

from contriever_lite.index_costs import bytes_per_vector
from contriever_lite.index_settings import KINDS, IndexSettings
from contriever_lite.metrics import Judged, Run, ranking, recall

NOTHING = "Not yet: the function returns nothing."
POWER = 1.96 + 0.84  # 95 % sure, seen four times in five
PASSAGES, NUMBERS = 21_015_324, 768  # Wikipedia as DPR cut it, one vector of BERT base each


def check_queries(function: Callable[[float, float], int]) -> str:
    """A reader's number of queries, called as function(sd, difference)."""
    for sd, difference in ((0.3, 0.01), (0.2, 0.02), (0.35, 0.05)):
        answer, right = function(sd, difference), ceil((POWER * sd / difference) ** 2)
        if answer is None:
            return NOTHING
        if answer != right:
            asked = f"deviation {sd} and difference {difference} ask for {right:,} queries"
            hint = _queries_hint(answer, sd, difference)
            return f"Not yet: {asked}, not {answer:,}. {hint}".rstrip()
    return "Right: half the difference asks for four times the queries."


def _queries_hint(answer: float, sd: float, difference: float) -> str:
    ratio = POWER * sd / difference
    slips = {
        "That is the interval's half width alone: half of the experiments would miss it.": (
            1.96 * sd / difference
        )
        ** 2,
        "Square the ratio: the interval shrinks with the root of the number.": ratio,
        "That is for two groups of queries; here both systems answer the same ones.": 2 * ratio**2,
    }
    for hint, slip in slips.items():
        if answer in (floor(slip), ceil(slip)) or isclose(answer, slip):
            return hint
    return "Round up: queries are whole." if isclose(answer, ratio**2, abs_tol=1) else ""


RANKED = [f"d{i}" for i in range(1, 7)]
JUDGED: dict[str, Judged] = {
    "one relevant document, found": {"d2": 1},
    "four relevant, two of them among the first three": {"d1": 1, "d3": 2, "d5": 1, "d9": 1},
    "two relevant, one not found": {"d1": 1, "d9": 1},
    "a judged document that is not relevant": {"d1": 1, "d2": 0, "d7": 1},
    "no relevant document": {"d1": 0},
}


def check_capped(function: Callable[[Sequence[str], Judged, int], float]) -> str:
    """A reader's capped recall, called as function(ranked, judged, k)."""
    for case, judged in JUDGED.items():
        answer, right = function(list(RANKED), dict(judged), 3), recall(RANKED, judged, 3, True)
        if answer is None:
            return NOTHING
        if not isclose(answer, right, abs_tol=1e-9):
            asked = f"with {case}, it is {right:.3f} at k = 3, not {answer:.3f}."
            return f"Not yet: {asked} {_capped_hint(answer, judged)}".rstrip()
    return "Right: five cases, and a perfect list scores 1 however many documents are relevant."


def _capped_hint(answer: float, judged: Judged) -> str:
    relevant = sum(grade > 0 for grade in judged.values())
    found = sum(judged.get(d, 0) > 0 for d in RANKED[:3])
    slips = {
        "That is plain recall: no list of three can hold four.": found / max(relevant, 1),
        "That is precision: divide by the relevant ones where these are fewer than k.": found / 3,
        "Grade 0 means judged and not relevant.": sum(d in judged for d in RANKED[:3])
        / min(3, len(judged)),
        "Look at the first k answers only.": sum(judged.get(d, 0) > 0 for d in RANKED)
        / max(min(3, relevant), 1),
    }
    return next((hint for hint, slip in slips.items() if isclose(answer, slip)), "")


RUN: Run = {
    "q1": {"q1": 9.0, "d3": 7.0, "d1": 5.0, "d2": 3.0},
    "d5": {"d1": 4.0, "d2": 3.0, "d5": 2.0, "d3": 1.0},
    "q2": {"d1": 2.0, "d2": 1.0},
    "q3": {"q3": 1.0},
}


def check_itself(function: Callable[[Run, int], Run]) -> str:
    """A reader's removal of self-matches, called as function(run, k): each query's k best answers,
    itself not among them."""
    given = {query: dict(scores) for query, scores in RUN.items()}
    answer = function(given, 2)
    if answer is None:
        return NOTHING
    if set(answer) != set(RUN):
        return "Not yet: every query of the run stays, even with nothing left to answer."
    for query, scores in RUN.items():
        right = [d for d in ranking(scores) if d != query][:2]
        found = ranking(answer[query])
        if found != right:
            asked = f"{query} is answered by {right}, not {found}."
            return f"Not yet: {asked} {_itself_hint(found, query)}".rstrip()
        if any(answer[query][d] != scores[d] for d in right):
            return "Not yet: the scores stay as they were."
    return "Right: two answers each, where there are two, and none is the query itself."


def _itself_hint(found: list[str], query: str) -> str:
    if query in found:
        return "That is the query itself."
    if found == [d for d in ranking(RUN[query])[:2] if d != query]:
        return "You cut at k and then dropped: drop first, or a place stays empty."
    if len(found) > 2:
        return "Cut at k."
    return "Keep the k best that are left."


def check_memory(function: Callable[[int, int, float], Sequence[str]]) -> str:
    """A reader's choice of the kinds of index that fit, called as function(passages, dimension,
    gigabytes)."""
    for gigabytes in (70.0, 20.0, 2.0, 0.5):
        answer, right = function(PASSAGES, NUMBERS, gigabytes), _fitting(gigabytes * 1e9)
        if answer is None:
            return NOTHING
        if set(answer) != set(right):
            asked = f"in {gigabytes:g} GB fit {', '.join(right) or 'none'}"
            hint = ""
            if set(answer) == set(_fitting(gigabytes * 2**30)):
                hint = " A gigabyte is 10^9 bytes here."
            elif set(answer) == set(KINDS):
                hint = " Bytes a vector, times the number of vectors."
            return f"Not yet: {asked}, not {', '.join(answer) or 'none'}.{hint}"
    return "Right: 20 GB hold three kinds of six, 2 GB one, and half of one none."


def _fitting(bytes_: float) -> list[str]:
    sizes = {kind: bytes_per_vector(IndexSettings(kind), NUMBERS, PASSAGES) for kind in KINDS}
    return [kind for kind, size in sizes.items() if size * PASSAGES <= bytes_]
