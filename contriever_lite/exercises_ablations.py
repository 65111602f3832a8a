"""Checks for the exercises of chapter 12: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import isclose, sqrt
from typing import Any

from contriever_lite.config import TrainConfig
from contriever_lite.exercises import NOTHING, hint, in_brief, in_words, listed, number
from contriever_lite.sweep import T

WORDS = ("better", "worse", "no difference that matters", "cannot tell")
SMALL = TrainConfig(vocab_size=16_000, dimension=256, batch_size=256, steps=300, learning_rate=0.01)
LARGE = SMALL.replace(batch_size=1024)
MOCO = SMALL.replace(objective="moco", queue_size=1023)


@in_words
def check_reading(function: Callable[[float, float, float], str]) -> str:
    """A reader's reading of an interval, called as function(low, high, margin)."""
    cases = (
        (0.002, 0.011, 0.01, 0, "All of it is above 0."),
        (-0.011, -0.002, 0.01, 1, "All of it is below 0."),
        (-0.004, 0.006, 0.01, 2, "It lies within the margin on both sides of 0."),
        (-0.004, 0.016, 0.01, 3, "It holds 0, and also gains that would matter."),
        (-0.016, 0.004, 0.01, 3, "It holds 0, and also losses that would matter."),
        (-0.001, 0.012, 0.01, 3, "The width is less than two margins, and the gain may be more."),
        (-0.004, 0.006, 0.005, 3, "The margin is now .005, and the interval leaves it."),
        (0.001, 0.003, 0.01, 0, "Small, but sure: the margin is asked only where 0 is inside."),
    )
    for low, high, margin, right, reason in cases:
        answer = function(low, high, margin)
        if answer is None:
            return NOTHING
        if not isinstance(answer, str) or answer not in WORDS:
            return f"Not yet: {in_brief(answer)} is none of {', '.join(map(repr, WORDS))}."
        if answer != WORDS[right]:
            asked = f"[{low:+.3f}, {high:+.3f}] with margin {margin:g} is {WORDS[right]!r}"
            return f"Not yet: {asked}, not {answer!r}. {reason}"
    return "Right: eight intervals, and 'cannot tell' is kept apart from 'no difference'."


@in_words
def check_audit(function: Callable[[TrainConfig, TrainConfig], set[str]]) -> str:
    """A reader's list of what else differs between two settings, called as function(a, b)."""
    cases = {
        "temperature .05 and .1": (SMALL, SMALL.replace(temperature=0.1)),
        "batch 256 and 1,024 at equal steps": (SMALL, LARGE),
        "batch 256 and 1,024 at equal text": (SMALL, LARGE.replace(steps=75, learning_rate=0.02)),
        "batch 1,024 in-batch and MoCo, 1,023 keys": (LARGE, MOCO),
        "in-batch and MoCo, both of batch 256": (SMALL, MOCO),
        "in-batch at rate .01 and a queue at rate .1": (
            SMALL.replace(batch_size=64),
            SMALL.replace(batch_size=64, objective="queue", learning_rate=0.1),
        ),
    }
    for case, (a, b) in cases.items():
        answer, right = set(map(str, listed(function(a, b)))), _audit(a, b)
        if answer != right:
            found = f"for {case} it finds {_listed(answer)}; what differs is {_listed(right)}."
            return f"Not yet: {found} {_audit_hint(answer ^ right)}".rstrip()
    return "Right: six comparisons, of which one varies nothing else."


def _budget(config: TrainConfig) -> dict[str, float]:
    in_batch = config.objective == "in_batch"
    return {
        "negatives": config.batch_size - 1 if in_batch else config.queue_size,
        "pairs": config.batch_size * config.steps,
        "updates": config.steps,
        "learning rate": config.learning_rate,
    }


def _audit(a: TrainConfig, b: TrainConfig) -> set[str]:
    ours, theirs = _budget(a), _budget(b)
    return {name for name in ours if ours[name] != theirs[name]}


def _audit_hint(wrong: set[str]) -> str:
    hints = {
        "negatives": "A batch of B has B - 1 negatives, a queue as many as it has keys.",
        "pairs": "Pairs seen are batch_size times steps.",
        "updates": "Updates are steps.",
    }
    return next((hint for name, hint in hints.items() if name in wrong), "")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


