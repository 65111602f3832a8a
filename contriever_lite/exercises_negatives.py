"""Checks for the exercises of chapter 05: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import exp, isclose

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contriever_lite.exercises import entry, first_apart, hint, in_brief, in_words, number
from contriever_lite.loss import info_nce
from contriever_lite.memory import LiveBytes

Call = tuple[Tensor, bool, Tensor]  # part, does autograd watch, which units stay
COUNTS = {
    "one batch of 256": (255, "every other key of the batch is a negative"),
    "accumulated, 8 times 32": (31, "a loss sees only the micro-batch that it is computed on"),
    "cached, 8 times 32": (255, "the loss is computed on all vectors, once they are there"),
    "8 processes of 32, not gathered": (31, "a process knows only its own keys"),
    "8 processes of 32, keys gathered": (255, "the keys of all processes are there"),
}


@in_words
def check_counts(answer: Mapping[str, int | None]) -> str:
    """A reader's number of negatives of one query, for each way of making a batch."""
    for way, (right, reason) in COUNTS.items():
        value = entry(answer, way, f"Not yet: no number for {way!r}.")
        if value != right:
            slip = " The positive is no negative." if value == right + 1 else ""
            return f"Not yet: {way}: {value}? Remember: {reason}.{slip}"
    return "Right: accumulating adds text to a step, not negatives; caching and gathering add both."


@in_words
def check_chance(function: Callable[[int, int, int], float]) -> str:
    """A reader's chance that a batch holds a near pair, called as function(documents, near, B)."""
    found = []
    for documents, near, batch in ((10_000, 450, 64), (10_000, 450, 256), (1_000_000, 5000, 8192)):
        value = number(function(documents, near, batch))
        expected = near * batch * (batch - 1) / documents / (documents - 1)
        right = 1 - exp(-expected)
        if not isclose(value, right, abs_tol=0.01):
            wrong = f"{near} near pairs among {documents:,}, B = {batch}: {value:.3f} is not it."
            return f"Not yet: {wrong} {_chance_hint(value, expected)}".rstrip()
        found.append(f"{right:.2f} for B = {batch:,} of {documents:,}")
    return f"Right: {'; '.join(found)}."


def _chance_hint(value: float, expected: float) -> str:
    slips = {
        "That is the expected number of near pairs; what is the chance of at least one?": expected,
        "That is the chance that there is none.": exp(-expected),
        "A batch has B (B - 1) / 2 pairs, the corpus N (N - 1) / 2: the halves cancel.": (
            1 - exp(-expected / 2)
        ),
        "The halves cancel: B (B - 1) over N (N - 1).": 1 - exp(-2 * expected),
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-3))


@in_words
def check_part_loss(function: Callable[[Tensor, Tensor, int, float], Tensor]) -> str:
    """A reader's loss of some rows of a batch, called as function(q_part, k, start, tau)."""
    q, k = _vectors(12)
    for start, tau in ((0, 0.5), (4, 0.5), (8, 0.1)):
        part = q[start : start + 4]
        value = number(function(part.clone(), k.clone(), start, tau))
        right = _part(part, k, start, tau)
        if not isclose(value, right, rel_tol=1e-5):
            found = f"rows {start} to {start + 3}: {value:.3f}, and it should be {right:.3f}."
            return f"Not yet: {found} {_part_hint(value, part, k, start, tau)}".rstrip()
    mean = sum(number(function(q[i : i + 4].clone(), k.clone(), i, 0.1)) for i in (0, 4, 8)) / 3
    whole = info_nce(q, k, temperature=0.1)
    if not isclose(mean, whole, rel_tol=1e-5):
        return f"Not yet: at tau = 0.1 the parts' mean is {mean:.3f}, info_nce's {whole:.3f}."
    return "Right: and the mean over the three parts is info_nce of the whole."


def _part(q: Tensor, k: Tensor, start: int, tau: float) -> Tensor:
    return F.cross_entropy(q @ k.T / tau, torch.arange(start, start + len(q)))


def _part_hint(value: float, q: Tensor, k: Tensor, start: int, tau: float) -> str:
    own = k[start : start + len(q)]
    slips = {
        "The positive of row i of the part is key start + i.": _part(q, k, 0, tau),
        "All keys are candidates, not only those of the part.": _part(q, own, 0, tau),
        "Divide the scores by tau.": _part(q, k, start, 1.0),
        "Take the mean over the rows of the part.": _part(q, k, start, tau) * len(q),
    }
    return hint(slips, lambda slip: isclose(value, slip, rel_tol=1e-4))


