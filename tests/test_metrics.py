"""Measures agree with trec_eval (through pytrec_eval and ir-measures) and with ranx; intervals."""

import math
import os
import subprocess
import sys
import textwrap

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.metrics import (
    Comparison,
    Interval,
    bootstrap_interval,
    ndcg,
    paired_test,
    ranking,
    recall,
    reciprocal_rank,
    score_queries,
)

CUTS = (1, 3, 10, 100)
DOCUMENTS = st.sampled_from(["a", "b", "c", "d1", "d10", "d9", "é", "z", "Z", "\uffff", "𐀀", "-"])
QUERIES = st.sampled_from(["1", "2", "10", "q"])
# Few values, so that many scores tie; some differ in float64 only, some exceed float32.
SCORES = st.sampled_from([0.0, -0.0, 1.0, 1 + 1e-9, 1 + 1e-6, -3.5, 1e-60, 1e39, math.inf]) | (
    st.floats(-10, 10)
)
# pytrec_eval crashes (a segmentation fault) where every grade of a query is below -1.
JUDGED = st.dictionaries(DOCUMENTS, st.integers(-2, 4), min_size=1).filter(
    lambda judged: max(judged.values()) >= -1
)
QRELS = st.dictionaries(QUERIES, JUDGED, min_size=1)
RUNS = st.dictionaries(QUERIES, st.dictionaries(DOCUMENTS, SCORES))


def trec_eval(run, qrels):
    """pytrec_eval's figures in our shape; a query that it leaves out scores 0 (trec_eval -c)."""
    asked = {"recip_rank", *(f"ndcg_cut_{k}" for k in CUTS), *(f"recall_{k}" for k in CUTS)}
    found = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    values = {}
    for k in CUTS:
        for ours, theirs in ((f"ndcg@{k}", f"ndcg_cut_{k}"), (f"recall@{k}", f"recall_{k}")):
            values[ours] = {q: found.get(q, {}).get(theirs, 0.0) for q in qrels}
        reciprocal = {q: found.get(q, {}).get("recip_rank", 0.0) for q in qrels}
        values[f"mrr@{k}"] = {q: r if r * k >= 1 - 1e-12 else 0.0 for q, r in reciprocal.items()}
    return values


@settings(max_examples=300, deadline=None)
@given(RUNS, QRELS)
def test_every_measure_equals_trec_eval(run, qrels):
    expected = trec_eval(run, qrels)
    ours = score_queries(run, qrels, list(expected))
    for name, values in expected.items():
        assert ours[name] == pytest.approx(values, abs=1e-9), name


@settings(max_examples=100, deadline=None)
@given(RUNS, QRELS)
def test_every_measure_equals_ir_measures(run, qrels):
    measures = {"ndcg@10": ir_measures.nDCG @ 10, "recall@3": ir_measures.R @ 3}
    found = ir_measures.iter_calc(list(measures.values()), qrels, run)
    expected = {(metric.measure, metric.query_id): metric.value for metric in found}
    for name, values in score_queries(run, qrels, list(measures)).items():
        for query, value in values.items():
            assert value == pytest.approx(expected[measures[name], query], abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(QUERIES, st.lists(DOCUMENTS, unique=True)), QRELS, st.integers(1, 5))
def test_mrr_equals_the_ms_marco_script_where_nothing_ties(order, qrels, k):
    run = {q: {d: float(-rank) for rank, d in enumerate(ds)} for q, ds in order.items()}
    found = ir_measures.iter_calc([ir_measures.RR @ k], qrels, run)
    expected = {metric.query_id: metric.value for metric in found}
    ours = score_queries(run, qrels, [f"mrr@{k}"])[f"mrr@{k}"]
    assert ours == pytest.approx({q: expected.get(q, 0.0) for q in qrels}, abs=1e-9)


def test_every_measure_equals_ranx_in_a_run_without_ties():
    """In its own process, because ranx is only quick here with numba's compiler off."""
    program = textwrap.dedent("""
        import numpy as np
        from ranx import Qrels, Run, evaluate
        from contriever_lite.metrics import score_queries

        rng = np.random.default_rng(0)
        names = [f"d{i}" for i in range(300)]
        def draw(values):
            return {d: v for d, v in zip(rng.permutation(names).tolist(), values.tolist())}
        qrels = {f"q{i}": draw(rng.integers(0, 4, 30)) | {"d0": 1} for i in range(20)}
        run = {q: draw(rng.permutation(200).astype(float)) for q in qrels}
        pairs = {"ndcg@10": "ndcg@10", "recall@100": "recall@100", "mrr@10": "mrr@10",
                 "ndcg_exp@10": "ndcg_burges@10"}
        theirs = Run(run)
        evaluate(Qrels(qrels), theirs, list(pairs.values()))
        ours = score_queries(run, qrels, list(pairs))
        for name, other in pairs.items():
            assert 0 < np.mean(list(ours[name].values())) < 1
            for query, value in ours[name].items():
                assert abs(value - theirs.scores[other][query]) < 1e-9, (name, query)
        print("compared", len(pairs) * len(qrels))
    """)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.stdout.strip() == "compared 80", result.stderr


