"""How vectors are stored and searched: the settings of an index, and the faiss index they make."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.settings import check_settings, setting

KINDS = ("exact", "int8", "binary", "ivf", "ivf-pq", "hnsw")
CENTROIDS = 256  # of each part of a product-quantised vector: one byte names one
SAMPLE = 64  # vectors that k-means sees for each cell
CHOSEN = {"ivf": ("probes",), "ivf-pq": ("probes",), "hnsw": ("width",)}  # chosen at each search


@dataclass(frozen=True)
class IndexSettings:
    """How vectors are stored and searched. Of the other settings a kind reads those named with it.

        exact    every number as it is, every vector compared
        int8     a number in one byte, 256 levels between its dimension's least and largest
        binary   a number in one bit, above its dimension's median or not; bits in common count
        ivf      exact numbers in `lists` cells of k-means; the `probes` nearest cells compared
        ivf-pq   the same cells; a vector less its cell's centre in `parts` bytes, a part of it in
                 each (Jegou et al. 2011, "Product quantization")
        hnsw     exact numbers in a graph of `links` neighbours a vector (twice that at the bottom),
                 built with `build_width` candidates, walked with `width`, or k if that is more
                 (Malkov and Yashunin 2016)

    lists: 0 stands for 4 sqrt(N). rescore: 0, or r: the first r k answers are ordered again by the
    full vectors, which may lie on disk. Raises ConfigError on a setting.
    """

    kind: str = setting("exact", "one of the above", choices=KINDS)
    lists: int = setting(0, "cells of k-means", low=0)
    probes: int = setting(8, "cells compared", low=1)
    parts: int = setting(16, "bytes a vector", low=1)
    links: int = setting(16, "neighbours a vector", low=2)
    build_width: int = setting(40, "candidates at building", low=1)
    width: int = setting(100, "candidates at searching", low=1)
    rescore: int = setting(0, "answers ordered again, times k", low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def cells(self, count: int) -> int:
        """The cells of k-means for so many vectors."""
        return min(self.lists or ceil(4 * sqrt(count)), max(count, 1))

    @property
    def built(self) -> str:
        """What the index is, without what is chosen at each search."""
        sizes = {"ivf-pq": f", {self.parts} bytes", "hnsw": f", {self.links} links"}
        return self.kind + sizes.get(self.kind, "")

    def __str__(self) -> str:
        search = "".join(f", {getattr(self, name)} {name}" for name in CHOSEN.get(self.kind, ()))
        again = f", rescored x{self.rescore}" if self.rescore else ""
        return self.built + search + again


def new_index(settings: IndexSettings, vectors: np.ndarray, seed: int = 0) -> Any:
    """An empty faiss index for vectors (N, D), taught by a sample of them where it learns. Raises
    DataError where they are too few for that or not finite, ConfigError where D cannot be cut into
    `parts`."""
    count, dimension = vectors.shape
    if settings.kind == "ivf-pq" and dimension % settings.parts:
        raise ConfigError(
            f"parts is {settings.parts}; allowed: what divides the {dimension} numbers of a vector"
        )
    least = {"exact": 0, "hnsw": 0, "ivf-pq": CENTROIDS}.get(settings.kind, 1)
    if count < least:
        raise DataError(f"{settings.kind} learns from {least} vectors or more, and there are "
                        f"{count}: use exact")  # fmt: skip
    index = _untrained(settings, dimension, settings.cells(count), seed)
    if not index.is_trained:
        size = min(count, SAMPLE * max(settings.cells(count), CENTROIDS))
        rows = np.random.default_rng(seed).choice(count, size, replace=False)
        sample = np.ascontiguousarray(vectors[np.sort(rows)], dtype=np.float32)
        if not np.isfinite(sample).all():
            raise DataError("a vector is not finite: did the training diverge?")
        index.train(sample)
    return index


def _untrained(settings: IndexSettings, dimension: int, cells: int, seed: int) -> Any:
    import faiss

    inner = faiss.METRIC_INNER_PRODUCT
    if settings.kind == "exact":
        return faiss.IndexFlatIP(dimension)
    if settings.kind == "int8":
        return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, inner)
    if settings.kind == "binary":
        return faiss.IndexLSH(dimension, dimension, False, True)
    if settings.kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, settings.links, inner)
        index.hnsw.efConstruction = settings.build_width
        return index
    nearest = faiss.IndexFlatIP(dimension)
    if settings.kind == "ivf":
        index = faiss.IndexIVFFlat(nearest, dimension, cells, inner)
    else:
        index = faiss.IndexIVFPQ(nearest, dimension, cells, settings.parts, 8, inner)
        index.pq.cp.seed, index.pq.cp.min_points_per_centroid = seed + 1, 1
    index.cp.seed, index.cp.min_points_per_centroid = seed + 1, 1
    return index


def search_parameters(settings: IndexSettings) -> Any:
    """What faiss is told at each search, None where a kind leaves no choice."""
    import faiss

    if settings.kind in ("ivf", "ivf-pq"):
        return faiss.SearchParametersIVF(nprobe=settings.probes)
    if settings.kind == "hnsw":
        return faiss.SearchParametersHNSW(efSearch=settings.width)
    return None
