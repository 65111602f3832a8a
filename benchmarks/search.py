"""Search as the package does it against the obvious alternatives: ratios from one run.

    python benchmarks/search.py [--words 100] [--documents 50000] [--dimension 256]

By words: BM25Index (bm25s) against rank-bm25's BM25Okapi on wikipedia-vital's 10,025 articles, both
given their texts, with the same words, k1 and b. By vectors: DenseIndex (faiss, exact) against a
NumPy product with argpartition, and against sentence-transformers' semantic_search, on random unit
vectors, for one query, 100 and 1,000 at once. Indexing and searching are timed apart; rounds
alternate and the best of each counts. Printed: seconds, queries a second, how many times as long as
ours the other takes, and how many of our ten best it finds. faiss 1.15 turns to matrix products at
128,000 / dimension queries at once; just below, on one thread, a NumPy product may be faster.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from contriever_lite.collection import load_collection
from contriever_lite.metrics import Run
from contriever_lite.search import BM25Index, DenseIndex, tokenize

K = 100
Found = list[list[str]]


def rankings(run: Run) -> Found:
    return [list(scores) for scores in run.values()]


def rank_bm25(texts: list[str], ids: list[str], queries: list[str]) -> Callable[[], Found]:
    from rank_bm25 import BM25Okapi

    index = BM25Okapi(tokenize(texts), k1=1.2, b=0.75)

    def search() -> Found:
        scores = (index.get_scores(words) for words in tokenize(queries))
        return [[ids[i] for i in np.argsort(-row, kind="stable")[:K]] for row in scores]

    return search


def bm25(texts: list[str], ids: list[str], queries: list[str]) -> Callable[[], Found]:
    index = BM25Index(texts, ids)
    asked = {str(number): query for number, query in enumerate(queries)}
    return lambda: rankings(index.search(asked, K))


def dense(vectors: np.ndarray, ids: list[str], queries: np.ndarray) -> Callable[[], Found]:
    index, names = DenseIndex(vectors, ids), [str(number) for number in range(len(queries))]
    return lambda: rankings(index.search(queries, names, K))


def brute_force(vectors: np.ndarray, ids: list[str], queries: np.ndarray) -> Callable[[], Found]:
    def search() -> Found:
        scores = queries @ vectors.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
        return [[ids[i] for i in row] for row in np.take_along_axis(best, order, axis=1)]

    return search


def semantic_search(
    vectors: np.ndarray, ids: list[str], queries: np.ndarray
) -> Callable[[], Found]:
    from sentence_transformers.util import dot_score, semantic_search

    asked, corpus = torch.from_numpy(queries), torch.from_numpy(vectors)

    def search() -> Found:
        found = semantic_search(asked, corpus, top_k=K, score_function=dot_score)
        return [[ids[hit["corpus_id"]] for hit in hits] for hits in found]

    return search


def compare(title: str, systems: dict[str, Callable], given: tuple, rounds: int) -> None:
    """The first of `systems` is ours."""
    building, searching, found = {}, dict.fromkeys(systems, float("inf")), {}
    ready = {}
    for name, build in systems.items():
        start = time.perf_counter()
        ready[name] = build(*given)
        building[name] = time.perf_counter() - start
    for _ in range(rounds):
        for name, search in ready.items():
            start = time.perf_counter()
            found[name] = search()
            searching[name] = min(searching[name], time.perf_counter() - start)
    ours, *_ = systems
    print(title)
    for name, seconds in searching.items():
        same = np.mean([
            len({*theirs[:10]} & {*own[:10]}) / max(len(own[:10]), 1)
            for theirs, own in zip(found[name], found[ours], strict=True)
        ])  # fmt: skip
        print(f"  {name:<24} index {building[name]:6.2f} s  search {seconds:7.3f} s"
              f"  {len(given[2]) / seconds:8.0f} queries/s  {seconds / searching[ours]:6.2f} x ours"
              f"  same ten best {same:.3f}")  # fmt: skip


def unit(rows: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    import sentence_transformers.util  # noqa: F401  (its seconds are not search's)

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=100, help="queries searched by words")
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    collection = load_collection("wikipedia-vital")
    asked = list(collection.queries.values())[: a.words]
    given = collection.texts(), collection.document_ids(), asked
    compare("words", {"BM25Index (bm25s)": bm25, "rank-bm25": rank_bm25}, given, a.rounds)
    ids = [str(number) for number in range(a.documents)]
    systems = {
        "DenseIndex (faiss)": dense,
        "NumPy": brute_force,
        "semantic_search": semantic_search,
    }
    for queries in (1, 100, 1000):
        given = unit(a.documents, a.dimension, 0), ids, unit(queries, a.dimension, 1)
        title = f"vectors, {a.documents:,} of {a.dimension}, queries at once: {queries:,}"
        compare(title, systems, given, a.rounds)


if __name__ == "__main__":
    main()
