"""BM25 equals its formula and the published figure; inner product equals brute force; ties hold."""

import json
import math
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.metrics import ranking, score_queries
from contriever_lite.search import BM25Index, DenseIndex, tokenize

WORDS = ["alpha", "beta", "gamma", "delta", "omega", "sigma", "kappa", "the"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=12)


def names(count):
    return [f"d{i}" for i in range(count)]


def naive_bm25(query, texts, k1, b):
    """The formula in BM25Index's docstring, a document at a time."""
    counts = [Counter(words) for words in tokenize(texts)]
    lengths = [sum(c.values()) for c in counts]
    mean = sum(lengths) / len(lengths)
    scores = {}
    for name, count, length in zip(names(len(texts)), counts, lengths, strict=True):
        total = 0.0
        for word in tokenize([query])[0]:
            n = sum(word in c for c in counts)
            idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            tf = count[word]
            total += idf * tf / (tf + k1 * (1 - b + b * length / mean)) if tf else 0
        if total > 0:
            scores[name] = total
    return scores


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=5), st.integers(1, 20))
def test_bm25_equals_its_formula(texts, words, k):
    query = " ".join(words)
    expected = naive_bm25(query, texts, 1.2, 0.75) if any(tokenize(texts)) else {}
    everything = BM25Index(texts, names(len(texts))).search({"q": query}, len(texts) + 1)["q"]
    assert everything == pytest.approx(expected, rel=1e-5)
    cut = BM25Index(texts, names(len(texts))).search({"q": query}, k)["q"]
    assert cut == {d: everything[d] for d in ranking(everything)[:k]}


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (2.0, 1.0), (1.2, 0.0), (0.0, 0.75)])
def test_bm25_uses_its_settings(k1, b):
    texts = ["cat cat dog", "cat bird bird bird fish", "dog", "fish fish cat"]
    found = BM25Index(texts, names(4), k1=k1, b=b).search({"q": "cat fish fish"})["q"]
    assert found == pytest.approx(naive_bm25("cat fish fish", texts, k1, b), rel=1e-5)


def test_bm25_is_rank_bm25_but_for_idf_and_a_constant():
    """BM25Okapi has the factor k1 + 1 and idf = ln((N - n + .5) / (n + .5))."""
    texts = ["cat cat dog", "cat bird fish", "dog", "fish fish bird", "mole", "newt bird", "owl"]
    okapi = BM25Okapi(tokenize(texts), k1=1.2, b=0.75)
    index = BM25Index(texts, names(7))
    for word, n in {"cat": 2, "dog": 2, "fish": 2, "owl": 1, "bird": 3}.items():
        ratio = (7 - n + 0.5) / (n + 0.5)
        theirs = okapi.get_scores([word]) * math.log(1 + ratio) / math.log(ratio) / 2.2
        expected = {d: s for d, s in zip(names(7), theirs, strict=True) if s}
        assert index.search({"q": word})["q"] == pytest.approx(expected, rel=1e-5)


def test_bm25_of_nothing_finds_nothing():
    queries = {"empty": "", "stop words": "the of", "unknown": "walrus", "one": "cat"}
    nothing = {query: {} for query in queries}
    assert BM25Index([], []).search(queries) == nothing
    assert BM25Index(["", "the of"], names(2)).search(queries) == nothing
    found = BM25Index(["", "cat", "the of"], names(3)).search(queries, k=50)
    assert {query for query, scores in found.items() if scores} == {"one"}
    assert list(found) == list(queries)
    assert list(found["one"]) == ["d1"]
    assert BM25Index(["cat"], ["d"]).search({}) == {}


