"""The checks of chapter 08: right answers pass, each known slip is told apart."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from contriever_lite.exercises_transformer import (
    check_attention,
    check_mean,
    check_padded,
    check_parameters,
)
from contriever_lite.transformer import new_model

CHECKS = [check_mean, check_attention, check_padded, check_parameters]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def slips(check: Callable[[Callable], str], function: Callable, hint: str) -> None:
    verdict = check(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    return (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def test_mean_right() -> None:
    assert check_mean(_mean).startswith("Right")


LENGTHS = torch.tensor([[5], [2], [3]])


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda h, m: h.mean(1), "averaged too"),
        (lambda h, m: (h * m[:, :, None]).mean(1), "still counted"),
        (lambda h, m: (h * m[:, :, None]).sum(1), "that is the sum"),
        (lambda h, m: h[:, 0], "[CLS]'s"),
        (lambda h, m: h.amax(1), "the largest"),
        (lambda h, m: h.mean(2), "the shape is (3, 5)"),
        (lambda h, m: 2 * _mean(h, m), "over their number"),
        (lambda h, m: 0 * _mean(h, m), "should be -0.237533; a row"),
        (lambda h, m: (h[:3] * m[:3, :, None]).sum(1) / LENGTHS[: len(h)], "it is"),
    ],
)
def test_mean_slips(function: Callable[[Tensor, Tensor], Tensor], hint: str) -> None:
    slips(check_mean, function, hint)


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, root: float = 0.5) -> Tensor:
    scores = q @ k.T / q.shape[1] ** root
    return scores.masked_fill(mask == 0, -torch.inf).softmax(1) @ v


def test_attention_right() -> None:
    assert check_attention(_attention).startswith("Right")
    assert check_attention(lambda *call: _attention(*call).double()).startswith("Right")


def test_attention_of_padding_is_free() -> None:
    for free in (0, torch.nan):
        verdict = check_attention(
            lambda q, k, v, m, x=free: _attention(q, k, v, m).masked_fill(m[:, None] == 0, x)
        )
        assert verdict.startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, k, v, m: (q @ k.T / 2).softmax(1) @ v, "padding is attended to"),
        (lambda q, k, v, m: ((q @ k.T / 2).softmax(1) * m) @ v, "no longer sum to 1"),
        (lambda q, k, v, m: (q @ k.T / 2).masked_fill(m == 0, 0).softmax(1) @ v, "exp(0) is 1"),
        (lambda q, k, v, m: _attention(q, k, v, m, root=0), "divide the scores by the root"),
        (lambda q, k, v, m: _attention(q, k, v, m, root=1), "not by D"),
        (
            lambda q, k, v, m: (
                (q @ k.T / 2).masked_fill(m == 0, -torch.inf).softmax(0).nan_to_num() @ v
            ),
            "along a row",
        ),
        (
            lambda q, k, v, m: (q @ k.T / 2).masked_fill(m == 0, -torch.inf).softmax(0) @ v,
            "along a row; a column of padding alone",
        ),
        (lambda q, k, v, m: _attention(q / 2, k, v, m, root=0), "at D = 9"),
        (lambda q, k, v, m: _attention(k, q, v, m), "q for k"),
        (lambda q, k, v, m: q @ k.T, "the shape is (5, 5)"),
        (lambda q, k, v, m: v, "softmax(q_i k_j / root D)"),
    ],
)
def test_attention_slips(function: Callable[..., Tensor], hint: str) -> None:
    slips(check_attention, function, hint)


def _padded(lengths: Sequence[int], rows: int) -> int:
    longest = sorted(lengths, reverse=True)
    parts = [longest[i : i + rows] for i in range(0, len(longest), rows)]
    return sum(len(part) * part[0] for part in parts)


def test_padded_right() -> None:
    assert check_padded(_padded).startswith("Right")


def _unsorted(lengths: Sequence[int], rows: int) -> int:
    parts = [lengths[i : i + rows] for i in range(0, len(lengths), rows)]
    return sum(len(part) * max(part) for part in parts)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (_unsorted, "Sort first"),
        (lambda lengths, rows: max(lengths) * len(lengths), "as its own longest row"),
        (
            lambda lengths, rows: sum(rows * x for x in sorted(lengths, reverse=True)[::rows]),
            "only the rows that are left",
        ),
        (lambda lengths, rows: _unsorted(sorted(lengths), rows), "Longest first"),
        (lambda lengths, rows: sum(lengths), "That counts the tokens"),
        (lambda lengths, rows: 7, "it gives 7, should be 26"),
    ],
)
def test_padded_slips(function: Callable[[Sequence[int], int], int], hint: str) -> None:
    slips(check_padded, function, hint)


def _parameters(pieces: int, d: int, layers: int) -> int:
    return (pieces + 512 + 2 + 2) * d + layers * (12 * d * d + 13 * d)


def test_parameters_right() -> None:
    assert check_parameters(_parameters).startswith("Right")


@pytest.mark.parametrize(("pieces", "d", "layers"), [(100, 16, 1), (300, 32, 3)])
def test_parameters_are_those_of_the_model(pieces: int, d: int, layers: int) -> None:
    model = new_model(pieces, d, layers, heads=2, dropout=0.0)
    assert sum(p.numel() for p in model.parameters()) == _parameters(pieces, d, layers)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda v, d, n: _parameters(v, d, n) - 512 * d, "512 places are missing"),
        (
            lambda v, d, n: _parameters(v, d, n) - 2 * d,
            "two kinds of sentence, or the LayerNorm after the look-up",
        ),
        (lambda v, d, n: v * d + n * (12 * d * d + 13 * d), "the LayerNorm of the look-up are"),
        (lambda v, d, n: _parameters(v, d, n) - 13 * n * d, "biases and two LayerNorms"),
        (lambda v, d, n: _parameters(v, d, 1), "That is one layer"),
        (lambda v, d, n: _parameters(0, d, n), "The word vectors are missing"),
        (lambda v, d, n: _parameters(v, d, n) - n * d * d, "four matrices"),
        (lambda v, d, n: 5, "it gives 5, should be"),
    ],
)
def test_parameters_slips(function: Callable[[int, int, int], int], hint: str) -> None:
    slips(check_parameters, function, hint)
