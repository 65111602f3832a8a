"""A slow copy of an encoder: the exponential moving average of its weights."""

import copy
import math

import torch
from torch import nn


def slow_copy(encoder: nn.Module) -> nn.Module:
    """A copy in float32 that no optimizer touches. In bfloat16 a momentum of .9995 would round
    every step away: near 1 its numbers are .004 apart."""
    return copy.deepcopy(encoder).float().requires_grad_(False)


@torch.no_grad()
def ema_update(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Move every weight of `slow` a little towards `fast`, in place.

        theta_slow <- m theta_slow + (1 - m) theta_fast

    m = momentum in [0, 1]: 0 copies, 1 freezes. After n steps towards a fast encoder that stands
    still, the distance has shrunk by m^n; 1 / (1 - m) steps is the time constant. Buffers are
    copied. Source: He et al. 2020, equation 2; the paper's m is .9995 (A.1).
    """
    ours, theirs = list(slow.parameters()), [p.to(torch.float32) for p in fast.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - momentum)
    for mine, other in zip(slow.buffers(), fast.buffers(), strict=True):
        mine.copy_(other)


def cosine_momentum(step: int, steps: int, start: float) -> float:
    """A momentum that grows to 1, so that the slow encoder settles.

        m(step) = 1 - (1 - start) (1 + cos(pi step / steps)) / 2

    Grill et al. 2020 (BYOL). The paper keeps its momentum constant.
    """
    return 1 - (1 - start) * (1 + math.cos(math.pi * min(step / max(steps, 1), 1))) / 2


@torch.no_grad()
def drift(slow: nn.Module, fast: nn.Module) -> float:
    """The distance between slow and fast weights, as a fraction of the fast ones' norm.

        d = |theta_slow - theta_fast| / |theta_fast|

    Over all weights at once; 0 where they agree.
    """
    pairs = list(zip(slow.parameters(), fast.parameters(), strict=True))
    apart = sum((s.float() - f.float()).square().sum().item() for s, f in pairs)
    return math.sqrt(apart / sum(f.float().square().sum().item() for _, f in pairs))
