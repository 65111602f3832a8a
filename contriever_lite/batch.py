"""Views to tensors: packed end to end for the bag, padded for a transformer, from one class."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged
from contriever_lite.rng import stream
from contriever_lite.views import two_views


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

    def to(self, device: torch.device | str) -> "TokenBatch":
        return TokenBatch(self.tokens.to(device), self.lengths.to(device))


def to_tensors(views: Ragged, cls_id: int | None = None, sep_id: int | None = None) -> TokenBatch:
    """Ragged arrays to tensors. With cls_id every row begins with it, with sep_id it ends so."""
    tokens, lengths = views.tokens.astype(np.int64), views.lengths.astype(np.int64)
    if cls_id is not None:
        tokens = np.insert(tokens, views.starts(), cls_id)
        lengths = lengths + 1
    if sep_id is not None:
        tokens = np.insert(tokens, np.cumsum(lengths), sep_id)
        lengths = lengths + 1
    return TokenBatch(torch.from_numpy(tokens), torch.from_numpy(lengths))


def concatenate(first: TokenBatch, second: TokenBatch) -> TokenBatch:
    """The rows of both, so that one forward serves both views."""
    return TokenBatch(
        torch.cat([first.tokens, second.tokens]), torch.cat([first.lengths, second.lengths])
    )


@lru_cache(maxsize=2)
def _epoch_order(documents: int, seed: int, rank: int, epoch: int) -> np.ndarray:
    return stream(seed, "epoch", rank=rank, step=epoch).permutation(documents)


def documents_of_step(
    usable: np.ndarray, config: TrainConfig, step: int, rank: int = 0
) -> np.ndarray:
    """Which documents step `step` trains on: (batch_size,) numbers out of `usable`.

    Each epoch is one random order of the usable documents, cut into batches; the last, incomplete
    one is left out, so a batch never holds a document twice. A pure function of its arguments.
    """
    epoch, place = divmod(step, len(usable) // config.batch_size)
    order = _epoch_order(len(usable), config.seed, rank, epoch)
    return usable[order[place * config.batch_size : (place + 1) * config.batch_size]]


def pair_of_step(
    corpus: Corpus, usable: np.ndarray, config: TrainConfig, step: int, rank: int = 0
) -> tuple[TokenBatch, TokenBatch]:
    """The query views and key views of one training step, each of batch_size rows."""
    indices = documents_of_step(usable, config, step, rank)
    rng = stream(config.seed, "views", rank=rank, step=step)
    query, key = two_views(corpus, indices, rng, config)
    return to_tensors(query), to_tensors(key)