def test_words_are_lower_case_without_stop_words_and_stemmed():
    assert tokenize(["The cats' whiskers", "", "a B 42 is"]) == [["cat", "whisker"], [], ["42"]]
    assert tokenize(["Les chevaux de la montagne"], "fr") == [["cheval", "montagn"]]
    assert tokenize(["Los caballos de la montaña"], "es") == [["caball", "montañ"]]
    with pytest.raises(ConfigError, match="'xx'; allowed: en, fr, es"):
        tokenize(["cat"], "xx")
    index = BM25Index(["Le cheval", "La montagne"], names(2), language="fr")
    assert list(index.search({"q": "Les chevaux"})["q"]) == ["d0"]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_tie_at_rank_k_is_cut_as_trec_eval_would_order_it(k):
    ids = ["d1", "d10", "d9", "d2"]
    order = ["d9", "d2", "d10", "d1"]
    words = BM25Index(["cat"] * 4, ids).search({"q": "cat"}, k)["q"]
    vectors = DenseIndex(np.ones((4, 3)), ids).search(np.ones((1, 3)), ["q"], k)["q"]
    assert list(words) == list(vectors) == ranking(words) == order[:k]


@pytest.mark.parametrize("count", [1, 3, 64])
def test_the_first_k_do_not_depend_on_how_many_are_asked_for(count):
    """Forty copies of each document, so that almost every cut falls into a tie."""
    rng = np.random.default_rng(0)
    vectors = np.tile(rng.normal(size=(20, 16)), (40, 1))
    index = DenseIndex(vectors, rng.permutation(names(800)).tolist())
    queries, ids = rng.normal(size=(count, 16)), [f"q{i}" for i in range(count)]
    everything = index.search(queries, ids, 800)
    for k in (1, 7, 40, 41, 130, 799):
        found = index.search(queries, ids, k)
        for query in ids:
            assert list(found[query]) == ranking(everything[query])[:k]


@pytest.mark.parametrize("k", [1, 10, 100, 10_000])
def test_dense_search_equals_brute_force(k):
    """Whole numbers, whose products are exact in float32 and often tie."""
    rng = np.random.default_rng(1)
    documents = rng.integers(-8, 9, (300, 24)).astype(np.float32)
    queries = rng.integers(-8, 9, (1100, 24)).astype(np.float32)
    ids = [f"q{i}" for i in range(1100)]
    found = DenseIndex(documents, names(300)).search(queries, ids, k)
    assert list(found) == ids
    for row, query in zip((queries @ documents.T).tolist(), ids, strict=True):
        exact = dict(zip(names(300), row, strict=True))
        assert list(found[query].items()) == [(d, exact[d]) for d in ranking(exact)[:k]]


def test_dense_search_does_not_normalise():
    index = DenseIndex(np.array([[1.0, 0.0], [3.0, 3.0]]), ["near", "long"])
    assert index.search(np.array([[2.0, 0.0]]), ["q"]) == {"q": {"long": 6.0, "near": 2.0}}


