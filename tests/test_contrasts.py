"""Contrasts whose truth is known, ranks, gaps, recorded studies."""

import json
from pathlib import Path

import numpy as np
import pytest

from contriever_lite.contrasts import (
    contrast,
    first_ranks,
    judgement,
    read_analysis,
    widest_gaps,
)
from contriever_lite.errors import DataError
from contriever_lite.metrics import Interval


def made(effect: float, seed: int, n: int = 200) -> tuple[dict[str, float], set[str]]:
    rng = np.random.default_rng(seed)
    group = {f"q{i}" for i in range(n // 4)}
    return {f"q{i}": rng.normal(effect * (i < n // 4), 1) for i in range(n)}, group


def test_contrast_finds_an_effect_and_its_parts() -> None:
    values, group = made(1.0, 0)
    found = contrast(values, group)
    inside = np.mean([values[q] for q in group])
    outside = np.mean([v for q, v in values.items() if q not in group])
    assert (found.count, found.others) == (50, 150)
    assert found.inside.mean == pytest.approx(inside)
    assert found.outside.mean == pytest.approx(outside)
    assert found.comparison.difference.mean == pytest.approx(inside - outside)
    assert 0 < found.comparison.difference.low < 1 < found.comparison.difference.high
    assert found.comparison.p_value == pytest.approx(1 / 2001)


def test_contrast_of_nothing_raises_few_alarms() -> None:
    found = [contrast(*made(0.0, seed, 80), resamples=200).comparison for seed in range(40)]
    alarms = sum(test.p_value < 0.05 for test in found)
    missed = sum(test.difference.low > 0 or test.difference.high < 0 for test in found)
    assert alarms <= 6
    assert missed <= 7


def test_contrast_is_the_permutation_test_on_few_queries() -> None:
    values = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}
    found = contrast(values, {"a", "b"}, resamples=3000).comparison
    assert found.difference.mean == 2
    assert found.p_value == pytest.approx(2 / 6, abs=0.03)  # {a, b} and {c, d} of six pairs


def test_contrast_does_not_depend_on_order() -> None:
    values, group = made(0.5, 3)
    assert contrast(values, group) == contrast(dict(reversed(values.items())), group)


@pytest.mark.parametrize("group", [set(), {"a"}, {"a", "b", "c"}])
def test_contrast_needs_two_on_each_side(group: set[str]) -> None:
    with pytest.raises(DataError, match="2 or more are needed"):
        contrast({"a": 1.0, "b": 2.0, "c": 0.0}, group)


def test_first_ranks() -> None:
    run = {"q1": {"d1": 3.0, "d2": 2.0, "d3": 1.0}, "q2": {"d1": 1.0}}
    qrels = {"q1": {"d2": 1, "d3": 2, "d1": 0}, "q2": {"d9": 1}, "q3": {"d1": 1}}
    assert first_ranks(run, qrels) == {"q1": 2, "q2": 0, "q3": 0}


def test_widest_gaps_first_and_ties_by_rank_then_id() -> None:
    ours = {"a": 1, "b": 1, "c": 51, "d": 7, "e": 0, "f": 1}
    theirs = {"a": 51, "b": 51, "c": 0, "d": 7, "e": 3, "f": 0}
    assert widest_gaps(ours, theirs, 9) == ["f", "a", "b", "c"]
    assert widest_gaps(ours, theirs, 2) == ["f", "a"]
    assert widest_gaps(theirs, ours, 9) == ["e"]
    assert widest_gaps(ours, theirs) == ["f", "a", "b"]


def test_an_answer_that_is_missing_counts_as_rank_101() -> None:
    assert widest_gaps({"a": 100, "b": 1}, {"a": 0, "b": 1}) == ["a"]
    assert widest_gaps({"a": 0, "b": 0}, {"a": 101, "b": 102}) == ["b"]


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.01, 0.2, "better"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.1, "cannot tell"),
        (0.0, 0.2, "cannot tell"),
        (-0.2, 0.0, "cannot tell"),
    ],
)
def test_verdict(low: float, high: float, says: str) -> None:
    assert judgement(Interval((low + high) / 2, low, high)) == says


def test_read_analysis_names_queries_by_place(tmp_path: Path) -> None:
    record = {"queries": 2, "features": {"words": [3, 4]}, "scores": {"bm25 rank": [1, 0]}}
    (tmp_path / "small.json").write_text(json.dumps(record), encoding="utf-8")
    found = read_analysis("small", tmp_path)
    assert found["features"] == {"words": {"0": 3, "1": 4}}
    assert found["scores"] == {"bm25 rank": {"0": 1, "1": 0}}
    with pytest.raises(DataError, match="no recorded study 'none'"):
        read_analysis("none", tmp_path)


def test_contrast_of_a_worse_group_has_the_same_p() -> None:
    values = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}
    found = contrast(values, {"c", "d"}, resamples=3000).comparison
    assert found.difference.mean == -2
    assert found.p_value == pytest.approx(2 / 6, abs=0.03)


def test_intervals_of_contrasts_end_at_the_percentiles() -> None:
    """A third of 0, drawn three times, is all there is in 1 / 27 = .037 of the draws."""
    values = {"a": 0.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 0.0, "f": 0.0}
    found = contrast(values, {"a", "b", "c"}, resamples=5000)
    assert (found.inside.low, found.inside.high) == (0, 1)
    assert (found.outside.low, found.outside.high) == (0, 1)


def test_the_seed_of_a_contrast_decides() -> None:
    values, group = made(0.3, 3)
    one, two = (contrast(values, group, seed, resamples=99) for seed in (0, 1))
    assert one.inside != two.inside
    assert one.comparison.p_value != two.comparison.p_value