def test_ties_stand_in_descending_order_of_id():
    assert ranking({"d1": 1.0, "d10": 1.0, "d9": 1.0, "first": 2.0}) == ["first", "d9", "d10", "d1"]
    assert ranking({"a": 1 + 1e-9, "b": 1.0}) == ["b", "a"], "equal in float32"
    assert ranking({"a": 1 + 1e-6, "b": 1.0}) == ["a", "b"], "different in float32"
    assert ranking({}) == []


def test_a_score_of_nan_has_no_rank():
    with pytest.raises(DataError, match="'b' scores NaN"):
        ranking({"a": 1.0, "b": math.nan})


def test_ndcg_by_hand():
    ranked, judged = ["x", "a", "b", "n"], {"a": 3, "b": 1, "c": 2, "n": -1}
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(ranked, judged) == pytest.approx((3 / math.log2(3) + 1 / math.log2(4)) / ideal)
    ideal = 7 / math.log2(2) + 3 / math.log2(3) + 1 / math.log2(4)
    value = (7 / math.log2(3) + 1 / math.log2(4)) / ideal
    assert ndcg(ranked, judged, gain="exponential") == pytest.approx(value)
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    value = (1 / math.log2(3) + 1 / math.log2(4)) / ideal
    assert ndcg(ranked, judged, gain="binary") == pytest.approx(value)
    assert ndcg(ranked, judged, k=1) == 0
    assert ndcg(ranked, {"x": 0, "a": -1}) == 0, "no relevant document"
    with pytest.raises(ConfigError, match="'cubic'; allowed: linear, exponential, binary"):
        ndcg(ranked, judged, gain="cubic")


def test_recall_by_hand():
    ranked, judged = ["a", "x", "b", "c"], {"a": 1, "b": 2, "c": 1, "d": 1, "x": 0}
    assert recall(ranked, judged, k=3) == 2 / 4
    assert recall(ranked, judged, k=3, capped=True) == 2 / 3
    assert recall(ranked, judged, k=100, capped=True) == recall(ranked, judged, k=100) == 3 / 4
    assert recall(ranked, {"x": 0}) == 0


def test_reciprocal_rank_by_hand():
    assert reciprocal_rank(["x", "y", "a", "b"], {"a": 1, "b": 1, "x": 0}) == 1 / 3
    assert reciprocal_rank(["x", "y", "a"], {"a": 1}, k=2) == 0
    assert reciprocal_rank([], {"a": 1}) == 0


def test_every_judged_query_counts_and_no_other():
    qrels = {"found": {"a": 1}, "empty": {"a": 1}, "missing": {"a": 1}, "hopeless": {"a": 0}}
    run = {"found": {"a": 1.0}, "empty": {}, "hopeless": {"a": 1.0}, "unjudged": {"a": 1.0}}
    expected = {"found": 1.0, "empty": 0.0, "missing": 0.0, "hopeless": 0.0}
    scores = score_queries(run, qrels)
    assert scores == dict.fromkeys(("ndcg@10", "recall@100", "mrr@10"), expected)
    assert list(scores["ndcg@10"]) == list(qrels)


def test_names_of_measures_reach_their_options():
    qrels, run = {"q": {"a": 1, "b": 3, "c": 1}}, {"q": {"a": 2.0, "b": 1.0}}
    names = ["ndcg_exp@2", "ndcg_bin@2", "recall_cap@2"]
    scores = {name: values["q"] for name, values in score_queries(run, qrels, names).items()}
    ranked, judged = ["a", "b"], qrels["q"]
    assert scores == {
        "ndcg_exp@2": ndcg(ranked, judged, 2, gain="exponential"),
        "ndcg_bin@2": ndcg(ranked, judged, 2, gain="binary"),
        "recall_cap@2": recall(ranked, judged, 2, capped=True),
    }
    assert len(set(scores.values())) == 2, "binary gain and capped recall are both 1 here"


