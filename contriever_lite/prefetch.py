"""The next batches are drawn while the device works on this one."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from types import TracebackType
from typing import TypeVar

import torch
from torch import Tensor

Batch = TypeVar("Batch")  # a Tensor, or a dataclass of them
DEPTH = 2  # batches ready, or being drawn


class Prefetch:
    """Iterate over (step, draw(step)), each drawn by a background thread, at most DEPTH ahead.

    draw must be a pure function of the step, so what comes out is what would without a thread. On a
    GPU the batch is copied from pinned memory, without waiting. An error in `draw` comes up where
    its batch is asked for. Use it in a `with` block: its end waits for the batch that is being
    drawn, and no thread stays behind.
    """

    def __init__(
        self, draw: Callable[[int], Batch], steps: Sequence[int], device: torch.device
    ) -> None:
        self.draw, self.steps, self.device = draw, steps, device
        self._thread = ThreadPoolExecutor(1, "prefetch")

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        ahead: deque[Future] = deque()
        for place, step in enumerate(self.steps):
            for later in self.steps[place + len(ahead) : place + DEPTH]:
                ahead.append(self._thread.submit(self._drawn, later))
            batch = ahead.popleft().result()
            yield step, each(batch, lambda x: x.to(self.device, non_blocking=True))

    def _drawn(self, step: int) -> Batch:
        batch = self.draw(step)
        return each(batch, Tensor.pin_memory) if self.device.type == "cuda" else batch


def each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """The same batch, every tensor of it changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    return type(batch)(*(each(getattr(batch, field.name), change) for field in fields(batch)))
