"""Hard negatives: near the top, never an answer, and not suspiciously good."""

import pytest

from contriever_lite.errors import ConfigError
from contriever_lite.mining import mine

RUN = {"q": {"a": 10.0, "b": 9.8, "right": 9.6, "c": 9.4, "d": 9.0, "e": 2.0}, "lost": {"x": 3.0}}
QRELS = {"q": {"right": 1, "e": 0}, "lost": {"y": 1}}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"margin": None}, ["a", "b", "c", "d", "e"]),
        ({"margin": 1.0}, ["c", "d", "e"]),
        ({"margin": 0.0}, []),
        ({"margin": 0.95}, ["d", "e"]),  # 9.6 * .95 = 9.12
        ({"margin": 0.95, "count": 1}, ["d"]),
        ({"margin": None, "skip": 2, "count": 2}, ["c", "d"]),
    ],
)
def test_the_guard_by_hand(settings: dict, found: list[str]) -> None:
    assert mine(RUN, QRELS, **settings)["q"] == found


def test_a_query_whose_answer_was_not_found_has_none_below_it() -> None:
    assert mine(RUN, QRELS)["lost"] == []
    assert mine(RUN, QRELS, margin=None)["lost"] == ["x"]
    assert mine({}, QRELS) == {"q": [], "lost": []}


def test_negative_scores_lie_below_too() -> None:
    run = {"q": {"right": -1.0, "a": -1.02, "b": -1.2}}
    assert mine(run, {"q": {"right": 2}})["q"] == ["b"]


@pytest.mark.parametrize("bad", [{"count": 0}, {"margin": 1.5}, {"skip": -1}])
def test_impossible_settings(bad: dict) -> None:
    with pytest.raises(ConfigError, match="allowed are"):
        mine(RUN, QRELS, **bad)


def test_the_best_of_several_answers_sets_the_limit() -> None:
    run = {"q": {"first": 10.0, "a": 9.6, "b": 9.4, "second": 5.0, "c": 4.0}}
    assert mine(run, {"q": {"first": 1, "second": 1}})["q"] == ["b", "c"]


def test_a_document_at_the_limit_itself_stays() -> None:
    run = {"q": {"right": 2.0, "alike": 2.0, "half": 1.0}}
    assert mine(run, {"q": {"right": 1}}, margin=1.0)["q"] == ["alike", "half"]
    assert mine(run, {"q": {"right": 1}}, margin=0.5)["q"] == ["half"]


def test_ten_are_mined_unless_told() -> None:
    run = {"q": {"right": 20.0} | {str(n): float(n) for n in range(15)}}
    assert len(mine(run, {"q": {"right": 1}})["q"]) == 10
