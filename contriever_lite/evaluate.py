"""A retriever meets a collection: the run, the scores of each query, the summary.

What moves figures more than methods do is decided here, once:

    titles          title + " " + text is searched; Collection.without_titles leaves titles out
    long documents  are cut at what the model reads, and their number is said (notes)
    self-matches    a document that is its own query (ArguAna, Quora: the same id) is left out of
                    that query's answers before they are cut at k (Collection.self_matches)
    ties            stand in descending order of document id, as in trec_eval (metrics.ranking)
    queries         every judged one counts; without an answer, or without a relevant document, 0
    trec-covid      has hundreds of relevant documents a query: capped recall beside the plain one
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from contriever_lite.blocks import search_blocks
from contriever_lite.collection import Collection
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.metrics import Interval, Run, bootstrap_interval, score_queries
from contriever_lite.models import TextEncoder, cut_texts, load_model
from contriever_lite.search import BM25Index, DenseIndex

MEASURES = ("ndcg@10", "recall@100", "mrr@10")
MORE = {"trec-covid": ("recall_cap@100",)}
DEPTH = 100


@dataclass(frozen=True)
class Evaluation:
    """One system on one collection: per_query[measure][query id] and their summary.

    notes: what to know about the figures, a sentence each.
    """

    model: str
    collection: Collection
    run: Run
    seconds: float
    per_query: dict[str, dict[str, float]]
    scores: dict[str, Interval]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `contriever-lite eval --json`."""
        return {
            "model": self.model,
            "data": self.collection.name,
            "split": self.collection.split,
            "documents": len(self.collection.corpus),
            "queries": len(self.collection.queries),
            "seconds": round(self.seconds, 2),
            "scores": {measure: asdict(interval) for measure, interval in self.scores.items()},
        }

    def query_scores(self) -> dict[str, Any]:
        """The JSON of `contriever-lite eval --per-query`: of each query each score, six digits."""
        about = {"model": self.model, "data": self.collection.name, "split": self.collection.split}
        rounded = {
            measure: {query: round(value, 6) for query, value in values.items()}
            for measure, values in self.per_query.items()
        }
        return {**about, "per_query": rounded}


def evaluate(
    model: str,
    run: Run,
    collection: Collection,
    seconds: float = 0.0,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Score a run, self-matches left out. Intervals are 95 % percentile bootstrap intervals over
    queries (metrics.bootstrap_interval)."""
    run = answers(run, collection.self_matches())
    measures = MEASURES + MORE.get(collection.name.partition(",")[0], ())
    per_query = score_queries(run, collection.qrels, measures)
    scores = {measure: bootstrap_interval(values) for measure, values in per_query.items()}
    return Evaluation(model, collection, run, seconds, per_query, scores, notes)


def evaluate_model(
    model: str,
    collection: Collection,
    encoder: TextEncoder | None = None,
    encoded: EncodedCorpus | None = None,
) -> Evaluation:
    """Search a collection with `model` (see `retrieve`), and score what it found."""
    start = time.perf_counter()
    if encoder is None and model != "bm25":
        encoder = load_model(model)
    run = retrieve(model, collection, collection.queries, encoder=encoder, encoded=encoded)
    seconds = time.perf_counter() - start
    return evaluate(model, run, collection, seconds, notes_on(collection, encoder))


def retrieve(
    model: str,
    collection: Collection,
    queries: Mapping[str, str],
    k: int = DEPTH,
    encoder: TextEncoder | None = None,
    encoded: EncodedCorpus | None = None,
) -> Run:
    """The k best documents of a collection for each query, title + text searched, itself left out.

    model: "bm25" (k1 1.2, b .75, stop words, stemmer) or a name (models.load_model); with an
    encoder given, it is only a name. Dense search is exact, by inner product; with `encoded`, what
    encode_blocks made of these documents, a block of them is in memory at a time. Raises
    ConfigError or DataError where it is of another model or of other documents.
    """
    texts, ids = collection.texts(), collection.document_ids()
    same = collection.self_matches()
    depth = k + 1 if same and k > 0 else k
    if encoder is None:
        encoder = None if model == "bm25" else load_model(model)
    if encoder is None and encoded is not None:
        raise ConfigError("--vectors is for models that make vectors; bm25 searches words")
    if encoder is None:
        run = BM25Index(texts, ids, language=collection.language).search(queries, depth)
    else:
        asked = encoder.encode(list(queries.values())), list(queries), depth
        if encoded is None:
            run = DenseIndex(encoder.encode(texts), ids).search(*asked)
        else:
            encoded.check(encoder, zip(ids, texts, strict=True))
            run = search_blocks(encoded, *asked)
    return answers(run, same, k)


def answers(run: Run, same: set[str], k: int | None = None) -> Run:
    """A run without the self-matches `same`, cut at k; searches list the best first."""
    if not same:
        return run
    return {
        query: dict(islice(((d, s) for d, s in scores.items() if d != query), k))
        for query, scores in run.items()
    }


def notes_on(collection: Collection, encoder: TextEncoder | None = None) -> tuple[str, ...]:
    """What to know about figures on this collection: documents cut, prompts not
    used, self-matches left out."""
    notes = []
    if encoder is not None:
        cut, longest = cut_texts(encoder, collection.texts())
        if cut:
            notes.append(
                f"{cut:,} of {len(collection.corpus):,} documents are longer than the "
                f"{longest:,} tokens that the model reads: the rest of each is not searched."
            )
        if prompts := sorted(filter(None, getattr(encoder, "prompts", {}).values())):
            notes.append(f"The model's prompts ({', '.join(prompts)}) are not put before texts.")
    if same := len(collection.self_matches()):
        notes.append(
            f"{same:,} queries have the id of a document, which is left out of their answers."
        )
    return tuple(notes)


def check_run(run: Run, collection: Collection) -> None:
    """Raise DataError for a run of another collection: a document that this one does not have, or
    no query of this split."""
    for query, scores in run.items():
        for document in scores:
            if document not in collection.corpus:
                raise DataError(
                    f"the run answers query {query!r} with {document!r}, which is no document of "
                    f"{collection.name}: it was made from another collection"
                )
    if not run.keys() & collection.queries.keys():
        raise DataError(
            f"the run answers no query of {collection.name}, {collection.split}: give the --split "
            "that it was made for"
        )
