"""Differences between systems: paired tests, Holm's correction, means of means."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.metrics import bootstrap_interval, paired_test
from contriever_lite.report import NAMES
from contriever_lite.significance import (
    difference_table,
    differences,
    holm,
    macro_interval,
    read_query_scores,
)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_equals_its_formula(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    expected, m = {}, len(p_values)
    for i, place in enumerate(order, start=1):
        steps = [min(1, (m - j + 1) * p_values[order[j - 1]]) for j in range(1, i + 1)]
        expected[place] = max(steps)
    assert holm(p_values) == pytest.approx([expected[place] for place in range(m)])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_keeps_false_alarms_below_the_level() -> None:
    """Ten true null hypotheses, a thousand times: one is rejected in 5 % of them, not in 40 %."""
    draws = np.random.default_rng(0).random((1000, 10))
    assert np.mean([min(holm(row)) < 0.05 for row in draws]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([min(row) < 0.05 for row in draws]) > 0.35


def test_the_mean_of_means_counts_each_group_alike() -> None:
    groups = [{"a": 1.0}, {f"b{n}": 0.0 for n in range(99)}]
    assert macro_interval(groups).mean == 0.5
    assert (macro_interval(groups).low, macro_interval(groups).high) == (0.5, 0.5)
    values = np.random.default_rng(1).random(60)
    one = {str(n): value for n, value in enumerate(values)}
    found, whole = macro_interval([one]), bootstrap_interval(one)
    assert found.mean == pytest.approx(whole.mean)
    assert (found.low, found.high) == pytest.approx((whole.low, whole.high), abs=0.01)
    with pytest.raises(DataError, match="a group without a query"):
        macro_interval([one, {}])
    with pytest.raises(DataError, match="a group without a query"):
        macro_interval([])


def system(model: str, shift: float, data: str = "one", queries: int = 40) -> dict:
    rng = np.random.default_rng(3)
    values = {f"q{n}": float(np.clip(rng.random() + shift, 0, 1)) for n in range(queries)}
    return {"model": model, "data": data, "split": "test", "per_query": {"ndcg@10": values}}


def test_each_system_is_compared_with_the_first_of_its_collection() -> None:
    systems = [system("base", 0), system("same", 0), system("worse", -0.3), system("x", 0, "two"),
               system("y", 0.3, "two")]  # fmt: skip
    same, worse, better = differences(systems)
    assert [(d.system, d.baseline, d.data) for d in (same, worse, better)] == [
        ("same", "base", "one"), ("worse", "base", "one"), ("y", "x", "two"),
    ]  # fmt: skip
    own = paired_test(systems[2]["per_query"]["ndcg@10"], systems[0]["per_query"]["ndcg@10"])
    assert worse.comparison == own
    tests = [d.comparison.p_value for d in (same, worse, better)]
    assert [d.adjusted for d in (same, worse, better)] == holm(tests)
    assert same.adjusted == 1
    assert worse.adjusted < 0.01
    table = difference_table([same, worse, better], NAMES).splitlines()
    assert (
        table[2]
        == "| one, test | same | base | nDCG@10 | +0.000 [+0.000, +0.000] | 1.0000 | 1.0000 |"
    )
    assert "**-0." in table[3]
    assert len({line.count("|") for line in table}) == 1


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        differences([system("a", 0)])
    with pytest.raises(ConfigError, match="nothing to compare"):
        differences([system("a", 0), system("b", 0, "two")])
    with pytest.raises(DataError, match="scored in one system only"):
        differences([system("a", 0), system("b", 0, queries=41)])


def test_scores_of_queries_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(system("a", 0)))
    assert read_query_scores(path) == system("a", 0)
    for broken in (
        "{",
        "[]",
        '{"model": 1}',
        '{"model":"m","data":"d","split":"s","per_query":3}',
        '{"model":"m","data":"d","split":"s","per_query":{"ndcg@10":{"q":"high"}}}',
    ):
        path.write_text(broken)
        with pytest.raises(DataError, match=r"a\.json holds no scores of queries"):
            read_query_scores(path)
    with pytest.raises(DataError, match="eval --per-query FILE"):
        read_query_scores(tmp_path / "absent")


def test_the_interval_of_means_ends_at_the_percentiles() -> None:
    """A third of 0, drawn three times, is all there is in 1 / 27 = .037 of the draws."""
    low, high = [{"a": 0.0, "b": 1.0, "c": 1.0}], [{"a": 0.0, "b": 0.0, "c": 1.0}]
    assert macro_interval(low, resamples=5000).low == 0
    assert macro_interval(high, resamples=5000).high == 1


def test_the_seed_of_an_interval_of_means_decides() -> None:
    groups = [{str(n): float(n) for n in range(30)}]
    assert macro_interval(groups, resamples=99) != macro_interval(groups, seed=1, resamples=99)
