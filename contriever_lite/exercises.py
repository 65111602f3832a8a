"""What the checks of all exercises share: reading an answer of any kind, and knowing a slip.

A check answers in a sentence, whatever it is given: `in_words` makes one of `Unfit`. Only what a
reader's own function raises stays an error, shown where it arose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

NOTHING = "Not yet: the function returns nothing."
Asked = ParamSpec("Asked")
Slip = TypeVar("Slip")


class Unfit(Exception):
    """An answer that is not of the kind asked for; the message is the verdict."""


def in_words(check: Callable[Asked, str]) -> Callable[Asked, str]:
    """The same check, which returns the message of `Unfit` where it would raise it."""

    @wraps(check)
    def verdict(*args: Asked.args, **kwargs: Asked.kwargs) -> str:
        try:
            return check(*args, **kwargs)
        except Unfit as unfit:
            return str(unfit)

    return verdict


def number(answer: Any) -> float:
    """A reader's number as Python's own: from NumPy, a tensor, or an array or list of one."""
    if answer is None:
        raise Unfit(NOTHING)
    return _real(answer)


def numbers(answer: Any) -> list[float]:
    """A reader's numbers, each as `number` reads it."""
    return [_real(part) for part in listed(answer)]


def _real(answer: Any) -> float:
    found = answer[0] if isinstance(answer, (list, tuple)) and len(answer) == 1 else answer
    with suppress(AttributeError, RuntimeError, ValueError):
        found = found.item()
    if not isinstance(found, Real):
        raise Unfit(f"Not yet: {in_brief(answer)} is not one number. Return a number, such as 0.5.")
    return found if isinstance(found, int) else float(found)


def listed(answer: Any) -> list:
    """The parts of a reader's list, tuple, set, array, tensor or generator."""
    if answer is None:
        raise Unfit(NOTHING)
    single = isinstance(answer, (str, bytes)) or getattr(answer, "ndim", 1) == 0
    if single or not isinstance(answer, Iterable):
        raise Unfit(f"Not yet: {in_brief(answer)} is not a list. Return a list or a tuple.")
    return list(answer)


def tensor(answer: Any, dtype: torch.dtype) -> Tensor:
    """A reader's tensor, array or lists of numbers, in this dtype and without a graph."""
    if answer is None:
        raise Unfit(NOTHING)
    try:
        return torch.as_tensor(answer, dtype=dtype).detach()
    except (TypeError, ValueError, RuntimeError):
        wanted = "Give a tensor, an array, or lists of numbers of one length."
        raise Unfit(f"Not yet: {in_brief(answer)} is no table of numbers. {wanted}") from None


def entry(answers: Any, name: str, missing: str) -> float:
    """The number under `name` in a reader's dict; `missing` is the verdict where there is none."""
    if not isinstance(answers, Mapping):
        wanted = "Keep the dict of the cell above, and fill in its numbers."
        raise Unfit(f"Not yet: {in_brief(answers)} is not a dict. {wanted}")
    if answers.get(name) is None:
        raise Unfit(missing)
    return number(answers[name])


def hint(slips: Mapping[str, Slip], is_near: Callable[[Slip], bool]) -> str:
    """The words of the first slip that the reader's answer is near to, or nothing."""
    return next((words for words, slip in slips.items() if is_near(slip)), "")


def first_apart(found: Tensor, right: Tensor) -> str:
    """Where two tensors of one shape first differ, and what stands there."""
    place = tuple((~torch.isclose(found, right, atol=1e-6)).nonzero()[0].tolist())
    return f"at {list(place)} it is {found[place]:.6g}, should be {right[place]:.6g}"


def in_brief(answer: Any) -> str:
    """An answer in one short line."""
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
