"""Systems against one another on the same queries: differences, their p values, and what remains of
these when many are looked at together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.metrics import Comparison, Interval, paired_test

NEEDED = ("model", "data", "split", "per_query")


@dataclass(frozen=True)
class Difference:
    """A system minus the baseline in one measure, on one collection; `adjusted` is Holm's p."""

    data: str
    split: str
    system: str
    baseline: str
    measure: str
    comparison: Comparison
    adjusted: float


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for how many there are, in the order given: if each below a is called a
    difference, one or more of these calls is wrong with a probability of at most a.

        adjusted_(i) = max over j = 1..i of min(1, (m - j + 1) p_(j))

    p_(1) <= ... <= p_(m): the values in order; m: their number. Source: Holm 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, np.arange(len(p), 0, -1) * p[order])
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted.tolist()


def macro_interval(
    groups: Sequence[Mapping[str, float]], seed: int = 0, resamples: int = 2000
) -> Interval:
    """Mean over groups of the mean over their queries, each group counting alike, as CQADupStack's
    twelve forums do; 95 % percentile bootstrap interval, queries drawn anew within each group.

        mean = (1 / G) sum over groups g = 1..G of (1 / n_g) sum over queries of g of value

    Raises DataError for a group without a query.
    """
    values = [np.sort(np.fromiter(group.values(), float)) for group in groups]
    if not values or not all(map(len, values)):
        raise DataError("a group without a query has no mean: are its judgements empty?")
    rng = np.random.default_rng(seed)
    means = [
        np.mean([x[rng.integers(0, len(x), len(x))].mean() for x in values])
        for _ in range(resamples)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(np.mean([x.mean() for x in values])), float(low), float(high))


def read_query_scores(path: str | Path) -> dict[str, Any]:
    """The file that `eval --per-query` writes. Raises DataError for any other."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no {path}; `contriever-lite eval --per-query FILE` writes one")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = {key: record[key] for key in NEEDED}
        found["per_query"] = {
            measure: {query: float(value) for query, value in values.items()}
            for measure, values in found["per_query"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no scores of queries ({error!r})") from error
    return found


def differences(systems: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Each system minus the first of its collection and split, in every measure that both have:
    paired bootstrap interval, paired randomisation test (metrics.paired_test), and Holm's p over
    all differences in that measure. systems: as `read_query_scores` returns them.

    Raises ConfigError where no two systems share a collection.
    """
    first: dict[tuple[str, str], Mapping[str, Any]] = {}
    found: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any], Comparison]]] = {}
    for system in systems:
        base = first.setdefault((system["data"], system["split"]), system)
        for measure, values in system["per_query"].items() if base is not system else ():
            if measure in base["per_query"]:
                test = paired_test(values, base["per_query"][measure])
                found.setdefault(measure, []).append((system, base, test))
    if not found:
        raise ConfigError("nothing to compare: give two or more systems scored on one collection")
    return [
        Difference(s["data"], s["split"], s["model"], base["model"], measure, test, p)
        for measure, rows in found.items()
        for (s, base, test), p in zip(rows, holm([t.p_value for *_, t in rows]), strict=True)
    ]


def difference_table(found: Sequence[Difference], names: Mapping[str, str]) -> str:
    """Markdown: a difference a row, bold where Holm's p is below .05. names: how measures print."""
    rows = [
        "| collection | system | minus | measure | difference | p | Holm's p |",
        "|---|---|---|---|---|---|---|",
    ]
    for d in found:
        about = (
            f"{d.data}, {d.split} | {d.system} | {d.baseline} | {names.get(d.measure, d.measure)}"
        )
        change = d.comparison.difference
        words = f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
        words = f"**{words}**" if d.adjusted < 0.05 else words
        rows.append(f"| {about} | {words} | {d.comparison.p_value:.4f} | {d.adjusted:.4f} |")
    return "\n".join(rows)
