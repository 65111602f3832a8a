"""The checks of chapter 09: right answers pass, each known slip is told apart."""

import os
from collections.abc import Callable
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from contriever_lite.exercises_trust import (
    check_documents,
    check_gather_gradient,
    check_interval,
    check_rate,
    check_save,
)


def _refused(verdict: str, hint: str) -> bool:
    return verdict.startswith("Not yet") and hint in verdict


@pytest.mark.parametrize(
    "check", [check_rate, check_documents, check_gather_gradient, check_interval]
)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def _rate(step: int, steps: int, w: int, peak: float) -> float:
    return peak * (step + 1) / w if step < w else peak * (steps - step) / (steps - w)


def test_rate_right() -> None:
    assert check_rate(_rate).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda t, n, w, p: p * t / w if t < w else _rate(t, n, w, p), "must already move"),
        (lambda t, n, w, p: _rate(t, n, w, p) if t < w else p * (n - 1 - t) / (n - w), "last step"),
        (lambda t, n, w, p: p if t < w else _rate(t, n, w, p), "starts at peak"),
        (lambda t, n, w, p: _rate(t, n, w, p) if t < w else p * (n - t) / n, "The fall begins"),
        (lambda t, n, w, p: _rate(t, n, w, 1), "peak is missing"),
        (lambda t, n, w, p: 7.0, "step 0 of 10, 4 of warm-up: 7, not 0.125."),
    ],
)
def test_rate_slips(function: Callable[..., float], hint: str) -> None:
    assert _refused(check_rate(function), hint)


def _documents(seed: int, step: int, documents: int, batch: int) -> np.ndarray:
    epoch, place = divmod(step, documents // batch)
    order = np.random.default_rng((seed, epoch)).permutation(documents)
    return order[place * batch : (place + 1) * batch]


def test_documents_right() -> None:
    assert check_documents(_documents).startswith("Right")
    assert check_documents(lambda *a: _documents(*a).tolist()).startswith("Right")


def _from_one_generator() -> Callable[..., np.ndarray]:
    rng = np.random.default_rng(0)
    return lambda seed, step, documents, batch: rng.permutation(documents)[:batch]


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (_from_one_generator(), "not pure"),
        (lambda s, t, n, b: np.random.default_rng((s, t)).permutation(n)[:b], "never shows"),
        (lambda s, t, n, b: _documents(s, t % (n // b), n, b), "the epoch must be in the seed"),
        (lambda s, t, n, b: _documents(0, t, n, b), "seeds 0 and 1"),
        (lambda s, t, n, b: _documents(s, t, n, b)[:2], "the shape (9, 2)"),
    ],
)
def test_documents_slips(function: Callable[..., np.ndarray], hint: str) -> None:
    assert _refused(check_documents(function), hint)


def _save(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    work = path.with_name("work")
    write(work, data)
    os.replace(work, path)


def _delete_first(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    path.unlink()
    _save(path, data, write)


def _copy(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    write(path.with_name("work"), data)
    path.write_bytes(data)


def test_save_right() -> None:
    assert check_save(_save).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda path, data, write: write(path, data), "it leaves 49 of 99 bytes"),
        (_delete_first, "no state at all"),
        (_copy, "work is left behind"),
        (lambda path, data, write: None, "still the old state"),
        (lambda path, data, write: _save(path, data[:-1], write), "not the data"),
    ],
)
def test_save_slips(function: Callable[..., None], hint: str) -> None:
    assert _refused(check_save(function), hint)


def test_save_counts_what_is_left_behind(tmp_path: Path) -> None:
    names = iter("ab")

    def another_name_each_time(path: Path, data: bytes, write: Callable) -> None:
        work = path.with_name(next(names))
        write(work, data)
        os.replace(work, path)

    assert _refused(check_save(another_name_each_time), "a is left behind")


def _gathered(gradients: list[Tensor], rank: int) -> Tensor:
    b = len(gradients[0]) // len(gradients)
    return sum(gradients)[rank * b : (rank + 1) * b]


def test_gather_gradient_right() -> None:
    assert check_gather_gradient(_gathered).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda g, r: g[r][2 * r : 2 * r + 2], "pull on these rows too"),
        (lambda g, r: _gathered(g, r) / 3, "divides by W already"),
        (lambda g, r: sum(g), "keeps its own"),
        (lambda g, r: _gathered(g, 2), "not the gradient of the sum"),
    ],
)
def test_gather_gradient_slips(function: Callable[..., Tensor], hint: str) -> None:
    assert _refused(check_gather_gradient(function), hint)


def test_interval_right() -> None:
    assert check_interval(lambda save, failure: sqrt(2 * save * failure)).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda c, m: sqrt(c * m), "half an interval"),
        (lambda c, m: 2 * c * m, "square root"),
        (lambda c, m: m, "where are they equal"),
        (lambda c, m: c, "the time of a save"),
        (lambda c, m: 300.0, "every 300 s loses"),
        (lambda c, m: -1.0, "-1.0 seconds"),
    ],
)
def test_interval_slips(function: Callable[[float, float], float], hint: str) -> None:
    assert _refused(check_interval(function), hint)
