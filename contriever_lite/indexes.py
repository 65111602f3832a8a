"""Approximate indexes: fewer bytes or less time than exact search, for answers that are missed.

faiss makes them; `index_settings` says what each kind is and costs, `agreement` what it misses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.files import new_folder
from contriever_lite.index_settings import IndexSettings, new_index, search_parameters
from contriever_lite.metrics import Run, ranking
from contriever_lite.search import QUERY_BLOCK, as_matrix, query_matrix, tie_order

FORMAT = 1
BLOCK = 1 << 16  # vectors added at once
EXACT = IndexSettings()


class VectorIndex:
    """Search by inner product as DenseIndex does it, through an index that may miss answers.

    vectors (N, D), an array or a memory map, of which a block is in memory at a time; ids: N;
    settings: the kind (index_settings.py); seed: which vectors k-means learns from and starts with.
    The same on every run of one thread. Raises DataError as DenseIndex does, and where there are
    too few vectors to learn from; ConfigError where D cannot be cut into `parts`.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        ids: Sequence[str],
        settings: IndexSettings = EXACT,
        seed: int = 0,
    ) -> None:
        tie_order(ids, len(vectors), "vectors")
        self.ids, self.vectors = ids, vectors
        cells = settings.cells(len(vectors)) if settings.kind in ("ivf", "ivf-pq") else 0
        self.settings = replace(settings, lists=cells)
        as_matrix(vectors[:1])  # has two axes
        self.faiss = new_index(self.settings, vectors, seed)
        for start in tqdm(range(0, len(ids), BLOCK), "indexing", leave=False, delay=2):
            self.faiss.add(as_matrix(vectors[start : start + BLOCK]))

    def search(self, vectors: np.ndarray, ids: Sequence[str], k: int = 100) -> Run:
        """Query vectors (Q, D) and their Q ids in; query id -> k documents out, or all there are,
        or those in the probed cells if these are fewer. Scores are inner products with what the
        index stores; of `binary`, bits in common less bits that differ. Equal ones at rank k are
        cut as faiss cuts them. Raises DataError where D is not the index's.
        """
        vectors = query_matrix(vectors, ids, k, self.faiss.d)
        run: Run = {}
        for start in tqdm(range(0, len(ids), QUERY_BLOCK), "searching", leave=False, delay=2):
            block = slice(start, start + QUERY_BLOCK)
            answers = zip(ids[block], *self.nearest(vectors[block], k), strict=True)
            for query, scores, rows in answers:
                found = zip(rows.tolist(), scores.tolist(), strict=True)
                named = {self.ids[row]: score for row, score in found if row >= 0}
                run[query] = {name: named[name] for name in ranking(named)[:k]}
        return run

    def nearest(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and row numbers of k or more answers of each query (Q, D), in no order, and
        without any check; -1 stands for no answer."""
        k = min(k * max(self.settings.rescore, 1), len(self.ids))
        if not k:
            return np.zeros((len(vectors), 0), np.float32), np.zeros((len(vectors), 0), np.int64)
        scores, rows = self.faiss.search(vectors, k, params=search_parameters(self.settings))
        if self.settings.rescore:
            rows = np.sort(rows, axis=1)  # as they lie on disk
            pairs = zip(rows, vectors, strict=True)
            scores = np.stack([self.vectors[found] @ vector for found, vector in pairs])
        elif self.settings.kind == "binary":
            scores = self.faiss.d - 2 * scores
        return scores, rows

    def with_settings(self, **settings: int) -> VectorIndex:
        """The same index searched with other `probes`, `width` or `rescore`; nothing is built."""
        fixed = settings.keys() - {"probes", "width", "rescore"}
        if fixed:
            raise ConfigError(f"{', '.join(sorted(fixed))}: an index is built with it; build anew")
        return _assemble(self.faiss, self.ids, self.vectors, replace(self.settings, **settings))

    @property
    def bytes_per_vector(self) -> float:
        """Bytes of the whole index, as it would be written, for each vector."""
        import faiss

        return len(faiss.serialize_index(self.faiss)) / max(len(self.ids), 1)

    def save(self, folder: str | Path) -> Path:
        """Write a new folder, whole or not at all; full vectors, for `rescore`, are not in it."""
        import faiss

        with new_folder(folder) as work:
            faiss.write_index(self.faiss, str(work / "index.faiss"))
            manifest = {"format": FORMAT, "ids": _digest(self.ids), **asdict(self.settings)}
            (work / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        return Path(folder)

    @staticmethod
    def load(
        folder: str | Path, ids: Sequence[str], vectors: np.ndarray | None = None
    ) -> VectorIndex:
        """Read a folder that `save` wrote. ids: the documents', in order; vectors: theirs, which
        `rescore` needs. Raises DataError for a broken folder, for the index of other documents, and
        for vectors of another shape; ConfigError where `rescore` lacks them.
        """
        digest, settings, index = _read(Path(folder))
        if digest != _digest(ids):
            raise DataError(f"{folder} is the index of other documents than the {len(ids):,} given")
        if vectors is not None and vectors.shape != (index.ntotal, index.d):
            found = f"{folder} holds {index.ntotal:,} vectors of {index.d} numbers"
            raise DataError(f"{found}, and {vectors.shape} are given: give those it was built from")
        return _assemble(index, ids, vectors, settings)


def agreement(found: Run, exact: Run) -> float:
    """The mean over queries of the share of the exact answers that were found: with k answers each,
    recall@k against exact search. Raises DataError where `found` lacks a query, or there is none.
    """
    if not exact or exact.keys() - found.keys():
        raise DataError(f"{len(exact)} queries searched exactly, {len(found)} by the other: give "
                        "both the same")  # fmt: skip
    shares = [len(found[q].keys() & best.keys()) / len(best) for q, best in exact.items() if best]
    return float(np.mean(shares))


def _digest(ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for id_ in ids:
        digest.update(f"{len(id_)}:{id_}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _assemble(
    index: Any, ids: Sequence[str], vectors: np.ndarray | None, settings: IndexSettings
) -> VectorIndex:
    if settings.rescore and vectors is None:
        raise ConfigError("rescore reads the full vectors: give them to VectorIndex.load")
    whole = object.__new__(VectorIndex)
    vars(whole).update(faiss=index, ids=ids, vectors=vectors, settings=settings)
    return whole


def _read(folder: Path) -> tuple[str, IndexSettings, Any]:
    """The hash of the ids, the settings and the faiss index of a folder."""
    import faiss

    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version, digest = manifest.pop("format"), manifest.pop("ids")
        if version != FORMAT:
            raise DataError(f"{folder}: format {version}, this version reads {FORMAT}")
        return digest, IndexSettings(**manifest), faiss.read_index(str(folder / "index.faiss"))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise DataError(f"{folder} is no index, or broken ({why}); build it again") from error
