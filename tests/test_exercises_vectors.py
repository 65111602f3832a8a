"""The checks of chapter 02: right answers pass, each known slip is told apart."""

import numpy as np
import pytest
import torch
from numpy.linalg import norm

from contriever_lite.encoder import BagEncoder
from contriever_lite.exercises_vectors import (
    check_cosine,
    check_dimension,
    check_idf_weights,
    check_once,
    check_shift,
)


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return x @ y / (norm(x) * norm(y)) if norm(x) * norm(y) else 0.0


def test_cosine_right() -> None:
    assert check_cosine(cosine).startswith("Right")
    assert check_cosine(lambda x, y: np.array([cosine(x, y)])).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x, y: None, "returns nothing"),
        (lambda x, y: x @ y, "inner product: divide"),
        (lambda x, y: x @ y / norm(x), "first length only"),
        (lambda x, y: x @ y / norm(y), "second length only"),
        (lambda x, y: x @ y / (x @ x) / (y @ y), "square roots"),
        (lambda x, y: x @ y / (norm(x) + norm(y)), "product"),
        (lambda x, y: x @ y / (norm(x) * norm(y)), "zero vector"),
        (lambda x, y: x @ y / (norm(x) * norm(y)) if norm(y) else 0.0, "zero vector and a vector"),
        (lambda x, y: abs(cosine(x, y)), "random vectors"),
        (lambda x, y: 0.5, "random vectors"),
    ],
)
def test_cosine_slips(function: object, hint: str) -> None:
    verdict = check_cosine(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_shift_right() -> None:
    assert check_shift([1, 0], [2, 2], [1, 1.5], [2, 2]).startswith("Not yet")
    assert check_shift([1, 0], [1, 0], [0.9, 0.4], [0.5, -0.4]).startswith("Right")


@pytest.mark.parametrize(
    ("vectors", "hint"),
    [
        ((None, [1.0], [1.0], [1.0]), "four lists"),
        (([1, 0], [1, 0], [0, 1, 1], [0, 1]), "one dimension"),
        (([1, 0], [0, 1], [1, 0], [0, 1]), "win by inner product"),
        (([1, 0], [2, 3], [1, 0], [0, 1]), "win by cosine too"),
        (([1, 0], [1, 0], [0, 1], [0, 0]), "still wins"),
        (([1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]), "in the plane"),
        (([1, 0], [1, 0], [0.9, 0.4], [float("nan"), 0]), "must be finite"),
    ],
)
def test_shift_slips(vectors: tuple, hint: str) -> None:
    verdict = check_shift(*vectors)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def idf(df: np.ndarray, n: int) -> np.ndarray:
    return np.log(1 + (n - df + 0.5) / (df + 0.5))


def test_idf_right_and_equal_to_the_encoder() -> None:
    assert check_idf_weights(idf).startswith("Right")
    bag, df = BagEncoder(5, 2), np.array([0, 1, 10, 500, 1000])
    bag.start_weights_at_idf(torch.from_numpy(df), 1000)
    assert np.allclose(bag.log_weights.detach().exp().numpy()[:, 0], idf(df, 1000))


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda df, n: None, "returns nothing"),
        (lambda df, n: 1.0, "5 weights out"),
        (lambda df, n: np.log((n - df + 0.5) / (df + 0.5)), "without the 1"),
        (lambda df, n: np.log(n / df), "infinite"),
        (lambda df, n: np.log(idf(df, n)), "logarithm of the weight"),
        (lambda df, n: 1 + (n - df + 0.5) / (df + 0.5), "Take the logarithm"),
        (
            lambda df, n: np.where(df == 10, 0, idf(df, n)),
            "10 of 1000 documents weighs 0.0000, and",
        ),
        (lambda df, n: idf(np.maximum(df, 1, out=df), n), "0 of 1000"),
    ],
)
def test_idf_slips(function: object, hint: str) -> None:
    verdict = check_idf_weights(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


@pytest.mark.parametrize(
    ("answer", "begin", "hint"),
    [
        (256, "Right", "96%"),
        (None, "Not yet", "give a dimension"),
        (100, "Not yet", "16, 256, 1024"),
        (16, "Not yet", "More"),
        (1024, "Not yet", "fewer"),
    ],
)
def test_dimension(answer: int | None, begin: str, hint: str) -> None:
    verdict = check_dimension(answer, {16: 0.1, 256: 0.48, 1024: 0.49}, limit=0.5)
    assert verdict.startswith(begin)
    assert hint in verdict


def pop(pieces: list[int]) -> list[int]:
    pieces.sort()
    return sorted(set(pieces))


@pytest.mark.parametrize(
    ("function", "begin", "hint"),
    [
        (lambda pieces: list(dict.fromkeys(pieces)), "Right", "once"),
        (lambda pieces: np.unique(pieces), "Right", "once"),
        (lambda pieces: None, "Not yet", "nothing"),
        (lambda pieces: pieces, "Not yet", "[7, 3, 7, 7, 5]"),
        (lambda pieces: [p for p in pieces if pieces.count(p) == 1], "Not yet", "[3, 5]"),
        (pop, "Not yet", "changes the list"),
        (lambda pieces: {p: pieces.count(p) for p in pieces}, "Not yet", "counts the pieces"),
        (lambda pieces: [str(p) for p in set(pieces)], "Not yet", "not one number"),
        (lambda pieces: [p + 0.3 for p in set(pieces)], "Not yet", "each of its pieces"),
    ],
)
def test_once(function: object, begin: str, hint: str) -> None:
    verdict = check_once(function)
    assert verdict.startswith(begin)
    assert hint in verdict
