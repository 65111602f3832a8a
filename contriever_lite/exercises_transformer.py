"""Checks for the exercises of chapter 08: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

NOTHING = "Not yet: the function returns nothing."


def check_mean(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """A reader's mean of the last layer, called as function(hidden, mask): (B, L, D) and (B, L),
    1 on tokens and 0 on padding, to (B, D)."""
    draw = torch.Generator().manual_seed(0)
    hidden, lengths = torch.randn(3, 5, 4, generator=draw), torch.tensor([5, 2, 3])
    mask = (torch.arange(5) < lengths[:, None]).long()
    value = function(hidden.clone(), mask.clone())
    if value is None:
        return NOTHING
    if value.shape != (3, 4):
        return f"Not yet: the shape is {tuple(value.shape)}, should be (3, 4): a vector a row."
    seen = mask[:, :, None] * hidden
    slips = {
        "the padding is averaged too; leave out what the mask leaves out.": hidden.mean(1),
        "the padding is not summed, but it is still counted: divide by the mask's sum.": (
            seen.mean(1)
        ),
        "that is the sum; divide by the number of tokens.": seen.sum(1),
        "that is the vector at the first place, [CLS]'s; the paper takes the mean.": hidden[:, 0],
        "that is the largest, not the mean.": hidden.amax(1),
    }
    return _tensor_verdict(
        value,
        seen.sum(1) / mask.sum(1)[:, None],
        slips,
        "Right: the mean of each text's own tokens, whatever the padding holds.",
        "a row must be the sum of its tokens' vectors over their number.",
    )


def check_attention(function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """A reader's attention of one head, called as function(q, k, v, mask): q, k, v (L, D), mask
    (L,), 1 on tokens and 0 on padding, to (L, D)."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(5, 4, generator=draw) for _ in "qkv")
    mask = torch.tensor([1, 1, 1, 0, 0])
    value = function(q.clone(), k.clone(), v.clone(), mask.clone())
    if value is None:
        return NOTHING
    if value.shape != (5, 4):
        return f"Not yet: the shape is {tuple(value.shape)}, should be (5, 4): one row a token."
    scores = q @ k.T / 2
    right = scores.masked_fill(mask == 0, -torch.inf).softmax(1) @ v
    praise = "Right: each row is a mean of the tokens' values, and padding has no say."
    otherwise = "row i must be the sum over tokens j of softmax(q_i k_j / root D) v_j."
    return _tensor_verdict(value, right, _attention_slips(scores, v, mask), praise, otherwise)


def _attention_slips(scores: Tensor, v: Tensor, mask: Tensor) -> dict[str, Tensor]:
    seen = scores.masked_fill(mask == 0, -torch.inf)
    return {
        "padding is attended to; its scores must be -infinity before the softmax.": (
            scores.softmax(1) @ v
        ),
        "padding is set to zero after the softmax, so the weights no longer sum to 1.": (
            (scores.softmax(1) * mask) @ v
        ),
        "a score of 0 is no absence: exp(0) is 1. Use -infinity.": (
            scores.masked_fill(mask == 0, 0).softmax(1) @ v
        ),
        "divide the scores by the root of D, 2 here.": (2 * seen).softmax(1) @ v,
        "divide by the root of D, not by D.": (seen / 2).softmax(1) @ v,
        "the softmax must run over the tokens attended to, along a row.": (
            seen.softmax(0).nan_to_num() @ v
        ),
        "that is q for k and k for q; a row belongs to a query.": (
            scores.T.masked_fill(mask == 0, -torch.inf).softmax(1) @ v
        ),
    }


def _tensor_verdict(
    value: Tensor, right: Tensor, slips: Mapping[str, Tensor], praise: str, otherwise: str
) -> str:
    if torch.allclose(value, right, atol=1e-5):
        return praise
    for words, wrong in slips.items():
        if torch.allclose(value, wrong, atol=1e-5):
            return f"Not yet: {words}"
    return f"Not yet: {otherwise}"


def check_padded(function: Callable[[Sequence[int], int], int]) -> str:
    """A reader's count of token places, padding included, of the cheapest forwards of `rows` rows
    each, called as function(lengths, rows)."""
    for lengths, rows in (([3, 9, 4, 8], 2), ([5, 1, 1, 1, 7], 2), ([12, 127, 30], 4)):
        value = function(list(lengths), rows)
        if value is None:
            return NOTHING
        best = sorted(lengths, reverse=True)
        right = _places(best, rows)
        if value != right:
            slips = {
                "Longest first: then the short forward at the end has the shortest rows.": (
                    _places(sorted(lengths), rows)
                ),
                "Sort first: rows of like length belong together.": _places(lengths, rows),
                "Each forward is as wide as its own longest row, not as the longest of all.": (
                    max(lengths) * len(lengths)
                ),
                "The last forward has only the rows that are left.": (
                    sum(rows * max(best[i : i + rows]) for i in range(0, len(best), rows))
                ),
                "That counts the tokens; padding is computed too.": sum(lengths),
            }
            found = f"for lengths {lengths} and {rows} rows a forward it gives {value}, should be"
            return f"Not yet: {found} {right}. {_hint(slips, value)}".rstrip()
    return "Right: sorted, longest first, and each forward as wide as its first row."


def _places(lengths: Sequence[int], rows: int) -> int:
    parts = [lengths[i : i + rows] for i in range(0, len(lengths), rows)]
    return sum(len(part) * max(part) for part in parts)


def check_parameters(function: Callable[[int, int, int], int]) -> str:
    """A reader's number of parameters of a BERT that reads 512 places, called as function(pieces,
    dimension, layers)."""
    for pieces, d, layers in ((16_000, 128, 2), (30_522, 768, 12), (100, 16, 1)):
        value = function(pieces, d, layers)
        if value is None:
            return NOTHING
        words, places, norm = pieces * d, 512 * d, 2 * d
        layer = 12 * d * d + 13 * d
        right = words + places + 2 * d + norm + layers * layer
        if value != right:
            slips = {
                "The vectors of the 512 places are missing.": right - places,
                "The vectors of the two kinds of sentence are missing.": right - 2 * d,
                "LayerNorm after the look-up has a weight and a bias: 2 D.": right - norm,
                "The places, the two kinds and the LayerNorm of the look-up are missing.": (
                    words + layers * layer
                ),
                "A layer has biases and two LayerNorms too, 13 D in all.": (
                    right - layers * 13 * d
                ),
                "That is one layer.": right - (layers - 1) * layer,
                "The word vectors are missing.": right - words,
                "Attention has four matrices, D x D: for q, k, v and what comes out.": (
                    right - layers * d * d
                ),
            }
            found = f"for {pieces:,} pieces, D = {d}, {layers} layers it gives {value:,}, should be"
            return f"Not yet: {found} {right:,}. {_hint(slips, value)}".rstrip()
    return "Right: for three sizes, BERT base among them."


def _hint(slips: Mapping[str, int], value: int) -> str:
    return next((words for words, wrong in slips.items() if value == wrong), "")
