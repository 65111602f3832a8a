"""Checks for the exercises of chapter 09: each answers "Right" or "Not yet", and says why."""

from collections.abc import Callable, Sequence
from math import isclose, sqrt

import numpy as np
import torch
from torch import Tensor

from contriever_lite.config import TrainConfig
from contriever_lite.exercises import first_apart, hint, in_words, number, numbers, tensor
from contriever_lite.exercises_saving import check_save as check_save
from contriever_lite.optimizer import learning_rate


@in_words
def check_rate(function: Callable[[int, int, int, float], float]) -> str:
    """A reader's learning rate, linear up and linear down, called as function(step, steps, w, peak)
    for step = 0, 1, ..., steps - 1 with a warm-up of w steps."""
    for steps, w in ((10, 4), (100, 10), (8, 0)):
        config = TrainConfig(rate="linear", steps=steps, warmup=w / steps, learning_rate=0.5)
        found = [number(function(step, steps, w, 0.5)) for step in range(steps)]
        right = [learning_rate(config, step) for step in range(steps)]
        for step, (mine, theirs) in enumerate(zip(found, right, strict=True)):
            if not isclose(mine, theirs, abs_tol=1e-6):
                where = f"step {step} of {steps}, {w} of warm-up"
                slip = _rate_hint(mine, step, steps, w, 0.5)
                return f"Not yet: {where}: {mine:.4g}, not {theirs:.4g}. {slip}".rstrip()
    return "Right: the package's rate at every step of three runs."


def _rate_hint(mine: float, step: int, steps: int, w: int, peak: float) -> str:
    down = (steps - step) / max(1, steps - w)
    slips = {
        "Step 0 must already move: a rate of 0 wastes it.": peak * step / max(1, w),
        "The last step must still move: the rate is 0 after it, not at it.": (
            peak * (steps - 1 - step) / max(1, steps - w)
        ),
        "Without the warm-up's rise: it starts at peak / w.": peak,
        "The fall begins when the warm-up has ended, and has steps - w steps.": (
            peak * (steps - step) / steps
        ),
        "The peak is missing.": down if step >= w else (step + 1) / max(1, w),
    }
    return hint(slips, lambda slip: isclose(mine, slip, abs_tol=1e-6))


@in_words
def check_documents(function: Callable[[int, int, int, int], Sequence[int]]) -> str:
    """A reader's sampler, called as function(seed, step, documents, batch): `batch` numbers below
    `documents`, a pure function that goes through all documents once an epoch."""
    for documents, batch in ((12, 4), (22, 11)):
        steps = range(3 * documents // batch)
        asked = [(0, step) for step in steps], [(0, step) for step in steps[::-1]]
        first, again, other = (
            [numbers(function(*each, documents, batch)) for each in calls]
            for calls in (*asked, [(1, step) for step in steps])
        )
        for found in (*first, *again, *other):
            if len(found) != batch:
                return f"Not yet: {len(found)} documents in a batch of {batch}."
        if first != again[::-1]:
            return "Not yet: asked in another order, the same steps get other batches: not pure."
        epochs, others = (np.array(each).reshape(3, documents) for each in (first, other))
        if fault := _epochs_fault(epochs, others):
            return f"Not yet: {fault}"
    return "Right: three epochs, each document once in each, in any order of asking."


def _epochs_fault(epochs: np.ndarray, others: np.ndarray) -> str:
    documents = epochs.shape[1]
    for place, epoch in enumerate((*epochs, *others)):
        missing = sorted(set(range(documents)) - set(epoch.tolist()))
        if missing:
            seed, at = divmod(place, 3)
            return f"epoch {at} of {documents} documents never shows {missing}, at seed {seed}."
    if len(np.unique(epochs, axis=0)) < 3:
        return "two epochs come in the same order; the epoch must be in the seed."
    if np.array_equal(epochs, others):
        return "seeds 0 and 1 give the same batches."
    if np.array_equal(epochs[1], others[0]):
        return "epoch 1 of seed 0 is epoch 0 of seed 1: seed with the pair, not with the sum."
    return ""


@in_words
def check_gather_gradient(function: Callable[[list[Tensor], int], Tensor]) -> str:
    """A reader's gradient of the rows of process `rank`, called as function(gradients, rank):
    gradients[w] (W b, D) is what process w's loss sends to all gathered rows, b a process."""
    for w, b in ((3, 2), (2, 3)):
        rows = torch.randn(w * b, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        losses = [(rows[p * b : (p + 1) * b] @ rows.T).logsumexp(1).sum() for p in range(w)]
        gradients = [torch.autograd.grad(loss, rows, retain_graph=True)[0] for loss in losses]
        for rank in range(w):
            answer = tensor(function([g.clone() for g in gradients], rank), rows.dtype)
            if fault := _gather_fault(answer, gradients, rank, b):
                return f"Not yet, process {rank} of {w}: {fault}"
    return "Right: for three processes and for two, the gradient of the sum of their losses."


def _gather_fault(answer: Tensor, gradients: list[Tensor], rank: int, b: int) -> str:
    right, mine = sum(gradients), slice(rank * b, (rank + 1) * b)
    if answer.shape == right.shape:
        return "all rows; process rank keeps its own."
    if answer.shape != right[mine].shape:
        return f"the shape is {tuple(answer.shape)}, should be {tuple(right[mine].shape)}."
    if torch.allclose(answer, right[mine], atol=1e-6):
        return ""
    slips = {
        "the other processes' losses pull on these rows too.": gradients[rank][mine],
        "the sum: DistributedDataParallel divides by W already, later.": (
            right[mine] / len(gradients)
        ),
    }
    slip = hint(slips, lambda wrong: torch.allclose(answer, wrong, atol=1e-6))
    apart = first_apart(answer, right[mine])
    return f"{apart}; {slip or 'that is not the gradient of the sum of losses.'}"


@in_words
def check_interval(function: Callable[[float, float], float]) -> str:
    """A reader's best number of seconds between two saves, called as function(save, failure): a
    save takes `save` seconds, and a machine dies every `failure` seconds on average."""
    for save, failure in ((10.0, 86_400.0), (60.0, 3600.0), (0.5, 7 * 86_400.0)):
        answer = number(function(save, failure))
        if not answer > 0:
            return f"Not yet: {answer} seconds between two saves."
        here, best = _lost(answer, save, failure), _lost(sqrt(2 * save * failure), save, failure)
        if here > best * 1.0001:
            found = f"a save of {save:g} s, a death every {failure:g} s: every {answer:.4g} s"
            slip = _interval_hint(answer, save, failure)
            return f"Not yet: {found} loses {here:.2%} of the time, {best:.2%} do. {slip}".rstrip()
    return "Right: no other interval loses less, for three machines."


def _lost(interval: float, save: float, failure: float) -> float:
    """Share of the time: saving, and doing again half an interval after each death."""
    return save / interval + interval / (2 * failure)


def _interval_hint(answer: float, save: float, failure: float) -> str:
    slips = {
        "A death loses half an interval on average, not a whole one.": sqrt(save * failure),
        "Set the derivative to 0: the square root is missing.": 2 * save * failure,
        "The two losses need not both be small: where are they equal?": failure,
        "That is the time of a save itself.": save,
    }
    return hint(slips, lambda slip: isclose(answer, slip, rel_tol=1e-3))
