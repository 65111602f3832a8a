"""Cached gradients: the exact gradient of a large batch in the memory of a small one."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from contriever_lite.batch import TokenBatch


class CachedGradients(nn.Module):
    """An encoder that sees its batch in micro-batches of `rows` rows.

    Forward keeps no activation, only the vectors: a loss over all of them needs no more. Backward
    runs one micro-batch again at a time, with the same dropout, and feeds it its part of the
    vectors' gradient. The chain rule makes this the gradient of the whole batch; the price is a
    second forward. Gao et al. 2021 (GradCache); here through `torch.utils.checkpoint`, so it goes
    with every objective.
    """

    def __init__(self, encoder: nn.Module, rows: int) -> None:
        super().__init__()
        self.encoder, self.rows = encoder, rows

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    def forward(self, batch: TokenBatch) -> Tensor:
        """As the encoder's own: rows of tokens -> (B, D)."""
        starts = range(0, len(batch), self.rows)
        parts = [batch.rows(start, min(start + self.rows, len(batch))) for start in starts]
        if not torch.is_grad_enabled():
            return torch.cat([self.encoder(part) for part in parts])
        return torch.cat([checkpoint(self.encoder, part, use_reentrant=False) for part in parts])
