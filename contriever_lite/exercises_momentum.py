"""Checks for the exercises of chapter 07: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, isclose, log

import torch
from torch import Tensor

from contriever_lite.exercises import first_apart, hint, in_words, number, numbers


@in_words
def check_steps(function: Callable[[float, float], float]) -> str:
    """A reader's steps until a share of the way is covered, called as function(m, share)."""
    for m, share in ((0.9, 0.5), (0.9995, 0.9), (0.99, 1 - exp(-1))):
        value, right = number(function(m, share)), log(1 - share) / log(m)
        if not isclose(value, right, rel_tol=1e-4):
            slips = {
                "What is left after n steps is 1 - share, not share.": log(share) / log(m),
                "Divide by log m, which is negative too.": -right,
                "Take logarithms to one base.": log(1 - share, 10) / log(m),
                "1 / (1 - m) is for the share 1 - 1/e only.": 1 / (1 - m),
                "Do not round.": round(right),
            }
            found = (
                f"for m = {m:g} and share {share:.2f} it gives {value:.2f}, should be {right:.2f}."
            )
            return f"Not yet: {found} {_hint(slips, value)}".rstrip()
    return "Right: and for the share 1 - 1/e it is 1 / (1 - m), nearly."


@in_words
def check_largest(function: Callable[[int, float], float]) -> str:
    """A reader's largest momentum that leaves a share of the start, called as function(steps,
    left)."""
    for steps, left in ((300, 0.1), (10, 0.5), (500_000, 0.1)):
        value, right = number(function(steps, left)), left ** (1 / steps)
        if not isclose(value, right, rel_tol=1e-7):
            slips = {
                "The share that is left is m to the power of steps: take the root.": left**steps,
                "left is what may remain of the start, not what was covered.": (
                    (1 - left) ** (1 / steps)
                ),
                "1 - 1 / steps leaves 1/e of the start.": 1 - 1 / steps,
                "That is 1 - m.": 1 - right,
            }
            found = (
                f"{steps} steps of m = {value:.6g} leave {_power(value, steps):.3g}, not {left:g}."
            )
            return f"Not yet: {found} {_hint(slips, value)}".rstrip()
    return "Right: in three runs, m to the power of the steps is what may be left."


def _power(m: float, steps: int) -> float:
    return m**steps if abs(m) <= 1 else float("inf")


@in_words
def check_in_place(function: Callable[[list[Tensor], list[Tensor], float], None]) -> str:
    """A reader's update in place, called as function(slow, fast, m); what it returns is ignored."""
    draw = torch.Generator().manual_seed(0)
    slow, fast = ([torch.randn(3, 2, generator=draw), torch.randn(4, generator=draw)] for _ in "ab")
    before, leader = [x.clone() for x in slow], [x.clone() for x in fast]
    held, ends, places = list(slow), list(fast), [x.data_ptr() for x in slow]
    function(slow, fast, 0.8)
    if not _same(fast, ends) or not all(map(torch.equal, fast, leader)):
        return "Not yet: fast has changed; it leads, and only slow may move."
    if not _same(slow, held):
        return "Not yet: the list holds new tensors; change the ones that are in it."
    if [x.data_ptr() for x in slow] != places or [x.shape for x in slow] != [x.shape for x in fast]:
        return "Not yet: the values lie in new memory; lerp_, mul_ and add_ work in place."
    if all(map(torch.equal, slow, before)):
        return "Not yet: slow has not moved."
    right = [0.8 * a + 0.2 * b for a, b in zip(before, leader, strict=True)]
    if _close(slow, right):
        return "Right: moved as the formula says, in the memory where they were."
    if _close(slow, [0.2 * a + 0.8 * b for a, b in zip(before, leader, strict=True)]):
        return "Not yet: m is the share that stays; the share to move is 1 - m."
    i = next(i for i in range(2) if not torch.allclose(slow[i], right[i], atol=1e-6))
    formula = "a slow weight must become m times itself plus 1 - m times the fast one"
    return f"Not yet: {formula}; in tensor {i}, {first_apart(slow[i], right[i])}."


def _same(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return list(map(id, tensors)) == list(map(id, others))


def _close(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(tensors, others, strict=True))


@in_words
def check_key_weights(function: Callable[[list[float], float], Sequence[float]]) -> str:
    """A reader's slow weights at the steps' key forwards, called as function(fast, m)."""
    fast = [1.0, 3.0, -2.0, 5.0, 4.0]
    for m in (0.9, 0.5, 0.0, 1.0):
        value = numbers(function(list(fast), m))
        right = _follow(fast[0], fast[1:-1], m)
        if len(value) != len(right):
            return (
                f"Not yet: {len(value)} numbers, and {len(fast)} weights make {len(right)} steps."
            )
        if not _near(value, right):
            slips = {
                "The keys of a step come before the slow encoder follows.": (
                    _follow(fast[0], fast[1:], m)[1:]
                ),
                "The step's keys come after the following of the step before.": (
                    [fast[0], *_follow(fast[0], fast[1:-2], m)]
                ),
                "m is the share that stays.": _follow(fast[0], fast[1:-1], 1 - m),
            }
            wrong = ", ".join(f"{x:.3g}" for x in value)
            should = ", ".join(f"{x:.3g}" for x in right)
            slip = hint(slips, lambda s, v=value: _near(v, s))
            return f"Not yet: at m = {m:g} it gives {wrong}; should be {should}. {slip}".rstrip()
    return "Right: at m = 0 the keys' weights are the queries' own, at m = 1 those of the start."


def _follow(start: float, leaders: Sequence[float], m: float) -> list[float]:
    slow = [start]
    for weight in leaders:
        slow.append(m * slow[-1] + (1 - m) * weight)
    return slow


def _near(value: Sequence[float], other: Sequence[float]) -> bool:
    return len(value) == len(other) and all(
        isclose(a, b, abs_tol=1e-6) for a, b in zip(value, other, strict=True)
    )


@in_words
def check_half(function: Callable[[float], float]) -> str:
    """A reader's bound on the momentum that bfloat16 can follow with, called as
    function(distance)."""
    for distance in (0.5, 0.125, 2.0):
        value, right = number(function(distance)), 1 - 2**-8 / distance
        assert _moves(distance, right - 1e-4)
        assert not _moves(distance, right + 1e-4)
        if not isclose(value, right, abs_tol=1e-6):
            slips = {
                "A step of half the spacing is enough to be rounded up.": 1 - 2**-7 / distance,
                "The step is (1 - m) times the distance: divide by it.": 1 - 2**-8,
                "That is 1 - m.": 2**-8 / distance,
                "Multiply 1 - m by the distance, not divide.": 1 - 2**-8 * distance,
            }
            moves = "moves" if 0 <= value <= 1 and _moves(distance, value - 1e-4) else "stays"
            found = f"at distance {distance:g} and just below m = {value:.5f} the weight {moves}."
            return f"Not yet: {found} {_hint(slips, value)}".rstrip()
    return "Right: just below the bound bfloat16 moves, just above it stays, at three distances."


def _moves(distance: float, m: float) -> bool:
    slow, fast = torch.tensor([1.0, 1.0 + distance], dtype=torch.bfloat16)
    return bool(slow.lerp(fast, 1 - m) != 1)


def _hint(slips: dict[str, float], value: float) -> str:
    return hint(slips, lambda slip: isclose(value, slip, rel_tol=1e-6))
