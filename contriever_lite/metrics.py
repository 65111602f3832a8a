"""How good is a ranking? nDCG, recall and reciprocal rank per query; intervals and paired tests.

Two shapes of data go through the whole evaluation wing:

    Run    query id -> document id -> score     what a retriever answered (larger is better)
    Qrels  query id -> document id -> grade     what people judged (0 or less: not relevant)

Every measure equals trec_eval's on the same files; `ranking` states its tie rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import log2

import numpy as np

from contriever_lite.errors import ConfigError, DataError

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]
Judged = Mapping[str, int]

GAINS: dict[str, Callable[[int], float]] = {
    "linear": lambda grade: max(grade, 0),
    "exponential": lambda grade: 2 ** max(grade, 0) - 1,
    "binary": lambda grade: float(grade > 0),
}


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids, best first, in trec_eval's order.

    Scores are compared as float32, and equal ones stand in *descending* order of document id
    (by code point, which is strcmp on UTF-8): "d9" before "d10" before "d1". The ranks written
    in a run file, and the order of `scores`, play no part. Raises DataError on a NaN score.
    Source: trec_eval 9, form_res_rels.c (`float sim`, `comp_sim_docno`).
    Other tools break ties otherwise: MS MARCO's script by ascending id, ranx by input order.
    """
    ids = sorted(scores, reverse=True)
    with np.errstate(over="ignore"):
        values = np.array([scores[i] for i in ids], dtype=np.float32)
    if np.isnan(values).any():
        odd = ids[int(np.isnan(values).argmax())]
        raise DataError(f"document {odd!r} scores NaN, which has no rank: mend the retriever")
    return [ids[i] for i in np.argsort(-values, kind="stable")]


def ndcg(ranked: Sequence[str], judged: Judged, k: int = 10, gain: str = "linear") -> float:
    """Normalised discounted cumulative gain of the first k documents, in 0..1.

        nDCG@k = DCG(grades in ranked order) / DCG(all judged grades, best first)
        DCG    = sum over rank r = 1..k of gain(grade_r) / log2(r + 1)

    gain: "linear" grade (trec_eval, BEIR), "exponential" 2^grade - 1 (Burges et al. 2005),
    "binary" 1 if grade > 0. An unjudged document and a negative grade gain 0; without a relevant
    document the value is 0. Source: Järvelin and Kekäläinen 2002, with the discount of trec_eval's
    ndcg_cut. Raises ConfigError on another gain.
    """
    if gain not in GAINS:
        raise ConfigError(f"gain is {gain!r}; allowed: {', '.join(GAINS)}")
    gain_of = GAINS[gain]
    ideal = _dcg(sorted((gain_of(g) for g in judged.values()), reverse=True)[:k])
    return _dcg(gain_of(judged.get(d, 0)) for d in ranked[:k]) / ideal if ideal else 0.0


def _dcg(gains: Iterable[float]) -> float:
    return sum(g / log2(rank + 1) for rank, g in enumerate(gains, start=1) if g)


def recall(ranked: Sequence[str], judged: Judged, k: int = 100, capped: bool = False) -> float:
    """Share of the relevant documents (grade > 0) found among the first k, in 0..1.

        R@k = |relevant in ranked[:k]| / |relevant|          capped: / min(k, |relevant|)

    0 without a relevant document. Source: trec_eval's recall; capped is BEIR's "R_cap@k"
    (Thakur et al. 2021), for sets whose queries have more than k relevant documents.
    """
    relevant = sum(g > 0 for g in judged.values())
    found = sum(judged.get(d, 0) > 0 for d in ranked[:k])
    return found / (min(k, relevant) if capped else relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], judged: Judged, k: int = 10) -> float:
    """1 / rank of the first relevant document (grade > 0) if it is among the first k, else 0.

    Its mean over queries is MRR@k. Source: trec_eval's recip_rank, cut at k as MS MARCO does.
    """
    hits = (rank for rank, d in enumerate(ranked[:k], start=1) if judged.get(d, 0) > 0)
    return 1.0 / next(hits, float("inf"))


