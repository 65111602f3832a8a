"""Checks for the exercises of chapter 03: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable
from math import isclose, log

import torch
import torch.nn.functional as F
from torch import Tensor

from contriever_lite.diagnostics import uniformity
from contriever_lite.exercises import first_apart, hint, in_words, number, tensor
from contriever_lite.loss import equation_1, info_nce


@in_words
def check_random_loss(function: Callable[[int, int, float], float]) -> str:
    """A reader's expected InfoNCE of random vectors, called as function(batch, dimension, tau)."""
    cases = ((256, 128, 0.1), (256, 128, 0.2), (1024, 512, 0.05), (8, 1024, 0.2))
    for batch, dimension, tau in cases:
        value = number(function(batch, dimension, tau))
        measured = _measured_random_loss(batch, dimension, tau)
        if not isclose(value, measured, abs_tol=0.1):
            found = (
                f"B = {batch}, D = {dimension}, tau = {tau}: {value:.2f}, measured {measured:.2f}."
            )
            return f"Not yet: {found} {_random_hint(value, batch, dimension, tau)}".rstrip()
    return "Right: within 0.1 of what random vectors cost, in four settings."


def _measured_random_loss(batch: int, dimension: int, tau: float) -> float:
    generator = torch.Generator().manual_seed(0)
    draws = F.normalize(torch.randn(4, 2, batch, dimension, generator=generator), dim=3)
    return sum(info_nce(q, k, temperature=tau).item() for q, k in draws) / len(draws)


def _random_hint(value: float, batch: int, dimension: int, tau: float) -> str:
    spread = 1 / (dimension * tau**2)
    slips = {
        "That is the loss of equal vectors. What does the spread of the scores add?": log(batch),
        "Scores are divided by tau, so their variance is by tau squared.": (
            log(batch) + 1 / (2 * dimension * tau)
        ),
        "The mean of exp(X) is exp(v / 2): the half is missing.": log(batch) + spread,
        "The sign: the spread makes the loss larger.": log(batch) - spread / 2,
        "The positive is in the sum too: B keys, not B - 1.": log(batch - 1) + spread / 2,
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-3))


@in_words
def check_score_gradient(function: Callable[[Tensor, float], Tensor]) -> str:
    """A reader's gradient of the mean InfoNCE by every score, called as function(scores, tau)."""
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)) / 4
    for tau in (0.5, 0.1):
        leaf = scores.clone().requires_grad_()
        F.cross_entropy(leaf / tau, torch.arange(5)).backward()
        right, answer = leaf.grad, tensor(function(scores.clone(), tau), scores.dtype)
        if answer.shape != right.shape:
            return f"Not yet: scores are (5, 5), so is their gradient; found {tuple(answer.shape)}."
        if not torch.allclose(answer, right, atol=1e-6):
            found = f"Not yet, at tau = {tau}: {first_apart(answer, right)}."
            return f"{found} {_gradient_hint(answer, right, scores, tau)}"
    return "Right: equal to autograd at two temperatures, and every row sums to zero."


def _gradient_hint(answer: Tensor, right: Tensor, scores: Tensor, tau: float) -> str:
    n, eye = len(scores), torch.eye(len(scores))
    slips = {
        "The sign: a higher score of the positive must lower the loss.": -right,
        "The loss is a mean over the batch: divide by B.": right * n,
        "The chain rule leaves a factor 1 / tau.": right * tau,
        "The softmax runs over the keys of one query, along a row.": (
            ((scores / tau).softmax(dim=0) - eye) / tau / n
        ),
        "Divide the scores by tau before the softmax too.": (scores.softmax(dim=1) - eye) / tau / n,
        "The negatives are right; where the positive stands, 1 is missing.": right + eye / tau / n,
    }
    near = hint(slips, lambda slip: torch.allclose(answer, slip, atol=1e-6))
    return near or "A row is what the softmax believes, minus the truth, over tau and B."