def test_dense_search_of_nothing():
    assert DenseIndex(np.zeros((0, 4)), []).search(np.ones((1, 4)), ["q"]) == {"q": {}}
    assert DenseIndex(np.ones((2, 4)), names(2)).search(np.zeros((0, 4)), []) == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DenseIndex(np.array([[1.0], [math.nan]]), names(2)), "vector 1 of 2 is not fin"),
        (lambda: DenseIndex(np.array([[math.inf], [1.0]]), names(2)), "vector 0 of 2 is not fin"),
        (lambda: DenseIndex(np.ones(3), names(3)), r"shape \(3,\)"),
        (lambda: DenseIndex(np.ones((2, 0)), names(2)), r"shape \(2, 0\)"),
        (lambda: DenseIndex(np.ones((2, 3)), names(3)), "3 ids for 2 vectors"),
        (lambda: DenseIndex(np.ones((3, 3)), ["a", "b", "a"]), "'a' stands at 0 and 2"),
        (lambda: BM25Index(["cat"], names(2)), "2 ids for 1 texts"),
        (lambda: BM25Index(["cat", "dog"], ["a", "a"]), "'a' stands at 0 and 1"),
    ],
)
def test_broken_documents_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_broken_queries_are_refused():
    index = DenseIndex(np.ones((2, 3)), names(2))
    with pytest.raises(DataError, match="queries have 4 dimensions, documents 3"):
        index.search(np.ones((1, 4)), ["q"])
    with pytest.raises(DataError, match="vector 0 of 1 is not finite"):
        index.search(np.full((1, 3), np.nan), ["q"])
    with pytest.raises(DataError, match="1 ids for 2 vectors"):
        index.search(np.ones((2, 3)), ["q"])
    with pytest.raises(DataError, match="'q' stands at 0 and 1"):
        index.search(np.ones((2, 3)), ["q", "q"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: BM25Index(["cat"], ["a"], k1=-1),
        lambda: BM25Index(["cat"], ["a"], k1=math.nan),
        lambda: BM25Index(["cat"], ["a"], b=1.1),
        lambda: BM25Index(["cat"], ["a"]).search({"q": "cat"}, 0),
        lambda: DenseIndex(np.ones((1, 1)), ["a"]).search(np.ones((1, 1)), ["q"], -1),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ConfigError, match="allowed"):
        make()


def test_without_faiss_the_answers_are_the_same(monkeypatch):
    rng = np.random.default_rng(3)
    documents, queries = rng.integers(-2, 3, (200, 4)), rng.integers(-2, 3, (9, 4))  # many ties
    ids, asked = rng.permutation(names(200)).tolist(), [f"q{i}" for i in range(9)]
    with_faiss = [DenseIndex(documents, ids).search(queries, asked, k) for k in (1, 10, 300)]
    monkeypatch.setitem(sys.modules, "faiss", None)
    brute = DenseIndex(documents, ids)
    assert type(brute._index).__name__ == "BruteForce"
    assert [brute.search(queries, asked, k) for k in (1, 10, 300)] == with_faiss
    assert DenseIndex(np.zeros((0, 4)), []).search(np.ones((1, 4)), ["q"]) == {"q": {}}


def test_a_short_search_prints_nothing(capfd):
    BM25Index(["cat dog"] * 50, names(50)).search({"q": "cat"})
    assert capfd.readouterr() == ("", "")


SCIFACT = Path(os.environ.get("CONTRIEVER_LITE_DATA", "")) / "collections" / "scifact"


@pytest.mark.skipif(not SCIFACT.is_dir(), reason="SciFact is not in CONTRIEVER_LITE_DATA")
def test_bm25_on_scifact_is_the_published_one():
    """Flat BM25 on title + text: nDCG@10 .679; the recall@100 of the same settings is near .913."""
    corpus = [json.loads(line) for line in (SCIFACT / "corpus.jsonl").open(encoding="utf-8")]
    texts = {document["_id"]: document["title"] + " " + document["text"] for document in corpus}
    lines = (SCIFACT / "queries.jsonl").open(encoding="utf-8")
    queries = {query["_id"]: query["text"] for query in map(json.loads, lines)}
    qrels: dict[str, dict[str, int]] = {}
    for line in (SCIFACT / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        qrels.setdefault(query, {})[document] = int(grade)
    run = BM25Index(list(texts.values()), list(texts)).search({q: queries[q] for q in qrels})
    mean = {m: float(np.mean(list(v.values()))) for m, v in score_queries(run, qrels).items()}
    assert len(qrels) == 300
    assert mean["ndcg@10"] == pytest.approx(0.679, abs=0.01)
    assert mean["recall@100"] == pytest.approx(0.913, abs=0.01)


def test_many_texts_alike_stand_in_descending_order_of_id():
    ids = names(100)
    run = BM25Index(["cat" if i % 2 else "cat cat" for i in range(100)], ids).search({"q": "cat"})
    assert list(run["q"]) == ranking(run["q"])
    assert list(run["q"])[:50] == sorted(ids[::2], reverse=True)