@pytest.mark.parametrize("name", ["map@10", "ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "mrr@x", "@10"])
def test_an_unknown_measure_is_refused_with_the_allowed_ones(name):
    with pytest.raises(ConfigError, match=r"ndcg@k, ndcg_exp@k.*mrr@k"):
        score_queries({}, {"q": {"a": 1}}, [name])


def test_the_bootstrap_interval_is_the_normal_one_for_many_values():
    values = np.random.default_rng(3).normal(5, 2, 1000)
    interval = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(1000)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)
    narrow = bootstrap_interval(values, confidence=0.5)
    assert interval.low < narrow.low < narrow.mean < narrow.high < interval.high


def test_the_bootstrap_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.random(60), seed, 400, 0.9) for seed in range(200)]
    covered = sum(i.low <= 0.5 <= i.high for i in intervals) / 200
    assert 0.83 < covered < 0.95, "three standard errors around .89 (the bootstrap is a bit narrow)"


def test_the_bootstrap_interval_is_reproducible_and_knows_no_order():
    values = {"a": 0.1, "b": 0.9, "c": 0.4}
    interval = bootstrap_interval(values)
    assert interval == bootstrap_interval([0.9, 0.4, 0.1]) == bootstrap_interval(values.values())
    assert interval != bootstrap_interval(values, seed=1, resamples=50)
    assert bootstrap_interval([0.25]) == Interval(0.25, 0.25, 0.25)
    with pytest.raises(DataError, match="no query has a value"):
        bootstrap_interval({})


def test_the_paired_test_is_the_exact_permutation_test_on_few_queries():
    a, b = {"1": 0.9, "2": 0.8, "3": 0.7, "4": 0.1}, {"1": 0.1, "2": 0.3, "3": 0.1, "4": 0.2}
    d = np.array([a[q] - b[q] for q in a])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) - 1e-9)
    comparison = paired_test(a, b)
    assert comparison.p_value == pytest.approx(exact, abs=0.02)
    assert comparison.difference.mean == pytest.approx(d.mean())
    assert comparison == paired_test(dict(reversed(a.items())), b), "order plays no part"
    assert paired_test(b, a).p_value == pytest.approx(exact, abs=0.02)


def test_the_paired_test_tells_alike_from_different():
    rng = np.random.default_rng(5)
    a = {str(i): float(v) for i, v in enumerate(rng.random(200))}
    noisy = {q: v + float(rng.normal(0, 0.3)) for q, v in a.items()}
    better = {q: v + 0.1 for q, v in noisy.items()}
    assert paired_test(a, a).p_value == 1
    assert paired_test(noisy, a).p_value > 0.05
    assert paired_test(better, a).p_value < 0.001
    assert paired_test(better, a).difference.low > 0


def test_the_paired_test_refuses_other_queries():
    with pytest.raises(DataError, match="1 queries, such as 'y'"):
        paired_test({"x": 1.0}, {"x": 1.0, "y": 0.0})
    with pytest.raises(DataError, match="1 queries, such as 'y'"):
        paired_test({"x": 1.0, "y": 0.0}, {"x": 1.0})


def test_intervals_and_comparisons_print_three_decimals():
    interval = Interval(0.6312, 0.6179, 0.6441)
    assert str(interval) == "0.631 [0.618, 0.644]"
    assert str(Comparison(interval, 0.00012)) == "0.631 [0.618, 0.644], p = 0.0001"


def test_the_bootstrap_interval_ends_at_the_percentiles():
    """Three of five, drawn five times, are all there is in .6^5 = .078 of the draws."""
    wide = {"resamples": 10_000, "confidence": 0.9}
    narrow = {"resamples": 10_000, "confidence": 0.8}
    low, high = [0, 0, 0, 1, 1], [0, 0, 1, 1, 1]
    assert bootstrap_interval(low, **wide).low == 0
    assert bootstrap_interval(low, **narrow).low == pytest.approx(1 / 5)
    assert bootstrap_interval(high, **wide).high == 1
    assert bootstrap_interval(high, **narrow).high == pytest.approx(4 / 5)


def test_the_seed_and_the_number_of_resamples_reach_every_draw():
    d = np.random.default_rng(7).normal(0.1, 1, 30)
    a, b = {str(i): float(v) for i, v in enumerate(d)}, {str(i): 0.0 for i in range(30)}
    one, two = (paired_test(a, b, seed, resamples=99) for seed in (0, 1))
    assert one.p_value != two.p_value
    assert one.difference == bootstrap_interval(d, 0, 99)
    assert two.difference == bootstrap_interval(d, 1, 99) != one.difference


def test_a_p_value_is_never_zero():
    a, b = {str(i): 1.0 for i in range(30)}, {str(i): 0.0 for i in range(30)}
    assert paired_test(a, b, resamples=99).p_value == 1 / 100
