"""Checks for the exercises of chapter 02: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isclose

import numpy as np
import torch

from contriever_lite.exercises import hint, in_words, number, numbers, tensor

Vector = Sequence[float] | np.ndarray


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / lengths if lengths else 0.0


@in_words
def check_cosine(function: Callable[[np.ndarray, np.ndarray], float]) -> str:
    """A reader's cosine of two vectors, called as function(x, y)."""
    x, y = np.random.default_rng(0).normal(size=(2, 8))
    cases = {
        "two random vectors": (x, y),
        "a vector and itself": (x, x),
        "a vector and three times itself": (x, 3 * x),
        "a vector and its opposite": (x, -x),
        "a vector and the zero vector": (x, 0 * x),
        "the zero vector and a vector": (0 * x, x),
    }
    for case, (a, b) in cases.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            value = number(function(a.copy(), b.copy()))
        if not isclose(value, _cosine(a, b), abs_tol=1e-6):
            right = (
                f"Not yet: for {case} it gives {value:.3f}, and it should be {_cosine(a, b):.3f}."
            )
            return f"{right} {_cosine_hint(value, a, b)}".rstrip()
    return f"Right, in all {len(cases)} cases: 1 for the same direction, -1 for the opposite."


def _cosine_hint(value: float, a: np.ndarray, b: np.ndarray) -> str:
    if not (a.any() and b.any()):
        return "The zero vector has no direction: answer 0, as the bag does for an empty text."
    dot, left, right = float(a @ b), np.linalg.norm(a), np.linalg.norm(b)
    slips = {
        "That is the inner product: divide by both lengths.": dot,
        "You divide by the first length only.": dot / left,
        "You divide by the second length only.": dot / right,
        "You divide by squared lengths: take their square roots.": dot / (left * right) ** 2,
        "You divide by the sum of the lengths: it is their product.": dot / (left + right),
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-6))


@in_words
def check_shift(
    query: Vector | None, first: Vector | None, second: Vector | None, shift: Vector | None
) -> str:
    """Two documents whose order by cosine turns when the same vector is added to both.

    By the inner product the order cannot turn: q.(d + c) = q.d + q.c for every document d.
    """
    if any(vector is None for vector in (query, first, second, shift)):
        return "Not yet: give four lists of numbers."
    q, a, b, c = (tensor(each, torch.float64).numpy() for each in (query, first, second, shift))
    if q.ndim != 1 or {a.shape, b.shape, c.shape} != {q.shape}:
        return (
            f"Not yet: four vectors of one dimension; these have {[v.size for v in (q, a, b, c)]}."
        )
    if q.size != 2:
        return f"Not yet: in the plane a vector has two numbers, and these have {q.size}."
    if not np.isfinite([q, a, b, c]).all():
        return "Not yet: every number must be finite; one of these is not."
    if q @ a <= q @ b:
        return f"Not yet: the first should win by inner product: {q @ a:.3g} against {q @ b:.3g}."
    before = _cosine(q, a) - _cosine(q, b)
    after = _cosine(q, a + c) - _cosine(q, b + c)
    if before <= 0:
        return "Not yet: the first should win by cosine too, before the shift."
    if after >= 0:
        return (
            f"Not yet: by cosine the first still wins after the shift, by {after:.3g} (before: "
            f"{before:.3g}). Shift so that the second comes to lie along the query."
        )
    return (
        f"Right: both inner products move by {q @ c:.3g}, so their order stays; the first leads by "
        f"{before:.2f} in cosine before, and trails by {-after:.2f} after."
    )


@in_words
def check_idf_weights(function: Callable[[np.ndarray, int], np.ndarray]) -> str:
    """A reader's idf of an array of document frequencies, called as function(df, documents)."""
    df, n = np.array([0, 1, 10, 500, 1000]), 1000
    with np.errstate(divide="ignore", invalid="ignore"):
        answer = tensor(function(df.copy(), n), torch.float64).numpy()
        slips = {
            "That is the logarithm without the 1 added inside it.": np.log(
                (n - df + 0.5) / (df + 0.5)
            ),
            "That is ln(N / df), infinite for a piece that no document has.": np.log(n / df),
            "That is the logarithm of the weight. The weight itself is asked for.": np.log(
                np.log1p((n - df + 0.5) / (df + 0.5))
            ),
            "Take the logarithm of it.": 1 + (n - df + 0.5) / (df + 0.5),
        }
    if answer.shape != df.shape:
        return f"Not yet: {df.size} frequencies in, {df.size} weights out; found {answer.shape}."
    right = np.log1p((n - df + 0.5) / (df + 0.5))
    if np.allclose(answer, right, atol=1e-6):
        return (
            f"Right: from {right[-1]:.4f} for a piece in every document to {right[0]:.2f} for none."
        )
    near = hint(slips, lambda slip: np.allclose(answer, slip, atol=1e-6))
    odd = int(np.argmax(~np.isclose(answer, right, atol=1e-6)))
    found = f"Not yet: a piece in {df[odd]} of {n} documents weighs {answer[odd]:.4f}"
    return f"{found}, and should weigh {right[odd]:.4f}. {near}".rstrip()


@in_words
def check_dimension(
    answer: int | None, curve: Mapping[int, float], limit: float, share: float = 0.95
) -> str:
    """The smallest dimension of `curve` (dimension -> nDCG@10) that reaches share * limit."""
    if answer is None:
        return "Not yet: give a dimension."
    answer = number(answer)
    if answer not in curve:
        return f"Not yet: {answer} was not measured. There are {', '.join(map(str, curve))}."
    wanted = share * limit
    reached = f"{answer} dimensions reach {curve[answer] / limit:.0%} of the limit"
    if curve[answer] < wanted:
        return f"Not yet: {reached}. More are needed."
    if any(score >= wanted for dimension, score in curve.items() if dimension < answer):
        return f"Not yet: {reached}, but fewer do, too."
    return f"Right: {reached}, and nothing smaller reaches {share:.0%}."


@in_words
def check_once(function: Callable[[list[int]], list[int]]) -> str:
    """A reader's removal of repeated pieces from one document, called as function(pieces)."""
    for pieces in ([7, 3, 7, 7, 5], [4, 4], [1, 2, 3], []):
        given = list(pieces)
        answer = function(given)
        if isinstance(answer, Mapping) and any(count is not None for count in answer.values()):
            return "Not yet: that counts the pieces. Return them, each once."
        answer = numbers(answer)
        if given != pieces:
            return "Not yet: the function changes the list it was given. Return a new one."
        if sorted(answer) != sorted(set(pieces)):
            return f"Not yet: {pieces} becomes {answer}; each of its pieces should be there once."
    return "Right: every piece that was there still is, once."
