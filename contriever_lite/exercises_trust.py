"""Checks for the exercises of chapter 09: each answers "Right" or "Not yet", and says why."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import isclose, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from contriever_lite.config import TrainConfig
from contriever_lite.optimizer import learning_rate

NOTHING = "Not yet: the function returns nothing."


def check_rate(function: Callable[[int, int, int, float], float]) -> str:
    """A reader's learning rate, linear up and linear down, called as function(step, steps, w, peak)
    for step = 0, 1, ..., steps - 1 with a warm-up of w steps."""
    for steps, w in ((10, 4), (100, 10), (8, 0)):
        config = TrainConfig(rate="linear", steps=steps, warmup=w / steps, learning_rate=0.5)
        found = [function(step, steps, w, 0.5) for step in range(steps)]
        if found[0] is None:
            return NOTHING
        right = [learning_rate(config, step) for step in range(steps)]
        for step, (mine, theirs) in enumerate(zip(found, right, strict=True)):
            if not isclose(mine, theirs, abs_tol=1e-9):
                where = f"step {step} of {steps}, {w} of warm-up"
                hint = _rate_hint(mine, step, steps, w, 0.5)
                return f"Not yet: {where}: {mine:.4g}, not {theirs:.4g}. {hint}".rstrip()
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
    return _hint(slips, lambda slip: isclose(mine, slip, abs_tol=1e-9))


def check_documents(function: Callable[[int, int, int, int], Sequence[int]]) -> str:
    """A reader's sampler, called as function(seed, step, documents, batch): `batch` numbers below
    `documents`, a pure function that goes through all documents once an epoch."""
    documents, batch = 12, 4
    first = [function(0, step, documents, batch) for step in range(9)]
    if first[0] is None:
        return NOTHING
    again = [function(0, step, documents, batch) for step in reversed(range(9))][::-1]
    other = [function(1, step, documents, batch) for step in range(9)]
    return _documents_verdict(*map(np.array, (first, again, other)), documents, batch)


def _documents_verdict(
    first: np.ndarray, again: np.ndarray, other: np.ndarray, documents: int, batch: int
) -> str:
    if first.shape != (9, batch):
        return f"Not yet: nine batches of {batch} have the shape {first.shape}."
    if not np.array_equal(first, again):
        return "Not yet: asked in another order, the same steps get other batches: not pure."
    epochs = first.reshape(3, documents)
    for number, epoch in enumerate(epochs):
        missing = sorted(set(range(documents)) - set(epoch.tolist()))
        if missing:
            return f"Not yet: epoch {number} of {documents} documents never shows {missing}."
    if np.array_equal(epochs[0], epochs[1]) or np.array_equal(epochs[1], epochs[2]):
        return "Not yet: every epoch comes in the same order; the epoch must be in the seed."
    if np.array_equal(first, other):
        return "Not yet: seeds 0 and 1 give the same batches."
    return "Right: three epochs, each document once in each, in any order of asking."


def check_save(function: Callable[[Path, bytes, Callable[[Path, bytes], None]], None]) -> str:
    """A reader's safe save, called as function(path, data, write): write(file, data) puts data in a
    file, and may die half-way. Whatever happens, `path` must hold all of the old or all of the new.
    """
    old, new = b"old state" * 9, b"new state" * 11
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        path.write_bytes(old)
        with suppress(Killed):
            function(path, new, _die)
        if not path.exists():
            return "Not yet: killed in the write, it leaves no state at all: the old one is gone."
        if path.read_bytes() != old:
            size = len(path.read_bytes())
            return f"Not yet: killed in the write, it leaves {size} of {len(new)} bytes."
        function(path, new, lambda file, data: Path(file).write_bytes(data))
        if path.read_bytes() == old:
            return "Not yet: nothing dies, and still the old state is there."
        if path.read_bytes() != new:
            return "Not yet: nothing dies, but what is there is not the data."
        left = sorted(file.name for file in Path(folder).iterdir() if file != path)
        if len(left) > 1:
            return f"Not yet: {left} are left behind; use one name for the work, again and again."
        if left:
            return f"Not yet: {left[0]} is left behind by a save that went well."
    return "Right: killed in the write, the old state is whole; else the new one is."


class Killed(BaseException):
    """As little can be done about it as about kill -9: not an Exception."""


def _die(file: Path, data: bytes) -> None:
    Path(file).write_bytes(data[: len(data) // 2])
    raise Killed


def check_gather_gradient(function: Callable[[list[Tensor], int], Tensor]) -> str:
    """A reader's gradient of the rows of process `rank`, called as function(gradients, rank):
    gradients[w] (W b, D) is what process w's loss sends to all gathered rows, b a process."""
    w, b = 3, 2
    rows = torch.randn(w * b, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    losses = [(rows[p * b : (p + 1) * b] @ rows.T).logsumexp(1).sum() for p in range(w)]
    gradients = [torch.autograd.grad(loss, rows, retain_graph=True)[0] for loss in losses]
    right = torch.autograd.grad(sum(losses), rows)[0]
    for rank in range(w):
        mine = slice(rank * b, (rank + 1) * b)
        answer = function([g.clone() for g in gradients], rank)
        if answer is None:
            return NOTHING
        slips = {
            "all rows; process rank keeps its own.": right,
            "the other processes' losses pull on these rows too.": gradients[rank][mine],
            "the sum: DistributedDataParallel divides by W already, later.": right[mine] / w,
        }
        if answer.shape != right[mine].shape or not torch.allclose(answer, right[mine], atol=1e-6):
            hint = _hint(slips, lambda s, a=answer: a.shape == s.shape and torch.allclose(a, s))
            return f"Not yet, process {rank}: {hint or 'not the gradient of the sum of losses.'}"
    return "Right: for three processes, the gradient of the sum of their losses."


def check_interval(function: Callable[[float, float], float]) -> str:
    """A reader's best number of seconds between two saves, called as function(save, failure): a
    save takes `save` seconds, and a machine dies every `failure` seconds on average."""
    for save, failure in ((10.0, 86_400.0), (60.0, 3600.0), (0.5, 7 * 86_400.0)):
        answer = function(save, failure)
        if answer is None:
            return NOTHING
        if not answer > 0:
            return f"Not yet: {answer} seconds between two saves."
        here, best = _lost(answer, save, failure), _lost(sqrt(2 * save * failure), save, failure)
        if here > best * 1.0001:
            found = f"a save of {save:g} s, a death every {failure:g} s: every {answer:.4g} s"
            hint = _interval_hint(answer, save, failure)
            return f"Not yet: {found} loses {here:.2%} of the time, {best:.2%} do. {hint}".rstrip()
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
    return _hint(slips, lambda slip: isclose(answer, slip, rel_tol=1e-3))


def _hint(slips: dict, is_near: Callable) -> str:
    """The hint whose wrong value is the reader's, or nothing."""
    return next((hint for hint, slip in slips.items() if is_near(slip)), "")
