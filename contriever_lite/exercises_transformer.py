"""Checks for the exercises of chapter 08: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from contriever_lite.exercises import first_apart, hint, in_words, number, tensor


@in_words
def check_mean(function: Callable[[Tensor, Tensor], Tensor]) -> str:
    """A reader's mean of the last layer, called as function(hidden, mask): (B, L, D) and (B, L),
    1 on tokens and 0 on padding, to (B, D)."""
    draw = torch.Generator().manual_seed(0)
    for lengths in ([5, 2, 3], [1, 4]):
        hidden = torch.randn(len(lengths), 5, 4, generator=draw)
        mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
        value = tensor(function(hidden.clone(), mask.clone()), hidden.dtype)
        wanted = (len(lengths), 4)
        if value.shape != wanted:
            found = tuple(value.shape)
            return f"Not yet: the shape is {found}, should be {wanted}: a vector a row."
        right = (mask[:, :, None] * hidden).sum(1) / mask.sum(1)[:, None]
        otherwise = "a row must be the sum of its tokens' vectors over their number."
        if fault := _fault(value, right, _mean_slips(hidden, mask), otherwise):
            return f"Not yet: {fault}"
    return "Right: the mean of each text's own tokens, whatever the padding holds."


def _mean_slips(hidden: Tensor, mask: Tensor) -> dict[str, Tensor]:
    seen = mask[:, :, None] * hidden
    return {
        "the padding is averaged too; leave out what the mask leaves out.": hidden.mean(1),
        "the padding is not summed, but it is still counted: divide by the mask's sum.": (
            seen.mean(1)
        ),
        "that is the sum; divide by the number of tokens.": seen.sum(1),
        "that is the vector at the first place, [CLS]'s; the paper takes the mean.": hidden[:, 0],
        "that is the largest, not the mean.": hidden.amax(1),
    }


@in_words
def check_attention(function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> str:
    """A reader's attention of one head, called as function(q, k, v, mask): q, k, v (L, D), mask
    (L,), 1 on tokens and 0 on padding, to (L, D). What stands in the padding's rows is free."""
    draw = torch.Generator().manual_seed(0)
    for d, mask in ((4, torch.tensor([1, 1, 1, 0, 0])), (9, torch.tensor([1, 1, 1, 1, 0]))):
        q, k, v = (torch.randn(5, d, generator=draw) for _ in "qkv")
        value = tensor(function(q.clone(), k.clone(), v.clone(), mask.clone()), q.dtype)
        if value.shape != (5, d):
            shapes = f"{tuple(value.shape)}, should be {(5, d)}"
            return f"Not yet: the shape is {shapes}: one row a token."
        scores, tokens = q @ k.T / d**0.5, mask == 1
        right = scores.masked_fill(mask == 0, -torch.inf).softmax(1) @ v
        slips = {words: x[tokens] for words, x in _attention_slips(scores, v, mask).items()}
        otherwise = "row i must be the sum over tokens j of softmax(q_i k_j / root D) v_j."
        if fault := _fault(value[tokens], right[tokens], slips, otherwise):
            return f"Not yet, at D = {d}: {fault}"
    return "Right: each row is a mean of the tokens' values, and padding has no say."


def _attention_slips(scores: Tensor, v: Tensor, mask: Tensor) -> dict[str, Tensor]:
    seen, root = scores.masked_fill(mask == 0, -torch.inf), v.shape[1] ** 0.5
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
        f"divide the scores by the root of D, {root:g} here.": (root * seen).softmax(1) @ v,
        "divide by the root of D, not by D.": (seen / root).softmax(1) @ v,
        "the softmax must run over the tokens attended to, along a row.": (
            seen.softmax(0).nan_to_num() @ v
        ),
        "the softmax must run along a row; a column of padding alone gives 0 / 0.": (
            seen.softmax(0) @ v
        ),
        "that is q for k and k for q; a row belongs to a query.": (
            scores.T.masked_fill(mask == 0, -torch.inf).softmax(1) @ v
        ),
    }


def _fault(value: Tensor, right: Tensor, slips: Mapping[str, Tensor], otherwise: str) -> str:
    if torch.allclose(value, right, atol=1e-5):
        return ""
    slip = hint(slips, lambda wrong: torch.allclose(value, wrong, atol=1e-5, equal_nan=True))
    return f"{first_apart(value, right)}; {slip or otherwise}"


@in_words
def check_padded(function: Callable[[Sequence[int], int], int]) -> str:
    """A reader's count of token places, padding included, of the cheapest forwards of `rows` rows
    each, called as function(lengths, rows)."""
    for lengths, rows in (([3, 9, 4, 8], 2), ([5, 1, 1, 1, 7], 2), ([12, 127, 30], 4)):
        value = number(function(list(lengths), rows))
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
            return f"Not yet: {found} {right}. {hint(slips, value.__eq__)}".rstrip()
    return "Right: sorted, longest first, and each forward as wide as its first row."


def _places(lengths: Sequence[int], rows: int) -> int:
    parts = [lengths[i : i + rows] for i in range(0, len(lengths), rows)]
    return sum(len(part) * max(part) for part in parts)


@in_words
def check_parameters(function: Callable[[int, int, int], int]) -> str:
    """A reader's number of parameters of a BERT that reads 512 places, called as function(pieces,
    dimension, layers)."""
    for pieces, d, layers in ((16_000, 128, 2), (30_522, 768, 12), (100, 16, 1)):
        value = number(function(pieces, d, layers))
        words, places, norm = pieces * d, 512 * d, 2 * d
        layer = 12 * d * d + 13 * d
        right = words + places + 2 * d + norm + layers * layer
        if value != right:
            slips = {
                "The vectors of the 512 places are missing.": right - places,
                "2 D are missing: the vectors of the two kinds of sentence, or the LayerNorm after "
                "the look-up, which has a weight and a bias.": right - norm,
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
            return f"Not yet: {found} {right:,}. {hint(slips, value.__eq__)}".rstrip()
    return "Right: for three sizes, BERT base among them."
