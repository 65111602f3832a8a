"""Small encoders and pairs of token lists, for tests of what stands around an encoder."""

import torch
from torch import Tensor, nn

from contriever_lite.batch import PairBatch, TokenBatch, to_tensors
from contriever_lite.corpus import ragged
from contriever_lite.encoder import BagEncoder
from contriever_lite.rng import stream, torch_stream

PIECES, DIMENSION = 30, 6


class Dropping(nn.Module):
    """Embeddings, dropout, their sum, a layer: dense gradients, and random in training mode."""

    dimension = DIMENSION

    def __init__(self, seed: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        generator = torch_stream(seed, "toy")
        self.table = nn.Parameter(torch.randn(PIECES, 8, generator=generator))
        self.layer = nn.Parameter(torch.randn(8, DIMENSION, generator=generator))
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: TokenBatch) -> Tensor:
        rows = torch.arange(len(batch)).repeat_interleave(batch.lengths)
        pieces = self.dropout(self.table[batch.tokens])
        sums = torch.zeros(len(batch), 8).index_add(0, rows, pieces)
        return torch.tanh(sums @ self.layer)


def bag(seed: int = 0) -> BagEncoder:
    return BagEncoder(PIECES, DIMENSION, generator=torch_stream(seed, "toy"))


def tokens(rows: int, step: int = 0, view: str = "query") -> TokenBatch:
    """Rows of 1 to 7 random tokens."""
    rng = stream(0, view, step=step)
    return to_tensors(ragged([rng.integers(PIECES, size=rng.integers(1, 8)) for _ in range(rows)]))


def pairs(documents: int, views: int = 1, step: int = 0) -> PairBatch:
    """Random pairs, of four texts that come again within the batch and in other steps."""
    numbers = torch.arange(documents) % 4
    return PairBatch(tokens(documents * views, step), tokens(documents, step, "key"), numbers)


def dense_gradients(module: nn.Module) -> dict[str, Tensor]:
    """Name -> gradient of every parameter that learns; 0 where there is none."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.to_dense()
        for name, p in module.named_parameters()
        if p.requires_grad
    }