@in_words
def check_bridge(function: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """A reader's mean of (1 - p^a) / a, called as function(q, k, a, tau), vectors in float64."""
    draws = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q, k = F.normalize(draws, dim=2)
    p = -torch.stack([equation_1(q[[i]], k[[i]], _others(k, i), 0.3) for i in range(8)])
    for a in (1.0, 0.5, 1e-7):
        value, right = number(function(q.clone(), k.clone(), a, 0.3)), ((1 - p**a) / a).mean()
        if not isclose(value, right, abs_tol=1e-5):
            found = f"at a = {a:g} it is {value:.4f}, and should be {right:.4f}."
            return f"Not yet: {found} {_bridge_hint(value, p, a)}".rstrip()
    assert isclose(right, info_nce(q, k, temperature=0.3), abs_tol=1e-5)
    return "Right: equation 1 plus one at a = 1, and InfoNCE as a goes to 0."


def _bridge_hint(value: float, p: Tensor, a: float) -> str:
    slips = {
        "Divide by a.": (1 - p**a).mean(),
        "The sign: it should be least where p = 1.": ((p**a - 1) / a).mean(),
        "The power belongs to each p, before the mean.": (1 - p.mean() ** a) / a,
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-5))


def _others(k: Tensor, i: int) -> Tensor:
    return torch.cat([k[:i], k[i + 1 :]])


@in_words
def check_false_negative(function: Callable[[Tensor, int, float], Tensor]) -> str:
    """A reader's share of the push on one negative, called as function(scores, index, tau)."""
    scores, twin = torch.linspace(-0.1, 0.45, 255), 100
    scores[twin] = 0.6
    found = []
    for tau, index in ((1.0, twin), (0.1, twin), (0.05, twin), (0.01, twin), (0.1, 250)):
        value = number(function(scores.clone(), index, tau))
        right = float((scores / tau).softmax(dim=0)[index])
        if not isclose(value, right, abs_tol=1e-5):
            wrong = f"at tau = {tau:g} number {index} gets {value:.4f}, should get {right:.4f}."
            return f"Not yet: {wrong} {_push_hint(value, scores, index, tau)}".rstrip()
        found.append(f"{right:.0%} at tau = {tau:g}")
    return f"Right: of the push on 255 negatives, the twin gets {', '.join(found[:-1])}."


def _push_hint(value: float, scores: Tensor, index: int, tau: float) -> str:
    slips = {
        "Divide the scores by tau.": float(scores.softmax(dim=0)[index]),
        "Divide by tau, not multiply.": float((scores * tau).softmax(dim=0)[index]),
        "Divide by the sum over all negatives.": float((scores[index] / tau).exp()),
        "That is the share of the largest score; asked for is that of `index`.": float(
            (scores / tau).softmax(dim=0).max()
        ),
    }
    return hint(slips, lambda slip: isclose(value, slip, rel_tol=1e-4))


@in_words
def check_uniformity(function: Callable[[list[list[float]]], float]) -> str:
    """A reader's uniformity of points given as lists of numbers, called as function(points)."""
    draws = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cases = {
        "six random points": F.normalize(draws, dim=1),
        "two opposite points": torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64),
        "three equal points": torch.ones(3, 1, dtype=torch.float64),
    }
    for case, x in cases.items():
        value, right = number(function(x.tolist())), uniformity(x).item()
        if not isclose(value, right, abs_tol=1e-6):
            found = f"for {case} it gives {value:.3f}, and should give {right:.3f}."
            return f"Not yet: {found} {_uniformity_hint(value, x)}".rstrip()
    return "Right: -8 for two opposite points, 0 where all are one, and the package's value."


def _uniformity_hint(value: float, x: Tensor) -> str:
    squared, with_itself = torch.pdist(x).square(), torch.cdist(x, x).square()
    slips = {
        "Take the logarithm of the mean.": (-2 * squared).exp().mean(),
        "Leave out a point's distance to itself.": (-2 * with_itself).exp().mean().log(),
        "Square the distance.": (-2 * torch.pdist(x)).exp().mean().log(),
        "The factor t = 2 is missing.": (-squared).exp().mean().log(),
        "Take the mean of the exponentials, then the logarithm.": (-2 * squared).mean(),
        "Divide by the number of pairs.": (-2 * squared).exp().sum().log(),
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-6))
