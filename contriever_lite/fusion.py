"""One answer from several: fuse runs by rank or by score.

Both fusions answer every query of any run, with every document that any run returned for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from contriever_lite.errors import ConfigError
from contriever_lite.metrics import Run, ranking


def reciprocal_rank_fusion(
    runs: Sequence[Run],
    k: float = 60,
    weights: Sequence[float] | None = None,
    depth: int | None = None,
) -> Run:
    """Fuse by rank, over the runs i that return document d:

        score(d) = sum_i weight_i / (k + rank_i(d))

    Ranks count from 1 in the order of `metrics.ranking`; depth: ranks used of each run (None: all);
    weights: 1 each if None. Raises ConfigError on a negative k, a depth below 1 or bad weights.
    Source: Cormack, Clarke and Büttcher 2009 (k = 60, no weights).
    """
    if k < 0 or (depth is not None and depth < 1):
        raise ConfigError(f"k is {k} and depth {depth}; allowed: k 0 or more, depth 1 or more")
    fused: Run = {query: {} for run in runs for query in run}
    for run, weight in zip(runs, _weights(runs, weights), strict=True):
        for query, scores in run.items():
            for rank, document in enumerate(ranking(scores)[:depth], start=1):
                total = fused[query].get(document, 0.0)
                fused[query][document] = total + weight / (k + rank)
    return fused


def weighted_fusion(
    runs: Sequence[Run], weights: Sequence[float] | None = None, normalise: str = "minmax"
) -> Run:
    """Fuse by score, over all runs i, scores s normalised to n in each query:

        score(d) = sum_i weight_i n_i(d)
        minmax: n(d) = (s(d) - min s) / (max s - min s), in 0..1     (1 where all are equal)
        zscore: n(d) = (s(d) - mean s) / std s                       (0 where all are equal)
        none:   n(d) = s(d)

    over the documents that the run returned for the query. A document that it did not return gets
    its lowest n; a run without an answer adds 0. weights: 1 each if None. Raises ConfigError on
    another name or bad weights. Source: Fox and Shaw 1994 (CombSUM), Lee 1997 (minmax), Bruch, Gai
    and Ingber 2023 (weights).
    """
    if normalise not in NORMALISE:
        raise ConfigError(f"normalise is {normalise!r}; allowed: {', '.join(NORMALISE)}")
    fused: Run = {query: {} for run in runs for query in run}
    for run in runs:
        for query, scores in run.items():
            fused[query].update(dict.fromkeys(scores, 0.0))
    for run, weight in zip(runs, _weights(runs, weights), strict=True):
        for query, scores in run.items():
            if scores:
                values = NORMALISE[normalise](np.array(list(scores.values()), dtype=np.float64))
                known = dict(zip(scores, values.tolist(), strict=True))
                lowest = float(values.min())
                for document in fused[query]:
                    fused[query][document] += weight * known.get(document, lowest)
    return fused


def _minmax(s: np.ndarray) -> np.ndarray:
    return (s - s.min()) / np.ptp(s) if np.ptp(s) else np.ones_like(s)


def _zscore(s: np.ndarray) -> np.ndarray:
    return (s - s.mean()) / s.std() if np.ptp(s) else np.zeros_like(s)


NORMALISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minmax": _minmax,
    "zscore": _zscore,
    "none": lambda s: s,
}


def _weights(runs: Sequence[Run], weights: Sequence[float] | None) -> list[float]:
    weights = [1.0] * len(runs) if weights is None else list(weights)
    good = len(weights) == len(runs) and all(0 <= w < float("inf") for w in weights)
    if not good or (runs and not any(weights)):
        raise ConfigError(
            f"weights are {weights}; allowed: {len(runs)} numbers, each 0 or more, not all 0"
        )
    return weights
