"""Checks for the exercises of chapter 06: each answers "Right" or "Not yet", and says why."""

from collections.abc import Callable, Sequence
from math import exp, isclose, log

import numpy as np
import torch

from contriever_lite.exercises import hint, in_words, number, numbers
from contriever_lite.key_queue import KeyQueue
from contriever_lite.loss import info_nce


@in_words
def check_places(function: Callable[[int, int, int], Sequence[int]]) -> str:
    """A reader's places that push t writes, in order, called as function(t, batch, size)."""
    for t, batch, size in ((1, 3, 8), (3, 3, 8), (65, 64, 4096), (2, 5, 5), (7, 4, 6)):
        answer, right = numbers(function(t, batch, size)), _places(t, batch, size)
        if answer != right:
            found = f"push {t} of {batch} keys into {size} places: {_short(answer)}"
            slip = _places_hint(answer, t, batch, size)
            return f"Not yet: {found}; they are {_short(right)}. {slip}".rstrip()
    return "Right: the queue's own places, for five queues."


def _places(t: int, batch: int, size: int) -> list[int]:
    """What KeyQueue does: the places whose keys are those of push t, in the order of the keys."""
    queue = KeyQueue(size, 1)
    for push in range(1, t + 1):
        queue.push(torch.arange(batch)[:, None].float(), torch.full((batch,), push))
    mine = (queue.documents == t).nonzero()[:, 0]
    return mine[queue.keys[mine, 0].argsort()].tolist()


def _places_hint(answer: list[float], t: int, batch: int, size: int) -> str:
    start = (t - 1) * batch
    slips = {
        "Pushes are counted from 1, places from 0.": [(start + batch + i) % size
                                                     for i in range(batch)],
        "Where the end is reached, go on at place 0.": list(range(start, start + batch)),
        "In the order of the keys, please.": sorted(_places(t, batch, size)),
        "All places that this push writes, not the first alone.": [start % size],
    }  # fmt: skip
    return hint(slips, lambda slip: answer == slip)


def _short(places: Sequence[float]) -> str:
    """The first and the last place, or all of a few."""
    if len(places) < 8:
        return str(places)
    return f"{len(places)} places, {places[0]}, {places[1]}, ..., {places[-1]}"


@in_words
def check_history(function: Callable[[int, int], Sequence[float]]) -> str:
    """A reader's (oldest age, mean age) of a full queue, called as function(size, batch)."""
    for size, batch in ((12, 4), (4096, 64), (131_072, 2048)):
        answer, right = numbers(function(size, batch)), _history(size, batch)
        if len(answer) != 2:
            return f"Not yet: two numbers, the oldest age and the mean age, not {len(answer)}."
        if not all(isclose(a, b) for a, b in zip(answer, right, strict=True)):
            found = f"{size:,} keys, {batch:,} a push: {answer[0]:g} and {answer[1]:g}"
            slip = _history_hint(answer, right, size)
            return f"Not yet: {found}; measured {right[0]:g} and {right[1]:g}. {slip}".rstrip()
    return "Right: the paper's queue reaches 64 steps back, with keys 32.5 steps old on average."


