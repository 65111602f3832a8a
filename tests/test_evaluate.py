"""Evaluation: the right documents found and scored, the JSON others rely on, models by name."""

import json
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from contriever_lite.build import new_encoder
from contriever_lite.collection import load_collection
from contriever_lite.evaluate import (
    MEASURES,
    evaluate,
    evaluate_model,
    retrieve,
)
from contriever_lite.metrics import bootstrap_interval, ranking, score_queries
from contriever_lite.retriever import Retriever
from contriever_lite.search import BM25Index


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    corpus = synthetic.corpus()
    return Retriever(new_encoder(synthetic.SMALL, corpus), corpus.tokenizer)


def test_the_json_is_the_one_that_was_promised(retriever: Retriever) -> None:
    found = json.loads(json.dumps(evaluate_model("bag", synthetic.world(), retriever).to_dict()))
    assert list(found) == ["model", "data", "split", "documents", "queries", "seconds", "scores"]
    assert (found["model"], found["data"], found["split"]) == ("bag", "world", "test")
    assert (found["documents"], found["queries"]) == (120, 20)
    assert found["seconds"] > 0
    assert list(found["scores"]) == ["ndcg@10", "recall@100", "mrr@10"]
    for score in found["scores"].values():
        assert list(score) == ["mean", "low", "high"]
        assert 0 <= score["low"] <= score["mean"] <= score["high"] <= 1


def test_scores_are_those_of_the_measures() -> None:
    collection = load_collection("tiny")
    run = retrieve("bm25", collection, collection.queries)
    found = evaluate("any", run, collection, 2.5)
    assert found.per_query == score_queries(run, collection.qrels, MEASURES)
    for measure in MEASURES:
        assert found.scores[measure] == bootstrap_interval(found.per_query[measure])
    assert found.to_dict()["seconds"] == 2.5


def test_a_judged_query_that_the_run_lacks_scores_nothing() -> None:
    collection = load_collection("tiny")
    run = retrieve("bm25", collection, collection.queries)
    lost = next(q for q in run if evaluate("x", run, collection).per_query["mrr@10"][q] > 0)
    rest = {query: scores for query, scores in run.items() if query != lost}
    found = evaluate("x", rest, collection)
    assert found.per_query["mrr@10"][lost] == 0
    assert len(found.per_query["mrr@10"]) == len(collection.qrels)


def test_dense_search_finds_the_nearest_by_inner_product(retriever: Retriever) -> None:
    collection = synthetic.world()
    run = retrieve("bag", collection, collection.queries, k=7, encoder=retriever)
    documents = retriever.encode(collection.texts())
    ids = np.array(collection.document_ids())
    for query, text in collection.queries.items():
        scores = documents @ retriever.encode([text])[0]
        best = np.argsort(-scores, kind="stable")[:7]
        assert len(run[query]) == 7
        np.testing.assert_allclose(sorted(run[query].values()), sorted(scores[best]), atol=1e-6)
        assert set(ranking(run[query])[:3]) <= set(ids[np.argsort(-scores)[:4]])


def test_words_are_searched_in_the_language_of_the_collection() -> None:
    """French stop words find nothing in a French collection, and everything in an English one."""
    english = load_collection("tiny")
    texts = {"d1": {"title": "", "text": "le chat des voisins"}, "d2": {"title": "", "text": "ok"}}
    french = replace(english, corpus=texts, language="fr")
    queries = {"q": "des"}
    assert retrieve("bm25", french, queries) == {"q": {}}
    assert set(retrieve("bm25", replace(french, language="en"), queries)["q"]) == {"d1"}
    index = BM25Index(["le chat des voisins", "ok"], ["d1", "d2"], language="fr")
    assert retrieve("bm25", french, {"q": "chat"}) == index.search({"q": "chat"})
