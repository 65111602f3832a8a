"""Checks for the exercises of chapter 10: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable
from math import isclose

import torch

from contriever_lite.exercises import hint, in_words, number, numbers

GIB = 2**30
PAPER = (1.024e9, 65, 85e6, 989, 0.4)
BITS = {torch.bfloat16: 7, torch.float16: 10, torch.float32: 23}


@in_words
def check_hours(function: Callable[[float, float, float, float, float], float]) -> str:
    """A reader's hours of a MoCo run, called as function(pairs, tokens, parameters, peak, share):
    tokens of one view, 10^12 operations a second at the peak."""
    for case in (PAPER, (768_000, 65, 85e6, 65, 0.25), (1e6, 100, 1e7, 312, 0.1)):
        value, right = number(function(*case)), _hours(*case)
        if not isclose(value, right, rel_tol=0.01):
            found = f"{value:.3g} hours, and it should be {right:.3g}."
            return f"Not yet: {found} {_hours_hint(value, *case)}".rstrip()
    return f"Right: the paper's run takes one H100 at 40 % of its peak {_hours(*PAPER):.0f} hours."


def _hours(
    pairs: float, tokens: float, parameters: float, peak: float, share: float, passes: float = 4
) -> float:
    return pairs * tokens * passes * 2 * parameters / (peak * 1e12 * share) / 3600


def _hours_hint(value: float, *case: float) -> str:
    right = _hours(*case)
    slips = {
        "Half: is a parameter's multiplication and addition, or the backward pass, missing?": (
            right / 2
        ),
        "The keys get no gradient: one forward for them, three for the queries.": right * 6 / 4,
        "Keys are encoded too: one more forward.": right * 3 / 4,
        "That is seconds.": right * 3600,
        "That is minutes.": right * 60,
        "No GPU reaches its peak: divide by the share, too.": right * case[-1],
    }
    return hint(slips, lambda slip: isclose(value, slip, rel_tol=1e-3))


@in_words
def check_scale(function: Callable[[float, int, bool], tuple[float, int]]) -> str:
    """A reader's dynamic loss scale, called as function(scale, good, finite) -> (scale, good),
    beside PyTorch's GradScaler with growth_interval=3."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=3)
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.0)
    scale, good = 2.0**16, 0
    for step, finite in enumerate(map(bool, (1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1)), 1):
        factor = 1.0 if finite else float("inf")
        scaler.scale(weight.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        answer = numbers(function(scale, good, finite))
        if len(answer) != 2:
            return f"Not yet: two numbers, the scale and the good steps, not {len(answer)}."
        scale, good = answer
        if scale != scaler.get_scale():
            return (
                f"Not yet: after step {step} ({'finite' if finite else 'infinite'} gradients) "
                f"the scale is {scale:g}, and GradScaler's {scaler.get_scale():g}. "
                "Halve it and count anew at infinity; double it and count anew after three good "
                "steps in a row."
            )
    return "Right: fifteen steps, and the scale is GradScaler's after each."


@in_words
def check_momentum(function: Callable[[int], float]) -> str:
    """A reader's largest momentum that still moves a weight of 1 towards 1.5, called as
    function(bits of the mantissa)."""
    for dtype, bits in BITS.items():
        value = number(function(bits))
        name = str(dtype).removeprefix("torch.")
        gap = 1 - value
        if not 0 < gap < 1:
            return f"Not yet: a momentum of {value} for {name}; it must be between 0 and 1."
        if not _moves(dtype, 1 - 1.1 * gap):
            return f"Not yet: {name}: at a momentum just below {value:.7f} the weight stands still."
        if _moves(dtype, 1 - 0.9 * gap):
            return f"Not yet: {name}: at a momentum just above {value:.7f} the weight still moves."
    return "Right: 1 - 2^-7 in bf16, 1 - 2^-10 in fp16, 1 - 2^-23 in float32."


def _moves(dtype: torch.dtype, momentum: float) -> bool:
    step = (1 - torch.tensor(momentum, dtype=torch.float64)) * 0.5
    return bool((torch.tensor(1.0, dtype=dtype) + step.to(dtype)) != 1)


@in_words
def check_batch(function: Callable[[float, float, int, int, int, int], int]) -> str:
    """A reader's largest batch of MoCo on a GPU, a power of two, called as function(gib,
    parameters, dimension, layers, tokens, queue); tokens of one view, encoder in 16 bits."""
    cases = (
        (14.56, 108.9e6, 768, 12, 65, 16_384),
        (79.2, 108.9e6, 768, 12, 65, 131_072),
        (22.2, 33.5e6, 512, 6, 65, 32_768),
        (31.7, 335e6, 1024, 24, 65, 4_194_304),
        (14.56, 108.9e6, 768, 12, 129, 1_048_576),
        (14.56, 2.5e6, 128, 2, 33, 4096),
    )
    found = []
    for case in cases:
        value, right = number(function(*case)), _largest(*case)
        if value != right:
            one, two = (_needed(batch, *case[1:]) / GIB for batch in (value, 2 * value))
            return (
                f"Not yet: {value} on {case[0]} GiB takes {one:.1f}, twice that batch {two:.1f}, "
                f"and nine tenths are {0.9 * case[0]:.1f}: {right} is the largest power of two. "
                "Four bytes a parameter each for weights, gradients and slow encoder, eight for "
                "the optimizer; activations of queries alone; the queue; 12 bytes a score."
            )
        found.append(f"{right} on {case[0]} GiB")
    return f"Right: {', '.join(found[:3])}."


def _needed(
    batch: float, parameters: float, dimension: int, layers: int, tokens: int, queue: int
) -> float:
    activations = batch * tokens * layers * 20 * dimension * 2
    scores = 12 * batch * (batch + queue)
    return 20 * parameters + queue * (4 * dimension + 16) + activations + scores


def _largest(gib: float, *sizes: float) -> int:
    batch = 1
    while _needed(2 * batch, *sizes) <= 0.9 * gib * GIB:
        batch *= 2
    return batch
