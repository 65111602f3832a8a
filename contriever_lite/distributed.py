"""Gathering across processes, with the gradient of the whole batch; the identity on one process.

The rule: `DistributedDataParallel` averages gradients over the processes. If the mean of the
processes' losses is the loss of the whole batch (each has its own queries' part, or each the whole)
and the gradient of a gathered tensor is summed over the processes, then that average is the
gradient of the whole batch, exactly.
"""

import torch
import torch.distributed as dist
from torch import Tensor


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)  # autograd keeps its own
        dist.all_reduce(gradient)
        return gradient[rank()]


def gather(x: Tensor, views: int = 1) -> Tensor:
    """The rows of all processes, in the order of a single process's batch.

    x: (M B, ...) rows of this process, view after view; views: M. Returns (M B W, ...) for W
    processes that hold equally many rows, with gradient where x has one.
    """
    if world() == 1:
        return x
    parts = _Gather.apply(x).unflatten(1, (views, -1))  # (W, M, B, ...)
    return parts.transpose(0, 1).flatten(0, 2)


def others(x: Tensor) -> Tensor:
    """The rows (B, ...) of all other processes, with gradient where x has one; none on one."""
    if world() == 1:
        return x[:0]
    parts = _Gather.apply(x)
    return torch.cat([parts[: rank()], parts[rank() + 1 :]]).flatten(0, 1)
