"""Shorter vectors without training: the first numbers of each, as they stand or turned first to the
axes that hold most.

A model trained so that the first d numbers serve alone (Kusupati et al. 2022, "Matryoshka
representation learning") needs no turning; one that was not is a rotation away from the best d.
"""

import numpy as np

from contriever_lite.errors import ConfigError
from contriever_lite.search import as_matrix


def principal_axes(vectors: np.ndarray) -> np.ndarray:
    """(D, D): orthonormal columns in order of the energy that vectors (N, D) have along them.

        X^T X = A diag(energy) A^T,   energy falling

    Not centred: the first d columns then keep inner products best, in squared error over all pairs
    of rows (Eckart and Young 1936). Raises DataError as search does.
    """
    vectors = as_matrix(vectors)
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    return np.ascontiguousarray(axes[:, ::-1], dtype=np.float32)


def first_numbers(vectors: np.ndarray, d: int, axes: np.ndarray | None = None) -> np.ndarray:
    """(N, d): the first d numbers of each vector, along `axes` where they are given, scaled to unit
    length; zero stays zero. For models that score by cosine. Raises ConfigError unless 1 <= d <= D.
    """
    vectors = as_matrix(vectors)
    if not 1 <= d <= vectors.shape[1]:
        raise ConfigError(f"d is {d}; allowed: 1 to the {vectors.shape[1]} numbers of a vector")
    short = vectors[:, :d] if axes is None else vectors @ axes[:, :d]
    lengths = np.linalg.norm(short, axis=1, keepdims=True)
    return short / np.where(lengths > 0, lengths, 1)
