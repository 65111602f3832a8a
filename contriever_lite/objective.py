"""Objectives: where the negatives come from. One interface, `loss(pairs)` then `after_step()`.

An objective holds what training needs beside the encoder: nothing, a queue, a slow encoder. The
mathematics is in loss.py. `loss` may be called for several micro-batches of a step; `after_step` is
called once, after the optimizer's. In evaluation mode neither changes anything.

With several processes each gets its part of the pairs; the gradient is the whole batch's
(distributed.py).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from contriever_lite.batch import PairBatch
from contriever_lite.diagnostics import accuracy, deviation, mean_rank
from contriever_lite.distributed import gather, others
from contriever_lite.ema import ema_update, slow_copy
from contriever_lite.key_queue import KeyQueue
from contriever_lite.loss import same_text

Loss = Callable[..., Tensor]  # (q, k, negatives, ignore=...) -> scalar: a Criterion, or a function
Result = tuple[Tensor, dict[str, Tensor]]  # the loss, and what was measured


class InBatch(nn.Module):
    """Every other document's key is a negative: B pairs give each query B - 1 negatives.

    criterion(q, k, negatives, ignore=...) -> scalar, for q (M B, D) and k (B, D): a
    `criterion.Criterion`, or a function of loss.py. Both views go through the same encoder, in one
    forward, and both receive gradient. skip_same_text: a document of the same text is no negative.
    """

    def __init__(
        self, encoder: nn.Module, criterion: Loss, *, skip_same_text: bool = False
    ) -> None:
        super().__init__()
        self.encoder, self.criterion = encoder, criterion
        self.skip_same_text = skip_same_text

    def forward(self, pairs: PairBatch, measure: bool = True) -> Result:
        """(loss, {"accuracy", "mean_rank", "deviation"} of diagnostics.py, if measure)."""
        q, k = self.encoder(pairs.both).split([len(pairs.query), len(pairs)])
        q, k, documents = gather(q, pairs.views), gather(k), gather(pairs.documents)
        twins = same_text(documents).repeat(pairs.views, 1) if self.skip_same_text else None
        loss = self.criterion(q, k, None, ignore=twins)
        return loss, _measures(q, k, None, twins) if measure else {}

    loss = forward

    def after_step(self) -> None:
        """Nothing: no queue to fill, no slow encoder to move."""


class Queue(nn.Module):
    """Keys of past batches are the negatives; the encoder that made them has moved on since.

    The gradient flows through the queries, and through the batch's keys too if key_gradient.
    batch_negatives: the other keys of the batch are negatives as well; the reference code uses the
    queue alone. Both together are XBM (Wang et al. 2020). key_dropout: whether dropout stays on
    where keys are encoded; in the reference code it does (src/moco.py, line 113). The queue takes
    the step's keys in `after_step`: without batch_negatives the first step has no negative at all.
    """

    def __init__(
        self,
        encoder: nn.Module,
        criterion: Loss,
        queue: KeyQueue,
        *,
        batch_negatives: bool = False,
        key_gradient: bool = False,
        key_dropout: bool = True,
        skip_same_text: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.criterion, self.queue = encoder, criterion, queue
        self.batch_negatives, self.key_gradient = batch_negatives, key_gradient
        self.key_dropout, self.skip_same_text = key_dropout, skip_same_text
        self._fresh: list[tuple[Tensor, Tensor]] = []

    @property
    def key_encoder(self) -> nn.Module:
        """What encodes the keys: here, the encoder itself."""
        return self.encoder

    def encode(self, pairs: PairBatch) -> tuple[Tensor, Tensor]:
        """(q, k), with gradient through q, and through k if key_gradient."""
        if self.key_gradient:
            return self.encoder(pairs.both).split([len(pairs.query), len(pairs)])
        q = self.encoder(pairs.query)
        quiet = nullcontext() if self.key_dropout else _without_dropout(self.key_encoder)
        with torch.no_grad(), quiet:
            return q, self.key_encoder(pairs.key)

    def forward(self, pairs: PairBatch, measure: bool = True) -> Result:
        """(loss, {"accuracy", "mean_rank", "deviation"} of diagnostics.py, if measure)."""
        q, k = self.encode(pairs)
        negatives, numbers = self.queue.negatives()
        if self.batch_negatives:
            negatives = torch.cat([others(k), negatives])
            numbers = torch.cat([others(pairs.documents), numbers])
        ignore = self._ignore(pairs.documents, numbers).repeat(pairs.views, 1)
        loss = self.criterion(q, k, negatives, ignore=ignore)
        if self.training:
            self._fresh.append((k.detach(), pairs.documents))
        return loss, _measures(q, k, negatives, ignore) if measure else {}

    loss = forward

    def _ignore(self, documents: Tensor, numbers: Tensor) -> Tensor:
        """(B, B + K): True where a key is no negative of a query (a positive always counts)."""
        twins = same_text(documents, numbers)
        ignore = twins if self.skip_same_text else torch.zeros_like(twins)
        ignore[:, : len(documents)] |= not self.batch_negatives
        return ignore

    @torch.no_grad()
    def after_step(self) -> None:
        """Push the keys of the step at once, those of all processes in the same order on each."""
        if self.training and self._fresh:
            k, documents = map(torch.cat, zip(*self._fresh, strict=True))
            self.queue.push(gather(k), gather(documents))
            self._fresh.clear()


class MoCo(Queue):
    """A queue whose keys come from a slow copy of the encoder, so that old keys stay comparable.

    momentum: m of ema.ema_update, or a function of the number of updates so far; the rest as for
    Queue. The slow encoder moves in `after_step`, after the optimizer's step: the numbers are those
    of He et al. 2020 and of the reference code, which move it at the start of the next forward.
    """

    def __init__(
        self,
        encoder: nn.Module,
        criterion: Loss,
        queue: KeyQueue,
        momentum: float | Callable[[int], float] = 0.9995,
        *,
        batch_negatives: bool = False,
        key_dropout: bool = True,
        skip_same_text: bool = False,
    ) -> None:
        settings = {"batch_negatives": batch_negatives, "skip_same_text": skip_same_text}
        super().__init__(encoder, criterion, queue, key_dropout=key_dropout, **settings)
        self.slow = slow_copy(encoder)
        self.momentum = momentum
        self.updates = 0

    @property
    def key_encoder(self) -> nn.Module:
        """What encodes the keys: the slow copy."""
        return self.slow

    def after_step(self) -> None:
        """Push the keys of the step, then move the slow encoder."""
        super().after_step()
        if self.training:
            m = self.momentum(self.updates) if callable(self.momentum) else self.momentum
            ema_update(self.slow, self.encoder, m)
            self.updates += 1

    def get_extra_state(self) -> Tensor:
        """The number of updates, for the state_dict."""
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        """The number of updates, from the state_dict."""
        self.updates = int(state)


@contextmanager
def _without_dropout(encoder: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@torch.no_grad()
def _measures(
    q: Tensor, k: Tensor, negatives: Tensor | None, ignore: Tensor | None
) -> dict[str, Tensor]:
    """Of this process's queries; deviation of all, which rows that come twice do not change."""
    return {
        "accuracy": accuracy(q, k, negatives, ignore),
        "mean_rank": mean_rank(q, k, negatives, ignore),
        "deviation": deviation(gather(q)),
    }
