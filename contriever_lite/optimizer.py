"""The optimizer of a run: which one, how fast it moves at each step, how long a gradient may be."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from contriever_lite.config import TrainConfig
from contriever_lite.table_adam import TableAdam

EPSILON = 1e-6  # AdamW's, as in the reference code


def new_optimizer(config: TrainConfig, objective: nn.Module) -> Optimizer:
    """TableAdam for the bag; PyTorch's fused AdamW for a transformer.

    config.weight_decay falls on matrices alone. Biases and the weights of LayerNorm, which have one
    dimension, are left out, as is usual; the reference code decays them too (src/utils.py, lines
    124-126), and so differs.
    """
    learnt = [p for p in objective.parameters() if p.requires_grad]
    if config.encoder == "bag":
        return TableAdam(learnt, lr=config.learning_rate, betas=config.betas)
    groups = [
        {"params": [p for p in learnt if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learnt if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, eps=EPSILON, fused=True
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine or a straight line, for step = 0, 1, ..., steps - 1.

        w = ceil(warmup * steps)
        lr(step) = peak (step + 1) / w                                      if step < w
                   peak (1 + cos(pi (step - w) / (steps - w))) / 2          if rate is "cosine"
                   peak (steps - step) / (steps - w)                        if rate is "linear"

    peak: config.learning_rate. The cosine is Loshchilov and Hutter's (2017), without restarts; the
    line to zero is the reference's (src/utils.py, lines 98-105).
    """
    w = math.ceil(config.warmup * config.steps)
    if step < w:
        return config.learning_rate * (step + 1) / w
    if config.rate == "linear":
        return config.learning_rate * (config.steps - step) / (config.steps - w)
    return config.learning_rate * (1 + math.cos(math.pi * (step - w) / (config.steps - w))) / 2


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Scale all gradients, sparse ones too, so that together they are no longer than `most`.

        g <- g min(1, most / (|g| + 1e-6)),   |g| over all gradients at once

    Returns |g| as it was. The formula is torch.nn.utils.clip_grad_norm_'s, which takes no sparse
    gradients.
    """
    values = list(_values(parameters))
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in values]))
    torch._foreach_mul_(values, (most / (norm + 1e-6)).clamp(max=1.0))
    return norm


def _values(parameters: Iterable[nn.Parameter]) -> Iterator[Tensor]:
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            yield parameter.grad._values()
        elif parameter.grad is not None:
            yield parameter.grad
