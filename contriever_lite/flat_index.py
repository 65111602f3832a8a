"""The exact index under DenseIndex: faiss', or NumPy where faiss is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np


class BruteForce:
    """What is used here of faiss.IndexFlatIP: add vectors (N, D), search by inner product."""

    def __init__(self, dimension: int) -> None:
        self.d = dimension

    def add(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Queries (Q, D) in; scores and rows (Q, k) out, the best first."""
        rows = np.argsort(-(scores := queries @ self.vectors.T), axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, rows, axis=1), rows


def flat_index(dimension: int) -> Any:
    """An empty index of vectors with so many numbers."""
    try:
        import faiss
    except ImportError:
        return BruteForce(dimension)
    return faiss.IndexFlatIP(dimension)
