"""Two systems, query by query: who finds what, and is one system's loss larger in some group?

    loss = {q: dense[q] - bm25[q] for q in bm25}
    contrast(loss, members("rare word", rows))

Recorded studies are files in data/runs/analysis/, made by scripts/analysis.py.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contriever_lite.errors import DataError
from contriever_lite.metrics import Comparison, Interval, Qrels, Run, ranking
from contriever_lite.registry import repository


def first_ranks(run: Run, qrels: Qrels) -> dict[str, int]:
    """query id -> rank of its first right document, from 1; 0 where the run has none."""
    return {
        query: next(
            (r for r, d in enumerate(ranking(run.get(query, {})), 1) if judged.get(d, 0) > 0), 0
        )
        for query, judged in qrels.items()
    }


@dataclass(frozen=True)
class Contrast:
    """The mean of some value in a group of `count` queries, in the `others`, and the difference."""

    count: int
    others: int
    inside: Interval
    outside: Interval
    comparison: Comparison


def contrast(
    values: Mapping[str, float], group: Collection[str], seed: int = 0, resamples: int = 2000
) -> Contrast:
    """Mean of the values in the group minus the mean of the others: bootstrap interval, queries of
    either drawn anew among themselves; permutation test, group labels dealt anew.

        p = (1 + #{i : |difference_i| >= |difference|}) / (1 + resamples)

    Raises DataError where the group, or the rest, has fewer than two queries.
    """
    a = np.sort([value for query, value in values.items() if query in group])
    b = np.sort([value for query, value in values.items() if query not in group])
    if min(len(a), len(b)) < 2:
        raise DataError(f"{len(a)} queries in the group, {len(b)} outside: 2 or more are needed")
    rng = np.random.default_rng(seed)
    x, y = (_means(group, rng, resamples) for group in (a, b))
    both, actual = np.concatenate([a, b]), a.mean() - b.mean()
    dealt = np.array([rng.permutation(both)[: len(a)].sum() for _ in range(resamples)])
    differences = dealt / len(a) - (both.sum() - dealt) / len(b)
    extreme = int((np.abs(differences) >= abs(actual) - 1e-9).sum())
    test = Comparison(_interval(actual, x - y), (1 + extreme) / (1 + resamples))
    return Contrast(len(a), len(b), _interval(a.mean(), x), _interval(b.mean(), y), test)


def _means(values: np.ndarray, rng: np.random.Generator, resamples: int) -> np.ndarray:
    n = len(values)
    return np.array([values[rng.integers(0, n, n)].mean() for _ in range(resamples)])


def _interval(mean: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(mean), float(low), float(high))


def judgement(difference: Interval) -> str:
    """What an interval of a difference says: "better", "worse" or "cannot tell"."""
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "cannot tell"


def widest_gaps(
    ours: Mapping[str, int], theirs: Mapping[str, int], count: int = 3, missing: int = 101
) -> list[str]:
    """The queries where our rank is furthest above theirs, best first (rank 0 counts as `missing`);
    among equals, where ours is better, then by query id."""

    def place(ranks: Mapping[str, int], query: str) -> int:
        return ranks[query] or missing

    gaps = sorted((place(ours, q) - place(theirs, q), place(ours, q), q) for q in ours)
    return [query for gap, _, query in gaps[:count] if gap < 0]


def read_analysis(name: str, folder: str | Path | None = None) -> dict[str, Any]:
    """A recorded study by the name of its collection, or "weights": from data/runs/analysis of the
    checkout or from another folder. Columns become query -> value, a query named by its place in
    the collection's split: "0", "1", ..."""
    checkout = repository()
    place = Path(folder) if folder else checkout and checkout / "data" / "runs" / "analysis"
    file = place and place / f"{name}.json"
    if file is None or not file.is_file():
        raise DataError(f"no recorded study {name!r}; `python scripts/analysis.py` makes them")
    found = json.loads(file.read_text(encoding="utf-8"))
    names = list(map(str, range(found.get("queries", 0))))
    for kind in ("scores", "features"):
        columns = found.get(kind, {})
        found[kind] = {
            key: dict(zip(names, column, strict=True)) for key, column in columns.items()
        }
    return found
