"""Checks for the exercises of chapter 01: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose, log

import numpy as np

from contriever_lite.beir import joined
from contriever_lite.collection import load_collection
from contriever_lite.exercises import entry, hint, in_brief, in_words, number, numbers
from contriever_lite.metrics import reciprocal_rank
from contriever_lite.search import BM25Index, tokenize

Answers = Mapping[str, "float | None"]
ReciprocalRank = Callable[[Sequence[str], Mapping[str, int], int], float]
IntervalOf = Callable[[np.ndarray, np.ndarray, np.random.Generator], "tuple[float, float]"]


@in_words
def check_idf(answers: Answers) -> str:
    """Two idf of Lucene's BM25 by hand: N = 4 documents, a word in one of them, a word in all."""
    for name, n in {"in one of four": 1, "in all four": 4}.items():
        value = entry(answers, name, f"Not yet: give a number for a word {name}.")
        right = log(1 + (4 - n + 0.5) / (n + 0.5))
        if not isclose(value, right, abs_tol=0.006):
            return f"Not yet: for a word {name}, {value} is not it. {_idf_hint(value, n)}"
    return "Right: the rare word weighs eleven times the one in all, which still counts a little."


def _idf_hint(value: float, n: int) -> str:
    ratio = (4 - n + 0.5) / (n + 0.5)
    slips = {
        "That is the logarithm without the 1 added inside it.": log(ratio),
        "That is ln(N / n), without the halves and the 1.": log(4 / n),
        "That is the logarithm to base 10: take the natural one.": log(1 + ratio) / log(10),
        "That is the logarithm to base 2: take the natural one.": log(1 + ratio) / log(2),
        "That is what stands inside the logarithm: take its logarithm.": 1 + ratio,
    }
    near = hint(slips, lambda slip: isclose(value, slip, abs_tol=0.006))
    return near or f"Inside the logarithm stands 1 + ({4 - n} + 0.5) / ({n} + 0.5)."


@in_words
def check_reciprocal_rank(function: ReciprocalRank) -> str:
    """A reader's reciprocal rank, called as function(ranked, judged, k)."""
    ranked = [f"d{i}" for i in range(1, 21)]
    cases = {
        "the relevant document is first": ({"d1": 1}, 10),
        "the relevant document is third": ({"d3": 1}, 10),
        "two are relevant, at ranks 2 and 5": ({"d5": 2, "d2": 1}, 10),
        "the relevant document is last of the ten": ({"d10": 1}, 10),
        "the relevant document is at rank 11 and k is 10": ({"d11": 1}, 10),
        "the document at rank 1 was judged not relevant (grade 0)": ({"d1": 0, "d4": 1}, 10),
        "nothing relevant was returned": ({"x": 1}, 10),
        "the only relevant document has grade 2": ({"d2": 2}, 10),
        "the relevant document is at rank 4 and k is 3": ({"d4": 1}, 3),
    }
    for case, (judged, k) in cases.items():
        value = number(function(list(ranked), dict(judged), k))
        right = reciprocal_rank(ranked, judged, k)
        if not isclose(value, right, abs_tol=1e-6):
            return f"Not yet: where {case}, it gives {value:.3g}, and it should be {right:.3g}."
    return f"Right, in all {len(cases)} cases."


@in_words
def check_failing_query(query: str, document_id: str) -> str:
    """A query that BM25 cannot answer with this note of data/tiny, for they share no word."""
    tiny = load_collection("tiny", "test")
    if not isinstance(query, str):
        return f"Not yet: the query is {in_brief(query)}. Write a question, in quotation marks."
    if document_id not in list(tiny.corpus):
        return f"Not yet: there is no note {document_id!r}. There are {', '.join(tiny.corpus)}."
    words, note = tokenize([query, joined(tiny.corpus[document_id])])
    if len(set(words)) < 3:
        return f"Not yet: of {query!r}, BM25 keeps {sorted(set(words))}. Use three words or more."
    if shared := sorted(set(words) & set(note)):
        return f"Not yet: the query and the note share {', '.join(shared)} (after stemming)."
    found = BM25Index(tiny.texts(), tiny.document_ids()).search({"q": query}, 3)["q"]
    if not found:
        return "Nearly: BM25 returns nothing at all. Lure it: use a word of some other note."
    lured = next(iter(found))
    return (
        f"Right, if it is a question that the note answers: BM25 cannot return {document_id!r}, "
        f"and puts {lured!r} first instead."
    )


@in_words
def check_limits(answers: Answers) -> str:
    """What k1 and b mean at their ends, as ratios of BM25 scores (keys: see the chapter)."""
    rights = {
        "k1 = 0: ten times / once": (1.0, "tf / (tf + 0) does not depend on tf"),
        "k1 huge: ten times / once": (10.0, "tf / (tf + K) is nearly tf / K when K is far larger"),
        "b = 0: long / average": (1.0, "K = k1 then, whatever the length"),
        "rankings at k1 = 0, as b varies": (1.0, "b stands only in K, and K = 0"),
    }
    for name, (right, reason) in rights.items():
        value = entry(answers, name, f"Not yet: predict {name!r}.")
        if not isclose(value, right, rel_tol=0.05):
            return f"Not yet: {name!r} is not {value:g}. Think: {reason}."
    return "Right: k1 sets what repetition is worth, b what length costs, and k1 = 0 silences both."


@in_words
def check_difference_interval(function: IntervalOf) -> str:
    """A reader's 95 % bootstrap interval of mean(a - b), called as function(a, b, generator).

    Tried on made-up scores of 400 queries that are hard or easy for both systems alike.
    """
    draw = np.random.default_rng(0)
    ease = draw.random(400)
    a, b = ease + draw.normal(0.05, 0.1, 400), ease + draw.normal(0.0, 0.1, 400)
    answer, again, other = (
        numbers(function(a.copy(), b.copy(), np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    if len(answer) != 2:
        return f"Not yet: two numbers, the lower end and the upper; found {len(answer)}."
    fault = _interval_fault(*answer, a - b)
    if not fault and again != answer:
        fault = "the same generator gives another interval. Draw from `generator` alone."
    if not fault and other == answer:
        fault = "another generator gives the same interval. Draw the resamples from `generator`."
    if fault:
        return f"Not yet: {fault}"
    found = f"[{answer[0]:.3f}, {answer[1]:.3f}]"
    return f"Right: {found}. Whatever makes a query hard for both systems drops out of a - b."


def _interval_fault(low: float, high: float, difference: np.ndarray) -> str:
    mean, width = difference.mean(), high - low
    wanted = 2 * 1.96 * difference.std() / np.sqrt(len(difference))
    found = f"[{low:.3f}, {high:.3f}]"
    if not low < high:
        return f"{found} is no interval. Return the lower end first."
    if width > 8 * wanted:
        return f"{found} is of single queries. Take the mean of each resample."
    if low <= -mean <= high:
        return f"{found} holds b - a. The difference asked for is a - b."
    if not low <= mean <= high:
        return f"{found} does not hold the mean difference, {mean:.3f}."
    if width > 1.2 * wanted:
        return f"{found} is too wide for 95 %. Did you draw other queries for a than for b?"
    if width < 0.88 * wanted:
        return f"{found} is too narrow for 95 %. Draw as many queries as there are."
    return ""
