"""Rows in which every token shows where it is from, and the five-sigma test of counts."""

from itertools import pairwise

import numpy as np

from contriever_lite.corpus import Ragged, ragged


def documents(lengths: list[int]) -> Ragged:
    """Documents in which no token occurs twice, so that each shows where it is from."""
    return ragged([range(a, b) for a, b in pairwise(np.cumsum([0, *lengths]))])


def copies(n: int, rows: int) -> Ragged:
    """The document 0, 1, ..., n - 1 again and again: a token is its own place."""
    return Ragged(np.tile(np.arange(n), rows), np.full(rows, n))


def within_five_sigma(counts: np.ndarray, probabilities: np.ndarray) -> None:
    """Counts of outcomes with these probabilities, each as a binomial count should be."""
    n = counts.sum()
    sigma = np.sqrt(n * probabilities * (1 - probabilities))
    assert (np.abs(counts - n * probabilities) <= 5 * sigma + 1e-9).all()


def rate_within_five_sigma(hits: np.ndarray, probability: float) -> None:
    """Independent yes-or-no draws, (n,) bool, that should say yes with this probability."""
    sigma = np.sqrt(probability * (1 - probability) / len(hits))
    assert abs(hits.mean() - probability) <= 5 * sigma