MEASURES: dict[str, Callable[..., float]] = {
    "ndcg": ndcg,
    "ndcg_exp": partial(ndcg, gain="exponential"),
    "ndcg_bin": partial(ndcg, gain="binary"),
    "recall": recall,
    "recall_cap": partial(recall, capped=True),
    "mrr": reciprocal_rank,
}


def _measure(name: str) -> Callable[[Sequence[str], Judged], float]:
    kind, at, k = name.partition("@")
    if kind not in MEASURES or not at or not k.isdecimal() or int(k) < 1:
        allowed = ", ".join(f"{m}@k" for m in MEASURES)
        raise ConfigError(f"measure {name!r} is unknown; allowed: {allowed}, with k 1 or more")
    return partial(MEASURES[kind], k=int(k))


def score_queries(
    run: Mapping[str, Mapping[str, float]],
    qrels: Mapping[str, Judged],
    measures: Sequence[str] = ("ndcg@10", "recall@100", "mrr@10"),
) -> dict[str, dict[str, float]]:
    """Measure name -> query id -> value, in the order of `qrels`.

    Every judged query counts: one that the run lacks, or answers with nothing, scores 0 (trec_eval
    -c). Queries of the run without judgements are ignored. Names: ndcg@k (linear gain),
    ndcg_exp@k, ndcg_bin@k, recall@k, recall_cap@k, mrr@k. Raises ConfigError on another name.
    """
    functions = {name: _measure(name) for name in measures}
    values: dict[str, dict[str, float]] = {name: {} for name in measures}
    for query, judged in qrels.items():
        ranked = ranking(run.get(query, {}))
        for name, function in functions.items():
            values[name][query] = function(ranked, judged)
    return values


@dataclass(frozen=True)
class Interval:
    """A mean over queries and the ends of its confidence interval, all in the measure's unit."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """The mean difference of two systems over the same queries, and its two-sided p value."""

    difference: Interval
    p_value: float

    def __str__(self) -> str:
        return f"{self.difference}, p = {self.p_value:.4f}"


def bootstrap_interval(
    values: Mapping[str, float] | Iterable[float],
    seed: int = 0,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of the mean over queries (Efron and Tibshirani 1993, ch. 13).

        mean_i = mean of n values drawn with replacement from the n values, i = 1..resamples
        [low, high] = the (1 - confidence) / 2 and (1 + confidence) / 2 quantiles of mean_i

    It answers "what if other queries had been asked?", not "what if training had another seed?".
    The same values in any order give the same interval. Raises DataError without a value.
    """
    x = np.sort(np.fromiter(values.values() if isinstance(values, Mapping) else values, float))
    if not len(x):
        raise DataError("no query has a value, so there is no mean: are the judgements empty?")
    rng = np.random.default_rng(seed)
    means = [x[rng.integers(0, len(x), len(x))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(x.mean()), float(low), float(high))


def paired_test(
    a: Mapping[str, float], b: Mapping[str, float], seed: int = 0, resamples: int = 10_000
) -> Comparison:
    """Is a better than b on the same queries? Bootstrap interval and randomisation test of a - b.

        d_q = a_q - b_q;  p = (1 + #{i : |mean(s_i d)| >= |mean(d)|}) / (1 + resamples)

    with signs s_i,q = +1 or -1 at random: if the systems were alike, their labels could be swapped
    in any query. Source: Smucker, Allan and Carterette 2007. Raises DataError unless both have the
    same queries.
    """
    if a.keys() != b.keys():
        odd = sorted(a.keys() ^ b.keys())
        found = f"{len(odd)} queries, such as {odd[0]!r}, were scored in one system only"
        raise DataError(f"{found}: score both with the same judgements")
    d = np.array([a[q] - b[q] for q in sorted(a)])
    rng = np.random.default_rng(seed)
    flipped = np.array([rng.choice([-1.0, 1.0], len(d)) @ d for _ in range(resamples)])
    extreme = int((np.abs(flipped) >= abs(d.sum()) - 1e-9).sum())  # 1e-9: rounding of equal sums
    return Comparison(bootstrap_interval(d, seed, resamples), (1 + extreme) / (1 + resamples))
