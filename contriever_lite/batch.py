"""Views to tensors: packed end to end for the bag, padded for a transformer, from one class."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged
from contriever_lite.rng import stream
from contriever_lite.sampling import draw_of_step, first_numbers, windows
from contriever_lite.views import two_views

Views = Callable[[Corpus, np.ndarray, np.random.Generator, TrainConfig], tuple[Ragged, Ragged]]


@dataclass(frozen=True)
class TokenBatch:
    """B token lists of different lengths.

    tokens: (T,) int64, all rows end to end. lengths: (B,) int64, sum(lengths) = T.
    """

    tokens: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def offsets(self) -> Tensor:
        """(B,) where each row begins in tokens."""
        return self.lengths.cumsum(0) - self.lengths

    def padded(self, pad_id: int) -> tuple[Tensor, Tensor]:
        """(ids, mask), both (B, L), L = the longest row; mask is 1 on real tokens, 0 on padding."""
        width = int(self.lengths.max()) if len(self) else 0
        mask = torch.arange(width, device=self.lengths.device)[None, :] < self.lengths[:, None]
        ids = torch.full(mask.shape, pad_id, dtype=torch.int64, device=self.tokens.device)
        ids[mask] = self.tokens
        return ids, mask.long()

    def rows(self, start: int, end: int) -> "TokenBatch":
        """The rows from start to end, end not included."""
        ends = torch.cat([self.lengths.new_zeros(1), self.lengths.cumsum(0)])
        return TokenBatch(self.tokens[ends[start] : ends[end]], self.lengths[start:end])

    def parts(self, rows: int = 1024) -> Iterator["TokenBatch"]:
        """The rows in parts of at most so many."""
        for start in range(0, len(self), rows):
            yield self.rows(start, min(start + rows, len(self)))

    def take(self, rows: Tensor) -> "TokenBatch":
        """The rows of these numbers, (R,) int64, in this order."""
        lengths = self.lengths[rows]
        ends = lengths.cumsum(0)
        shift = self.offsets[rows] - (ends - lengths)
        place = torch.arange(int(ends[-1]) if len(rows) else 0, device=rows.device)
        return TokenBatch(self.tokens[place + shift.repeat_interleave(lengths)], lengths)

    def to(self, device: torch.device | str) -> "TokenBatch":
        return TokenBatch(self.tokens.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class PairBatch:
    """The positive pairs of one step: row i of `key` is the positive of row i of `query`.

    query: M B rows, view after view, if documents have M query views. key: B rows. documents: (B,)
    int64, a number for each document's text, equal where texts are equal.
    """

    query: TokenBatch
    key: TokenBatch
    documents: Tensor

    def __len__(self) -> int:
        return len(self.key)

    @property
    def views(self) -> int:
        """M: query views of each document."""
        return len(self.query) // len(self.key)

    @property
    def both(self) -> TokenBatch:
        """All rows, queries first, so that one forward serves both sides."""
        return concatenate([self.query, self.key])

    def part(self, rank: int, world: int) -> "PairBatch":
        """The share of process `rank` of `world`: B / world documents with all their views."""
        b = len(self) // world
        places = [(v * len(self) + rank * b, v * len(self) + (rank + 1) * b)
                  for v in range(self.views)]  # fmt: skip
        start, end = rank * b, (rank + 1) * b
        return PairBatch(
            concatenate([self.query.rows(*place) for place in places]),
            self.key.rows(start, end),
            self.documents[start:end],
        )

    def to(self, device: torch.device | str) -> "PairBatch":
        return PairBatch(self.query.to(device), self.key.to(device), self.documents.to(device))


def to_tensors(views: Ragged) -> TokenBatch:
    """Ragged arrays to tensors."""
    tokens, lengths = views.tokens.astype(np.int64), views.lengths.astype(np.int64)
    return TokenBatch(torch.from_numpy(tokens), torch.from_numpy(lengths))


def concatenate(parts: Sequence[TokenBatch]) -> TokenBatch:
    """The rows of all parts, one after another."""
    return TokenBatch(
        torch.cat([part.tokens for part in parts]), torch.cat([part.lengths for part in parts])
    )


def text_numbers(documents: Ragged) -> np.ndarray:
    """(B,) int64: a number for each row, equal for equal rows (a hash of its tokens)."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in documents.rows()]
    return np.frombuffer(b"".join(digests), dtype=np.int64).copy()


def documents_of_step(
    usable: np.ndarray, config: TrainConfig, step: int, first: tuple[int, ...] = (0,)
) -> np.ndarray:
    """Which documents step `step` trains on: (batch_size,) numbers out of `usable`, as
    sampling.draw_of_step says. A pure function of its arguments."""
    return draw_of_step(usable, config, step, first).numbers


def batch_of_step(
    corpus: Corpus,
    usable: np.ndarray,
    config: TrainConfig,
    step: int,
    views: Views = two_views,
) -> PairBatch:
    """The pairs of one training step, config.batch_size documents, or windows with config.straddle:
    a pure function of its arguments, so any batch of any run can be drawn again. usable: of
    sampling.usable_numbers. Each of several processes draws the whole batch and keeps its `part`,
    so a run does not depend on their number."""
    draw = draw_of_step(usable, config, step, first_numbers(corpus, config))
    indices = draw.numbers
    if config.straddle:
        corpus, indices = windows(corpus, draw, config), np.arange(len(indices))
    query, key = views(corpus, indices, stream(config.seed, "views", step=step), config)
    numbers = torch.from_numpy(text_numbers(corpus.documents(indices)))
    return PairBatch(to_tensors(query), to_tensors(key), numbers)
