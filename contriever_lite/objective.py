"""Objectives: where the negatives come from. One interface, `loss(query, key)` then `after_step()`.

An objective holds what training needs beside the encoder (nothing for in-batch negatives); the
mathematics is in loss.py.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from contriever_lite.batch import TokenBatch, concatenate
from contriever_lite.loss import accuracy


class InBatch(nn.Module):
    """Every other document's key is a negative: B pairs give each query B - 1 negatives.

    loss_function(q, k) -> scalar, for q and k (B, D): for example `info_nce` with its temperature
    bound by functools.partial. Both views go through the same encoder, in one forward.
    """

    def __init__(
        self, encoder: nn.Module, loss_function: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.loss_function = loss_function

    def forward(
        self, query: TokenBatch, key: TokenBatch, measure: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, {"accuracy": share of queries whose own key scores highest}, if measure)."""
        q, k = self.encoder(concatenate(query, key)).split([len(query), len(key)])
        loss = self.loss_function(q, k)
        with torch.no_grad():
            return loss, {"accuracy": accuracy(q, k)} if measure else {}

    loss = forward

    def after_step(self) -> None:
        """Called once after each optimizer step; nothing to do without a queue or slow encoder."""
