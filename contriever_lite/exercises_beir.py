"""Checks for the exercises of chapter 11: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, isclose

from contriever_lite.exercises import NOTHING, Unfit, hint, in_brief, in_words, listed, number
from contriever_lite.index_costs import bytes_per_vector
from contriever_lite.index_settings import KINDS, IndexSettings
from contriever_lite.metrics import Judged, Run, ranking, recall

POWER = 1.96 + 0.84  # 95 % sure, seen four times in five
PASSAGES, NUMBERS = 21_015_324, 768  # Wikipedia as DPR cut it, one vector of BERT base each


@in_words
def check_queries(function: Callable[[float, float], int]) -> str:
    """A reader's number of queries, called as function(sd, difference)."""
    for sd, difference in ((0.3, 0.011), (0.22, 0.02), (0.35, 0.05)):
        answer, right = number(function(sd, difference)), ceil((POWER * sd / difference) ** 2)
        if answer != right:
            asked = f"deviation {sd} and difference {difference} ask for {right:,} queries"
            slip = _queries_hint(answer, sd, difference)
            return f"Not yet: {asked}, not {answer:,}. {slip}".rstrip()
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
    near = hint(slips, lambda slip: slip - 1 < answer < slip + 1)
    return near or ("Round up: queries are whole." if answer < ratio**2 < answer + 1 else "")


RANKED = [f"d{i}" for i in range(1, 7)]
JUDGED: dict[str, Judged] = {
    "one relevant document, found": {"d2": 1},
    "four relevant, two of them among the first three": {"d1": 1, "d3": 2, "d5": 1, "d9": 1},
    "two relevant, one not found": {"d1": 1, "d9": 1},
    "a judged document that is not relevant": {"d1": 1, "d2": 0, "d7": 1},
    "no relevant document": {"d1": 0},
    "a negative grade": {"d1": -1, "d9": 1},
}


@in_words
def check_capped(function: Callable[[Sequence[str], Judged, int], float]) -> str:
    """A reader's capped recall, called as function(ranked, judged, k)."""
    for case, judged, k in [(*case, k) for k in (3, 5) for case in JUDGED.items()]:
        answer = number(function(list(RANKED), dict(judged), k))
        right = recall(RANKED, judged, k, True)
        if not isclose(answer, right, abs_tol=1e-6):
            asked = f"with {case}, it is {right:.3f} at k = {k}, not {answer:.3f}."
            return f"Not yet: {asked} {_capped_hint(answer, judged, k)}".rstrip()
    return "Right: six cases, and a perfect list scores 1 however many documents are relevant."


def _capped_hint(answer: float, judged: Judged, k: int) -> str:
    relevant = sum(grade > 0 for grade in judged.values())
    found = sum(judged.get(d, 0) > 0 for d in RANKED[:k])
    slips = {
        "That is plain recall: a list of k holds k at most.": found / max(relevant, 1),
        "That is precision: divide by the relevant ones where these are fewer than k.": found / k,
        "Grade 0 means judged and not relevant.": sum(d in judged for d in RANKED[:k])
        / min(k, len(judged)),
        "Look at the first k answers only.": sum(judged.get(d, 0) > 0 for d in RANKED)
        / max(min(k, relevant), 1),
    }
    return hint(slips, lambda slip: isclose(answer, slip, abs_tol=1e-6))


RUN: Run = {
    "q1": {"d2": 3.0, "q1": 9.0, "d1": 5.0, "d3": 7.0},
    "d5": {"d1": 4.0, "d2": 3.0, "d5": 2.0, "d3": 1.0},
    "q2": {"d2": 1.0, "d5": 3.0, "d1": 2.0},
    "q3": {"q3": 1.0},
}


@in_words
def check_itself(function: Callable[[Run, int], Run]) -> str:
    """A reader's removal of self-matches, called as function(run, k): each query's k best answers,
    itself not among them."""
    for k in (2, 1):
        answer = _run(function({query: dict(scores) for query, scores in RUN.items()}, k))
        if set(answer) != set(RUN):
            return "Not yet: every query of the run stays, even with nothing left to answer."
        for query, scores in RUN.items():
            right, found = [d for d in ranking(scores) if d != query][:k], answer[query]
            if set(found) != set(right):
                asked = f"at k = {k}, {query} is answered by {right}, not {list(found)}."
                return f"Not yet: {asked} {_itself_hint(set(found), query, k)}"
            for d in right:
                if not isclose(found[d], scores[d], rel_tol=1e-6):
                    wrong = f"{d} has {found[d]:g} for {query}, and had {scores[d]:g}"
                    return f"Not yet: the scores stay as they were; {wrong}."
    return "Right: two answers each, where there are two, and none is the query itself."


def _run(answer: object) -> Run:
    if answer is None:
        raise Unfit(NOTHING)
    if not isinstance(answer, Mapping) or not all(isinstance(x, Mapping) for x in answer.values()):
        wanted = "Return a dict of query to a dict of document to score."
        raise Unfit(f"Not yet: {in_brief(answer)} is no run. {wanted}")
    return {query: {d: number(x) for d, x in each.items()} for query, each in answer.items()}


def _itself_hint(found: set[str], query: str, k: int) -> str:
    if query in found:
        return "That is the query itself."
    if found == set(ranking(RUN[query])[:k]) - {query}:
        return "You cut at k and then dropped: drop first, or a place stays empty."
    return "Cut at k." if len(found) > k else "Keep the k best that are left."


@in_words
def check_memory(function: Callable[[int, int, float], Sequence[str]]) -> str:
    """A reader's choice of the kinds of index that fit, called as function(passages, dimension,
    gigabytes)."""
    cases = [(PASSAGES, NUMBERS, gigabytes) for gigabytes in (70.0, 20.0, 2.0, 0.5)]
    for passages, dimension, gigabytes in (*cases, (1_000_000, 384, 0.5)):
        answer = list(map(str, listed(function(passages, dimension, gigabytes))))
        right = _fitting(passages, dimension, gigabytes * 1e9)
        if set(answer) != set(right):
            asked = f"of {passages:,} vectors of {dimension} numbers fit in {gigabytes:g} GB"
            slip = ""
            if set(answer) == set(_fitting(passages, dimension, gigabytes * 2**30)):
                slip = " A gigabyte is 10^9 bytes here."
            elif set(answer) == set(KINDS):
                slip = " Bytes a vector, times the number of vectors."
            names = (", ".join(each) or "none" for each in (right, answer))
            return f"Not yet: {asked} {', not '.join(names)}.{slip}"
    return "Right: 20 GB hold three kinds of six, 2 GB one, and half of one none."


def _fitting(passages: int, dimension: int, bytes_: float) -> list[str]:
    sizes = {kind: bytes_per_vector(IndexSettings(kind), dimension, passages) for kind in KINDS}
    return [kind for kind, size in sizes.items() if size * passages <= bytes_]
