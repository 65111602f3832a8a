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
    with every objective. Not for layers that look across rows, such as batch normalisation.
    """

    def __init__(self, encoder: nn.Module, rows: int) -> None:
        super().__init__()
        self.encoder, self.rows = encoder, rows

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    def forward(self, batch: TokenBatch) -> Tensor:
        """As the encoder's own: rows of tokens -> (B, D)."""
        encode = self._again_later if torch.is_grad_enabled() else self.encoder
        return torch.cat([encode(part) for part in batch.parts(self.rows)])

    def _again_later(self, part: TokenBatch) -> Tensor:
        """Tensors are handed over one by one: `checkpoint` looks at them for the device whose
        generator it must replay."""
        return checkpoint(self._encode, part.tokens, part.lengths, use_reentrant=False)

    def _encode(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.encoder(TokenBatch(tokens, lengths))
