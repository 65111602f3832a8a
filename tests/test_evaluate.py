"""Evaluation: the right documents found and scored, the JSON others rely on, models by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny

from contriever_lite.beir_writer import write_folder
from contriever_lite.build import new_encoder
from contriever_lite.collection import Collection, load_collection
from contriever_lite.errors import DataError
from contriever_lite.evaluate import (
    MEASURES,
    check_run,
    evaluate,
    evaluate_model,
    notes_on,
    retrieve,
)
from contriever_lite.metrics import bootstrap_interval, ranking, score_queries
from contriever_lite.retriever import Retriever
from contriever_lite.search import BM25Index, DenseIndex


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


def arguments(same_ids: bool | None = None) -> Collection:
    """As in ArguAna: a query is one of the documents, and another one is its answer."""
    texts = {"a1": "cats sleep all day", "a2": "cats sleep all night", "a3": "dogs bark at cats"}
    corpus = {id_: {"title": "", "text": text} for id_, text in texts.items()}
    queries = {"a1": texts["a1"], "a2": texts["a2"]}
    return Collection(
        "arguments", "test", corpus, queries, {"a1": {"a2": 1}, "a2": {"a1": 1}}, same_ids=same_ids
    )


@pytest.mark.parametrize("model", ["bm25", "bag"])
def test_a_document_that_is_the_query_is_left_out_before_the_cut(
    model: str, retriever: Retriever
) -> None:
    encoder = None if model == "bm25" else retriever
    collection = arguments()
    for k in (1, 2, 9):
        run = retrieve(model, collection, collection.queries, k, encoder)
        for query, scores in run.items():
            assert query not in scores
            assert len(scores) == min(k, 2)
    found = evaluate_model(model, collection, encoder)
    assert found.run == run
    if model == "bm25":
        assert found.scores["ndcg@10"].mean == 1
    assert any("2 queries have the id of a document" in note for note in found.notes)


def test_a_run_from_elsewhere_loses_its_self_matches_too() -> None:
    run = {"a1": {"a1": 9.0, "a2": 1.0}, "a2": {"a2": 9.0, "a3": 2.0, "a1": 1.0}}
    assert evaluate("x", run, arguments()).scores["mrr@10"].mean == 0.75
    kept = evaluate("x", run, arguments(same_ids=False))
    assert kept.scores["mrr@10"].mean == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert run["a1"] == {"a1": 9.0, "a2": 1.0}, "the run itself stays as it was"


def test_ids_that_were_numbered_apart_leave_nothing_out() -> None:
    """A query and its answer that are both called a1 are not the same thing."""
    apart = replace(arguments(), qrels={"a1": {"a1": 1}, "a2": {"a3": 1}})
    assert apart.self_matches() == set()
    assert replace(apart, same_ids=True).self_matches() == {"a1", "a2"}
    assert arguments().self_matches() == {"a1", "a2"}
    assert arguments(same_ids=False).self_matches() == set()
    assert load_collection("tiny").self_matches() == set()
    assert "a1" in retrieve("bm25", apart, apart.queries)["a1"]


def test_titles_are_searched_unless_they_are_left_out() -> None:
    corpus = {"d1": {"title": "ferry", "text": "at nine"}, "d2": {"title": "", "text": "no ferry"}}
    collection = Collection("c", "test", corpus, {"q": "ferry"}, {"q": {"d1": 1}})
    assert set(retrieve("bm25", collection, collection.queries)["q"]) == {"d1", "d2"}
    bare = collection.without_titles()
    assert (bare.name, bare.texts()) == ("c, no titles", ["at nine", "no ferry"])
    assert set(retrieve("bm25", bare, bare.queries)["q"]) == {"d2"}
    assert collection.corpus["d1"]["title"] == "ferry"


def test_trec_covid_has_capped_recall_beside_the_plain_one() -> None:
    corpus = {f"d{n}": {"title": "", "text": f"word{n}"} for n in range(150)}
    judged = {"q": dict.fromkeys(corpus, 1)}
    collection = Collection("trec-covid", "test", corpus, {"q": "any"}, judged)
    run = {"q": {f"d{n}": 1.0 / (n + 1) for n in range(100)}}
    scores = evaluate("x", run, collection).scores
    assert scores["recall@100"].mean == pytest.approx(100 / 150)
    assert scores["recall_cap@100"].mean == 1
    assert "recall_cap@100" in evaluate("x", run, collection.without_titles()).scores
    assert "recall_cap@100" not in evaluate("x", run, replace(collection, name="nq")).scores


def test_documents_longer_than_the_model_reads_are_counted_and_said() -> None:
    config = tiny.TINY.replace(dropout=0.0, specials=True)
    small = Retriever(new_encoder(config, synthetic.corpus()), synthetic.corpus().tokenizer)
    world = synthetic.world()
    long = {"title": "", "text": "bada " * 600}
    both = replace(world, corpus={**world.corpus, "long": long})
    (note,) = notes_on(both, small)
    assert note.startswith("1 of 121 documents are longer than the 512 tokens that the model reads")
    assert notes_on(world, small) == ()
    assert evaluate_model("small", both, small).notes == (note,)


def test_scores_of_queries_are_those_of_the_evaluation() -> None:
    collection = load_collection("tiny")
    found = evaluate("x", retrieve("bm25", collection, collection.queries), collection)
    record = json.loads(json.dumps(found.query_scores()))
    assert (record["model"], record["data"], record["split"]) == ("x", "tiny", "test")
    for measure, values in found.per_query.items():
        assert record["per_query"][measure] == pytest.approx(values, abs=1e-6)


# What nobody means, and what a stranger's folder may hold.


def test_a_run_of_another_collection_is_refused() -> None:
    collection = load_collection("tiny")
    run = retrieve("bm25", collection, collection.queries)
    check_run(run, collection)
    with pytest.raises(DataError, match="which is no document of world: it was made from another"):
        check_run(run, synthetic.world())
    with pytest.raises(DataError, match="the run answers no query of tiny, test"):
        check_run({"nobody asked": {}}, collection)


def test_a_vector_for_each_document_or_an_error() -> None:
    """Vectors of another corpus, and of another model."""
    collection = synthetic.world()
    vectors = np.ones((len(collection.corpus), 4), dtype=np.float32)
    with pytest.raises(DataError, match="120 ids for 119 vectors"):
        DenseIndex(vectors[1:], collection.document_ids())
    index = DenseIndex(vectors, collection.document_ids())
    with pytest.raises(DataError, match="queries have 3 dimensions, documents 4"):
        index.search(vectors[:2, :3], ["q1", "q2"])


@pytest.mark.parametrize("model", ["bm25", "bag"])
def test_an_empty_corpus_answers_nothing(model: str, retriever: Retriever) -> None:
    nothing = replace(synthetic.world(), corpus={})
    found = evaluate_model(model, nothing, None if model == "bm25" else retriever)
    assert {score.mean for score in found.scores.values()} == {0}
    assert found.run == {query: {} for query in nothing.queries}


def test_queries_without_judgements_are_not_asked(tmp_path: Path) -> None:
    world = synthetic.world()
    kept = dict(list(world.qrels.items())[:3])
    write_folder(tmp_path / "some", world.corpus, world.queries, {"test": kept})
    some = load_collection(tmp_path / "some")
    assert list(some.queries) == list(kept)
    found = evaluate_model("bm25", some)
    assert list(found.run) == list(found.per_query["ndcg@10"]) == list(kept)
    none = replace(some, qrels={}, queries={})
    with pytest.raises(DataError, match="are the judgements empty"):
        evaluate_model("bm25", none)


@pytest.mark.parametrize("kind", ["bm25", "bag", "transformer"])
def test_any_text_is_searched(kind: str, retriever: Retriever) -> None:
    """Unicode, nothing, 100,000 characters, and k beyond the corpus."""
    texts = {"leer": "", "日本": "東京の天気 ☂ 🦊", "rtl": "مرحبا بالعالم"}
    texts |= {"nul": "a\u0000b \u200b", "e\u0301": "café"}
    texts |= {"word": "fox" * 33_333, "long": "the quick brown fox " * 5_000}
    corpus = {id_: {"title": "", "text": text} for id_, text in texts.items()}
    queries = {"q": "brown fox", "vide": "", "漢": "東京の天気 ☂ 🦊"}
    collection = Collection("odd", "test", corpus, queries, {q: {"long": 1} for q in queries})
    config = tiny.TINY.replace(dropout=0.0, specials=True)
    small = Retriever(new_encoder(config, synthetic.corpus()), synthetic.corpus().tokenizer)
    encoder = {"bm25": None, "bag": retriever, "transformer": small}[kind]
    run = retrieve(kind, collection, queries, 1000, encoder)
    assert list(run) == list(queries)
    assert all(np.isfinite(list(scores.values())).all() for scores in run.values())
    if kind == "bm25":
        assert next(iter(run["q"])) == "long"
        assert list(run["漢"]) == ["日本"]
        assert run["vide"] == {}
    else:
        assert all(set(scores) == set(texts) for scores in run.values())
    assert evaluate(kind, run, collection).scores["recall@100"].mean <= 1


def test_a_query_that_is_no_document_gets_no_more_than_k() -> None:
    run = retrieve("bm25", arguments(), {"a1": "cats", "other": "cats"}, 2)
    assert {query: len(found) for query, found in run.items()} == {"a1": 2, "other": 2}


def test_a_hundred_documents_are_found_unless_told() -> None:
    corpus = {f"d{i}": {"title": "", "text": "cats"} for i in range(120)}
    many = Collection("many", "test", corpus, {"q": "cats"}, {"q": {"d1": 1}})
    assert len(retrieve("bm25", many, many.queries)["q"]) == 100
