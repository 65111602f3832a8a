"""Shorter vectors: the axes are those of greatest energy, and what is kept is what was there."""

import numpy as np
import pytest

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.truncation import first_numbers, principal_axes


def stretched(count: int = 300) -> np.ndarray:
    """Vectors of ten numbers with much energy along few directions, turned at random."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    return ((rng.normal(size=(count, 10)) * 2.0 ** -np.arange(10)) @ turn + 0.1).astype(np.float32)


def test_principal_axes_equal_their_formula() -> None:
    """X^T X = A diag(energy) A^T"""
    x = stretched()
    axes = principal_axes(x)
    np.testing.assert_allclose(axes.T @ axes, np.eye(10), atol=1e-5)
    energy = ((x @ axes) ** 2).sum(axis=0)
    assert (np.diff(energy) < 0).all()
    np.testing.assert_allclose(axes @ np.diag(energy) @ axes.T, x.T @ x, rtol=1e-3, atol=1e-3)


def test_the_first_axes_keep_inner_products_best() -> None:
    x = stretched()
    axes, products = principal_axes(x), x @ x.T
    rng = np.random.default_rng(1)
    for d in (1, 3, 6):
        kept = x @ axes[:, :d]
        error = ((kept @ kept.T - products) ** 2).sum()
        others = [np.linalg.qr(rng.normal(size=(10, 10)))[0][:, :d] for _ in range(20)]
        others.append(np.eye(10)[:, :d])
        for other in others:
            theirs = x @ other
            assert error < ((theirs @ theirs.T - products) ** 2).sum()


def test_first_numbers_are_the_first_scaled_to_unit_length() -> None:
    x = np.array([[3, 4, 12], [0, 0, 5]], dtype=np.float32)
    assert first_numbers(x, 2).tolist() == [[np.float32(0.6), np.float32(0.8)], [0, 0]]
    np.testing.assert_allclose(first_numbers(x, 1, np.eye(3)[:, ::-1]), [[1], [1]])
    axes = principal_axes(stretched())
    whole = first_numbers(stretched(), 10, axes)
    unit = stretched() / np.linalg.norm(stretched(), axis=1, keepdims=True)
    np.testing.assert_allclose(whole @ whole.T, unit @ unit.T, atol=1e-5)


def test_bad_input_is_refused() -> None:
    for d in (0, 11):
        with pytest.raises(ConfigError, match=f"d is {d}; allowed: 1 to the 10 numbers"):
            first_numbers(stretched(), d)
    with pytest.raises(DataError, match="not finite"):
        principal_axes(np.full((2, 2), np.nan))