@in_words
def check_equal_text(function: Callable[[TrainConfig, int], TrainConfig]) -> str:
    """A reader's setting of another batch size that sees as much text, called as function(c, B)."""
    for base in (SMALL, SMALL.replace(batch_size=64, steps=800, learning_rate=0.004)):
        for batch in (16, 64, 1024):
            answer = function(_Lenient(**asdict(base)), batch)
            if answer is None:
                return NOTHING
            if not isinstance(answer, TrainConfig):
                return f"Not yet: {in_brief(answer)} is no TrainConfig. Return config.replace(...)."
            if fault := _unfair(base, batch, answer):
                return f"Not yet, from batch {base.batch_size} to {batch}: {fault}"
    return "Right: the same pairs, the rate by the square root, and all else untouched."


class _Lenient(TrainConfig):
    """A setting that takes NumPy's numbers too, and a whole number written as 300.0."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "learning_rate"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        super().__post_init__()

    def replace(self, **changes: Any) -> TrainConfig:
        plain = {name: _plain(value) for name, value in changes.items()}
        return _Lenient(**asdict(super().replace(**plain)))


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unfair(base: TrainConfig, batch: int, answer: TrainConfig) -> str:
    pairs, rate = base.batch_size * base.steps, base.learning_rate * sqrt(batch / base.batch_size)
    others = {
        name
        for name, value in asdict(answer).items()
        if value != asdict(base)[name] and name not in ("batch_size", "steps", "learning_rate")
    }
    if answer.batch_size != batch:
        return f"the batch size is {answer.batch_size}."
    if answer.batch_size * answer.steps != pairs:
        return f"it sees {answer.batch_size * answer.steps:,} pairs, the base {pairs:,}."
    if not isclose(answer.learning_rate, rate, rel_tol=1e-6):
        return f"the learning rate is {answer.learning_rate:g}, and should be {rate:g}."
    return f"{_listed(others)} changed as well." if others else ""


@in_words
def check_hidden_mean(function: Callable[[Sequence[float], float, int], float]) -> str:
    """A reader's mean of the columns not shown, called as function(shown, overall, total)."""
    crop = (27.6, 17.7, 35.6, 75.4, 21.0, 13.3, 64.5)
    found = []
    for columns, overall, total in (((1.0, 3.0), 4.0, 5), (crop, 32.2, 14), (crop, 33.0, 14)):
        value = number(function(columns, overall, total))
        right = (total * overall - sum(columns)) / (total - len(columns))
        if not isclose(value, right, abs_tol=1e-4):
            asked = f"with {columns} shown of {total} and a mean of {overall}"
            slip = _hidden_hint(value, columns, overall, total)
            rest = f"the others have the mean {right:.2f}, not {value:.2f}"
            return f"Not yet: {asked} {rest}. {slip}".rstrip()
        found.append(value)
    return (
        f"Right: {found[1]:.1f} in one table and {found[2]:.1f} in the other, for one model on one "
        "set of collections. Rounding moves either by a tenth."
    )


def _hidden_hint(value: float, columns: Sequence[float], overall: float, total: int) -> str:
    rest = total - len(columns)
    slips = {
        "That is the mean of those shown.": sum(columns) / len(columns),
        "The overall mean counts every column, also those shown.": (
            (rest * overall - sum(columns)) / rest
        ),
        "Divide by the number of columns not shown.": total * overall - sum(columns),
        "Take the mean of the columns, not of two means.": 2 * overall
        - sum(columns) / len(columns),
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-4))


@in_words
def check_seeds(function: Callable[[float, float], int]) -> str:
    """A reader's number of seeds that shows an effect, called as function(sd, effect)."""
    for sd, effect in ((0.003, 0.01), (0.003, 0.005), (0.003, 0.003), (0.001, 0.01)):
        value = number(function(sd, effect))
        halves = {n: T[n - 2] * sd / sqrt(n) for n in range(2, len(T) + 2)}
        right = next(n for n, half in halves.items() if half < effect)
        if value != right:
            asked = f"for sd {sd:g} and an effect of {effect:g} it gives {value}"
            needed = f"{right} seeds give a half width of {halves[right]:.4f}"
            fewer = f", {right - 1} give {halves[right - 1]:.4f}" if right > 2 else ""
            return f"Not yet: {asked}; {needed}{fewer}."
    return "Right: halving the effect asks for more than one seed more, and t makes two dear."