class _Noisy(nn.Module):
    """A linear encoder with dropout, which notes each call: the part, whether autograd watches, and
    which units stay."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(6, 5, generator=generator))
        self.calls: list[Call] = []

    def forward(self, part: Tensor) -> Tensor:
        stays = torch.rand(len(part), 5) < 0.5
        self.calls.append((part, torch.is_grad_enabled(), stays))
        return self.vectors(part, stays)

    def vectors(self, part: Tensor, stays: Tensor) -> Tensor:
        return F.normalize(part @ self.weight * stays + 0.1, dim=1)


@in_words
def check_replay(function: Callable[[nn.Module, Sequence[Tensor], Callable], object]) -> str:
    """A reader's cached gradients with dropout, called as function(encoder, parts, loss)."""
    encoder = _Noisy()
    parts = list(torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        function(encoder, [part.clone() for part in parts], _pairs_loss)
    blind, watched = ([call for call in encoder.calls if call[1] is on] for on in (False, True))
    if len(blind) != 3 or len(watched) != 3:
        found = f"{len(blind)} forwards without a graph and {len(watched)} with one"
        return f"Not yet: {found}; each of the 3 parts wants one of each."
    first, again = (_stays(parts, calls) for calls in (blind, watched))
    if len(first) != 3 or len(again) != 3:
        return "Not yet: some part has two forwards of a kind, and another none."
    wrong = [i for i in range(3) if not torch.equal(first[i], again[i])]
    if wrong:
        return f"Not yet: the second forward of part {wrong[0]} drops other units than its first."
    if any(torch.equal(first[i], first[j]) for i, j in combinations(range(3), 2)):
        return "Not yet: two parts drop the same units; noise should be new for each part."
    found, encoder.weight.grad = encoder.weight.grad, None
    _pairs_loss(torch.cat([encoder.vectors(parts[i], first[i]) for i in range(3)])).backward()
    if apart := _apart(found, encoder.weight.grad):
        return f"Not yet: the gradient is not that of the whole batch, for the same units: {apart}."
    return "Right: each part drops the same units twice, and the gradient is the whole batch's."


def _stays(parts: Sequence[Tensor], calls: Sequence[Call]) -> dict[int, Tensor]:
    """For the number of each part, which units stayed; the calls may come in any order."""
    numbered = list(enumerate(parts))
    return {i: stays for x, _, stays in calls for i, part in numbered if torch.equal(x, part)}


def _apart(found: Tensor | None, right: Tensor) -> str:
    if found is None:
        return "there is none"
    return "" if torch.allclose(found, right, atol=1e-6) else first_apart(found, right)


def _pairs_loss(vectors: Tensor) -> Tensor:
    return info_nce(*vectors.chunk(2), temperature=0.5)


@in_words
def check_thrifty(function: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """A reader's InfoNCE that never holds all scores at once, called as function(q, k, tau)."""
    q, k = (x.requires_grad_() for x in _vectors(512))
    value = function(q, k, 0.2)
    loss = number(value)
    if not isinstance(value, Tensor) or not value.requires_grad:
        return f"Not yet: {in_brief(value)} has no graph. Return a tensor to call backward() on."
    value.backward()
    gradients, q.grad, k.grad = (q.grad, k.grad), None, None
    right = info_nce(q, k, temperature=0.2)
    right.backward()
    if not isclose(loss, right.item(), rel_tol=1e-5):
        return f"Not yet: the loss is {loss:.4f}, and info_nce gives {right:.4f}."
    for name, found, wanted in zip("qk", gradients, (q.grad, k.grad), strict=True):
        if apart := _apart(found, wanted):
            return f"Not yet: the value is right, its gradient by {name} is not: {apart}."
    return _memory_verdict(function, q, k)


def _memory_verdict(function: Callable[..., Tensor], q: Tensor, k: Tensor) -> str:
    whole = 512 * 512 * 4
    with LiveBytes() as held:
        forward = (function(q, k, 0.2), held.live)
        forward[0].backward()
    if forward[1] > whole / 2:
        return "Not yet: after the forward pass autograd still keeps scores; see `checkpoint`."
    if held.peak > whole:
        return f"Not yet: at its peak it holds {held.peak / whole:.1f} times the whole matrix."
    return (
        f"Right: value and gradient agree, and at most {held.peak / whole:.0%} of the B x B scores."
    )


def _vectors(size: int) -> Tensor:
    draws = torch.randn(2, size, 8, generator=torch.Generator().manual_seed(0))
    return F.normalize(draws, dim=2)
