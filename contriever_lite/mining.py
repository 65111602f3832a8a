"""Hard negatives: what a retriever ranks high for a query although nobody called it an answer."""

from __future__ import annotations

from collections.abc import Mapping

from contriever_lite.errors import ConfigError
from contriever_lite.metrics import Qrels, Run, ranking

NEGATIVES = ("in-batch", "bm25", "own")  # of the batch alone, or also mined, and by what


def mine(
    run: Run, qrels: Qrels, count: int = 10, margin: float | None = 0.95, skip: int = 0
) -> dict[str, list[str]]:
    """query id -> at most `count` documents of a run that are not judged relevant, best first.

    People judge few documents, so the best of the rest are often answers that nobody marked: false
    negatives. The guard drops every document whose score is above

        s(q, d+) - (1 - margin) |s(q, d+)|

    for the best-ranked relevant document d+ of the query; margin=None lets all pass. A query whose
    run holds no relevant document has nothing below its positive, and gets none. skip: leave out
    the first so many of the rest as well, as DPR's successors do. Raises ConfigError on a count
    below 1 or a margin outside 0..1. Source: de Souza P. Moreira et al. 2024, "NV-Retriever",
    TopK-PercPos, margin .95.
    """
    if count < 1 or skip < 0 or not (margin is None or 0 <= margin <= 1):
        raise ConfigError(
            f"count = {count}, margin = {margin}, skip = {skip}: allowed are a count of 1 or more, "
            "a margin from 0 to 1 or None, and a skip of 0 or more"
        )
    mined = {}
    for query, judged in qrels.items():
        scores = run.get(query, {})
        relevant = {d for d, grade in judged.items() if grade > 0}
        most = _most(scores, relevant, margin)
        rest = (d for d in ranking(scores) if d not in relevant and scores[d] <= most)
        mined[query] = list(rest)[skip : skip + count]
    return mined


def _most(scores: Mapping[str, float], relevant: set[str], margin: float | None) -> float:
    """The highest score that a hard negative may have."""
    if margin is None:
        return float("inf")
    best = max((scores[d] for d in relevant if d in scores), default=None)
    return float("-inf") if best is None else best - (1 - margin) * abs(best)
