"""Find the k best documents for each query, by words (BM25) or by vectors (inner product).

Every search returns a `Run`. Equal scores are ordered as `metrics.ranking` orders them, also where
a tie is cut at rank k: so the first 10 of a search for 100 are what a search for 10 returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.flat_index import flat_index
from contriever_lite.metrics import Run

LANGUAGES = {"en": "english", "fr": "french", "es": "spanish"}
MANY_TEXTS = 50_000  # from here on bm25s takes seconds and shows its progress bars
QUERY_BLOCK = 1024  # query vectors searched at once, between two steps of the progress bar


def tokenize(texts: Sequence[str], language: str = "en") -> list[list[str]]:
    """What BM25 counts as words: lower case, two characters or more, no stop words, stems.

    "The cats' whiskers" -> ["cat", "whisker"]. language: en, fr or es (bm25s' stop words,
    PyStemmer's Snowball stemmer). Raises ConfigError on another.
    """
    import bm25s
    import Stemmer

    if language not in LANGUAGES:
        raise ConfigError(f"language is {language!r}; allowed: {', '.join(LANGUAGES)}")
    return bm25s.tokenize(
        list(texts),
        stopwords=language,
        stemmer=Stemmer.Stemmer(LANGUAGES[language]),
        return_ids=False,
        show_progress=len(texts) > MANY_TEXTS,
    )


class BM25Index:
    """Lexical search with Lucene's BM25 (bm25s, method "lucene").

        score(q, d) = sum over words w of q, with repetition, of  idf(w) tf / (tf + K(d))
        idf(w) = ln(1 + (N - n_w + 0.5) / (n_w + 0.5)),   K(d) = k1 (1 - b + b |d| / mean |d|)

    tf: occurrences of w in d; n_w: documents with w, of N; |d|: words in d (see `tokenize`).
    Robertson's numerator k1 + 1 is left out, as in Lucene 8 and later: it changes no ranking.
    Source: Kamphuis et al. 2020, "Which BM25 do you mean?", "Lucene (accurate)".
    k1 (0 or more): how slowly repetition saturates; b (0 to 1): how much length is held against d.
    Raises DataError on repeated ids or another number of ids than texts, ConfigError on a setting.
    """

    def __init__(
        self,
        texts: Sequence[str],
        ids: Sequence[str],
        *,
        k1: float = 1.2,
        b: float = 0.75,
        language: str = "en",
    ) -> None:
        import bm25s

        if not (0 <= k1 < float("inf") and 0 <= b <= 1):
            raise ConfigError(f"k1 is {k1} and b is {b}; allowed: k1 0 or more, b from 0 to 1")
        order = tie_order(ids, len(texts), "texts")
        self.language = language
        self.ids = [ids[i] for i in order]
        words = tokenize([texts[i] for i in order], language)
        self._scorer = bm25s.BM25(k1=k1, b=b, method="lucene")
        self._vocabulary = set().union(*words)
        if self._vocabulary:
            self._scorer.index(words, show_progress=len(texts) > MANY_TEXTS)

    def search(self, queries: Mapping[str, str], k: int = 100) -> Run:
        """Query id -> text in; query id -> at most k documents that share a word with it out."""
        check_k(k)
        words = tokenize(list(queries.values()), self.language)
        pairs = zip(queries, words, strict=True)
        bar = tqdm(pairs, "BM25 search", len(words), leave=False, delay=2)
        return {query: self._search(terms, k) for query, terms in bar}

    def _search(self, terms: list[str], k: int) -> dict[str, float]:
        known = [t for t in terms if t in self._vocabulary]
        if not known:
            return {}
        scores = self._scorer.get_scores(known)
        found = np.flatnonzero(scores)
        if len(found) > k:
            kth = np.partition(scores[found], -k)[-k]
            found = found[scores[found] >= kth]
        best = found[np.argsort(-scores[found], kind="stable")[:k]]
        return _named(self.ids, best, scores[best])


class DenseIndex:
    """Exact search by inner product: score(q, d) = <q, d>, in float32. faiss does it (IndexFlatIP),
    and NumPy where faiss is not installed.

    vectors (N, D), ids: N. Cosine is for the caller: normalise the vectors first. Raises DataError
    on NaN or infinite entries, repeated ids, or another number of ids than vectors.
    """

    def __init__(self, vectors: np.ndarray, ids: Sequence[str]) -> None:
        vectors = as_matrix(vectors)
        order = tie_order(ids, len(vectors), "vectors")
        self.ids = [ids[i] for i in order]
        self._index = flat_index(vectors.shape[1])
        self._index.add(vectors[order])

    def search(self, vectors: np.ndarray, ids: Sequence[str], k: int = 100) -> Run:
        """Query vectors (Q, D) and their Q ids in; query id -> the k best documents out.

        A score's last digits may move with the number of queries searched together (faiss changes
        its kernel). Raises DataError as the constructor does, and where D is not the documents'.
        """
        vectors = query_matrix(vectors, ids, k, self._index.d)
        run: Run = {}
        for start in tqdm(range(0, len(ids), QUERY_BLOCK), "dense search", leave=False, delay=2):
            block = slice(start, start + QUERY_BLOCK)
            run.update(zip(ids[block], self._search_block(vectors[block], k), strict=True))
        return run

    def _search_block(self, vectors: np.ndarray, k: int) -> list[dict[str, float]]:
        if not self.ids:
            return [{} for _ in vectors]
        depth = min(k + 1, len(self.ids))  # one more shows whether rank k is tied
        found = self._index.search(vectors, depth)
        results = []
        for vector, scores, rows in zip(vectors, *found, strict=True):
            if depth > k and scores[k - 1] == scores[k]:
                (scores,), (rows,) = self._index.search(vector[None], len(self.ids))
            best = np.lexsort((rows, -scores))[:k]
            results.append(_named(self.ids, rows[best], scores[best]))
        return results


def tie_order(ids: Sequence[str], count: int, what: str) -> list[int]:
    """Check the ids; return positions by descending id, so that position breaks ties."""
    if len(ids) != count:
        raise DataError(f"{len(ids)} ids for {count} {what}: give one id to each")
    order = sorted(range(count), key=ids.__getitem__, reverse=True)
    for i, j in pairwise(order):
        if ids[i] == ids[j]:
            raise DataError(f"id {ids[i]!r} stands at {i} and {j}: ids must differ")
    return order


def _named(ids: Sequence[str], rows: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return dict(zip([ids[i] for i in rows.tolist()], scores.tolist(), strict=True))


def as_matrix(vectors: np.ndarray) -> np.ndarray:
    """Check vectors (N, D) and return them as float32, row by row."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise DataError(f"vectors have shape {vectors.shape}; wanted: (count, dimensions)")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = f"vector {finite.argmin()} of {len(vectors)}"
        raise DataError(f"{row} is not finite: did the training diverge?")
    return vectors


def query_matrix(vectors: np.ndarray, ids: Sequence[str], k: int, dimension: int) -> np.ndarray:
    """Check k, and queries (Q, D) with their Q ids against an index of `dimension`; return them as
    `as_matrix` does. Raises ConfigError for k, DataError for the queries."""
    check_k(k)
    vectors = as_matrix(vectors)
    tie_order(ids, len(vectors), "vectors")
    if vectors.shape[1] != dimension:
        found = f"queries have {vectors.shape[1]} dimensions, documents {dimension}"
        raise DataError(f"{found}: encode both with the same model")
    return vectors


def check_k(k: int) -> None:
    """Raise ConfigError where k is less than 1."""
    if k < 1:
        raise ConfigError(f"k is {k}; allowed: 1 or more documents")
