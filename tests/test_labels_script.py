"""What scripts/labels.py and rerank.py compute beside training: groups, a bonus, a fusion."""

import labels
import rerank

from contriever_lite.collection import load_collection


def test_a_bonus_is_a_share_of_the_querys_best_score() -> None:
    run = {"q": {"a": 4.0, "b": 3.0, "c": 1.0}, "none": {}}
    found = labels.bonus(run, {"b", "c"}, 0.5)
    assert found == {"q": {"a": 4.0, "b": 5.0, "c": 3.0}, "none": {}}
    assert labels.bonus(run, {"b"}, 0.0) == run


def test_scores_of_some_queries() -> None:
    per_query = {"ndcg@10": {"a": 0.5, "b": 1.0}, "mrr@10": {"a": 0.2, "b": 0.3}}
    assert labels.only(per_query, {"b"}) == {"ndcg@10": {"b": 1.0}, "mrr@10": {"b": 0.3}}


def test_a_collection_with_some_queries() -> None:
    tiny = load_collection("tiny")
    first, *_ = tiny.queries
    few = labels.part(tiny, labels.Labels((first,), None, ()))
    assert list(few.queries) == [first]
    assert list(few.qrels) == [first]
    assert few.corpus is tiny.corpus


def test_a_reranker_is_fused_over_what_it_scored() -> None:
    first = {"q": {"a": 9.0, "b": 8.0, "c": 7.0, "deep": 1.0}}
    found = {"q": {"a": 0.0, "b": 0.1, "c": 0.2}}
    assert rerank.fused(first, found, 1.0) == {"q": {"a": 0.0, "b": 0.5, "c": 1.0}}
    assert rerank.fused(first, found, 0.0) == {"q": {"a": 1.0, "b": 0.5, "c": 0.0}}
    assert set(rerank.fused(first, found, 0.5)["q"].values()) == {0.5}