def _history(size: int, batch: int) -> tuple[float, float]:
    queue = KeyQueue(size, 1)
    for _ in range(size // batch):
        queue.push(torch.zeros(batch, 1))
    ages = queue.ages().float()
    return ages.max().item(), ages.mean().item()


def _history_hint(answer: Sequence[float], right: Sequence[float], size: int) -> str:
    oldest, mean = right
    slips = {
        "Do not round the mean.": (oldest, mean // 1),
        "Ages begin at 1: the last push is one step old when it is read.": (oldest, oldest / 2),
        "The last push is 1 step old, not 0.": (oldest - 1, mean - 1),
        "Count steps, not keys.": (size, (size + 1) / 2),
        "First the oldest, then the mean.": (mean, oldest),
    }
    return hint(slips, lambda s: all(isclose(a, b) for a, b in zip(answer, s, strict=True)))


@in_words
def check_own_key(function: Callable[[int, int], float]) -> str:
    """A reader's probability that a query meets its own document's older key in a full queue,
    called as function(documents, size)."""
    for documents, size in ((1000, 250), (1000, 1000), (1000, 1500), (1000, 2000)):
        answer = number(function(documents, size))
        measured = _own_keys(documents, size)
        if not isclose(answer, measured, abs_tol=0.02):
            found = f"{documents:,} documents, {size:,} keys: {answer:.2f}, counted {measured:.2f}."
            return f"Not yet: {found} {_own_key_hint(answer, size / documents)}".rstrip()
    return "Right: within 0.02 of what 20 random orders give, for four queues."


def _own_keys(documents: int, size: int) -> float:
    """Two epochs, each a random order: how often the document lies at most `size` places back."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(20):
        before, now = (rng.permutation(documents) for _ in range(2))
        distance = documents + now - before
        shares.append((distance <= size).mean())
    return float(np.mean(shares))


def _own_key_hint(answer: float, x: float) -> str:
    slips = {
        "Beyond one epoch the triangle comes down again.": min(1.0, x * x / 2),
        "That holds if every place of the queue were an independent draw.": 1 - exp(-x),
        "Once an epoch: how long ago depends on where it stands now.": min(1.0, x),
        "Half of that: the distance is a triangle's, not a square's.": min(1.0, x * x),
    }
    return hint(slips, lambda slip: isclose(answer, slip, abs_tol=1e-3))


@in_words
def check_common(function: Callable[[float, float, float], float]) -> str:
    """A reader's loss of one query once all fresh keys' scores have risen by delta and those of the
    queue have not, called as function(p, delta, tau) with p the positive's share before."""
    for p, delta, tau in ((0.5, 0.1, 0.05), (0.01, 0.3, 0.05), (0.2, -0.1, 0.5)):
        answer, right = number(function(p, delta, tau)), _loss_with_common(p, delta, tau)
        if not isclose(answer, right, abs_tol=1e-4):
            found = f"p = {p:g}, delta = {delta:g}, tau = {tau:g}: {answer:.3f}, not {right:.3f}."
            return f"Not yet: {found} {_common_hint(answer, p, delta, tau)}".rstrip()
    return "Right: as info_nce gives it, and no content has changed."


def _loss_with_common(p: float, delta: float, tau: float) -> float:
    """One query, one negative, scores chosen so that the positive's share is p; then k rises."""
    q = torch.ones(1, 1, dtype=torch.float64)
    k, old = torch.full_like(q, tau * log(p)), torch.full_like(q, tau * log(1 - p))
    return info_nce(q, k + delta, old, temperature=tau).item()


def _common_hint(answer: float, p: float, delta: float, tau: float) -> str:
    up, unscaled, product = exp(delta / tau), exp(delta), p * exp(delta / tau)
    slips = {
        "That is the loss before, and that of negatives that rise as well.": -log(p),
        "Divide delta by tau.": -log(p * unscaled / (p * unscaled + 1 - p)),
        "The positive is in the denominator too, and has risen there.": -log(product),
        "The queue's keys have not risen.": -log(p * up / (up * (p + 1 - p))),
        "The sign: a higher score of the positive lowers the loss.": (
            -log(p / up / (p / up + 1 - p))
        ),
    }
    return hint(slips, lambda slip: isclose(answer, slip, abs_tol=1e-4))


@in_words
def check_critical_rate(function: Callable[[int], float]) -> str:
    """A reader's rate above which the common part grows, called as function(history)."""
    for history in (1, 4, 16, 64):
        rate = number(function(history))
        below, above = (_gap_grows(factor * rate, history) for factor in (0.95, 1.05))
        if below or not above:
            what = "grows just below" if below else "dies out just above"
            slip = _rate_hint(rate, history)
            return f"Not yet: with a history of {history}, it {what} {rate:.4g}. {slip}".rstrip()
    return "Right: just below it the common part settles, just above it runs away."


def _gap_grows(rate: float, history: int, steps: int = 4000) -> bool:
    """Do the steps of c(t + 1) = c(t) + rate (c(t) - mean of the `history` before) grow?"""
    past = [0.0] * history
    now, first, last = 1.0, 0.0, 0.0
    for step in range(steps):
        last = rate * (now - sum(past) / history)
        past = [*past[1:], now]
        now += last
        first = last if step == 4 * history else first
        if last > 1e6:
            return True
    return last > first


def _rate_hint(rate: float, history: int) -> str:
    slips = {
        "The gap is to the mean of the past, which is half as old as its oldest.": 1 / history,
        "Nearly: ages run from 1 to A, so their mean is (A + 1) / 2.": 2 / history,
        "The other way up.": (history + 1) / 2,
    }
    return hint(slips, lambda slip: isclose(rate, slip, rel_tol=1e-6))
