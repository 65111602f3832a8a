"""Fusion by rank and by score, by hand."""

import math

import pytest

from contriever_lite.errors import ConfigError
from contriever_lite.fusion import reciprocal_rank_fusion, weighted_fusion
from contriever_lite.metrics import ranking

WORDS = {"q": {"a": 9.0, "b": 5.0, "c": 1.0}, "words only": {"a": 2.0}}
VECTORS = {"q": {"c": 0.9, "a": 0.5, "d": 0.1}, "vectors only": {"b": 0.3}, "nothing": {}}


def test_reciprocal_rank_fusion_by_hand():
    fused = reciprocal_rank_fusion([WORDS, VECTORS])
    assert fused == {
        "q": {"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61, "d": 1 / 63},
        "words only": {"a": 1 / 61},
        "vectors only": {"b": 1 / 61},
        "nothing": {},
    }
    assert ranking(fused["q"]) == ["a", "c", "b", "d"]


def test_reciprocal_rank_fusion_takes_k_weights_and_depth():
    fused = reciprocal_rank_fusion([WORDS, VECTORS], k=1, weights=[2, 0.5], depth=2)
    expected = {"a": 2 / 2 + 0.5 / 3, "b": 2 / 3, "c": 0.5 / 2}
    assert fused["q"] == pytest.approx(expected)


def test_reciprocal_rank_fusion_ranks_ties_as_trec_eval():
    assert reciprocal_rank_fusion([{"q": {"a": 1.0, "b": 1.0}}], k=0)["q"] == {"b": 1, "a": 1 / 2}


def test_minmax_fusion_by_hand():
    fused = weighted_fusion([WORDS, VECTORS], [0.25, 0.75])
    expected = {"a": 0.25 + 0.75 * 0.5, "b": 0.25 * 0.5, "c": 0.75, "d": 0.0}
    assert fused["q"] == pytest.approx(expected)
    assert fused["words only"] == {"a": 0.25}, "equal scores are all 1"
    assert fused["nothing"] == {}


def test_zscore_fusion_by_hand():
    fused = weighted_fusion([WORDS, VECTORS], normalise="zscore")["q"]
    z = 4 / math.sqrt((16 + 0 + 16) / 3)
    assert fused == pytest.approx({"a": z + 0, "b": 0 - z, "c": -z + z, "d": -z - z})
    assert weighted_fusion([WORDS], normalise="zscore")["words only"] == {"a": 0}


def test_fusion_of_raw_scores_by_hand():
    fused = weighted_fusion([WORDS, VECTORS], [1, 10], normalise="none")
    assert fused["q"] == pytest.approx({"a": 9 + 5, "b": 5 + 1, "c": 1 + 9, "d": 1 + 1})
    assert fused["vectors only"] == {"b": 3.0}, "a run without the query adds nothing"


@pytest.mark.parametrize("fuse", [reciprocal_rank_fusion, weighted_fusion])
def test_a_run_alone_keeps_its_order_and_the_runs_stay_as_they_were(fuse):
    run = {"q": {"a": 0.1, "b": 0.3, "c": 0.2}}
    fused = fuse([run])
    assert ranking(fused["q"]) == ranking(run["q"]) == ["b", "c", "a"]
    assert run == {"q": {"a": 0.1, "b": 0.3, "c": 0.2}}
    assert fuse([]) == {}


@pytest.mark.parametrize("fuse", [reciprocal_rank_fusion, weighted_fusion])
def test_a_run_of_weight_zero_moves_nothing(fuse):
    moved, alone = fuse([WORDS, VECTORS], weights=[1, 0]), fuse([WORDS])
    assert {d: s for d, s in moved["q"].items() if d != "d"} == pytest.approx(alone["q"])
    assert moved["q"]["d"] == 0


def test_the_first_document_of_each_run_alone():
    fused = reciprocal_rank_fusion([WORDS, VECTORS], depth=1)
    assert fused["q"] == {"a": 1 / 61, "c": 1 / 61}


@pytest.mark.parametrize("fuse", [reciprocal_rank_fusion, weighted_fusion])
@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [1, -1], [1, math.nan], [1, math.inf]])
def test_weights_that_do_not_fit_are_refused(fuse, weights):
    with pytest.raises(ConfigError, match="allowed: 2 numbers"):
        fuse([WORDS, VECTORS], weights=weights)


def test_unknown_options_are_refused():
    with pytest.raises(ConfigError, match="'softmax'; allowed: minmax, zscore, none"):
        weighted_fusion([WORDS], normalise="softmax")
    with pytest.raises(ConfigError, match="k is -1"):
        reciprocal_rank_fusion([WORDS], k=-1)
    with pytest.raises(ConfigError, match="depth 0"):
        reciprocal_rank_fusion([WORDS], depth=0)
