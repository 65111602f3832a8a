"""What the checks share: any kind of number is read, and anything else gets a sentence."""

from collections.abc import Callable
from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest
import torch

from contriever_lite.exercises import (
    NOTHING,
    Unfit,
    entry,
    first_apart,
    hint,
    in_brief,
    in_words,
    listed,
    number,
    numbers,
    tensor,
)
from contriever_lite.metrics import recall, reciprocal_rank
from contriever_lite.significance import holm

MODULES = (
    "words vectors loss views negatives queue momentum transformer saving trust gpu ablations "
    "failures labels beir"
).split()
SPECIAL = {"check_failing_query", "check_shift", "check_dimension", "check_deaf"}
DICTS = {"check_idf", "check_limits", "check_counts"}
CHECKS = {
    name: getattr(module, name)
    for module in (import_module(f"contriever_lite.exercises_{chapter}") for chapter in MODULES)
    for name in dir(module)
    if name.startswith("check_") and name not in SPECIAL
}
JUNK = ["0.5", {"a": 1}, {}, [[1.0], [2.0, 3.0]], [None], (), object(), torch.ones(7, 7), 1j]


@pytest.mark.parametrize(
    "answer",
    [
        0.5,
        Fraction(1, 2),
        np.float32(0.5),
        np.array(0.5),
        np.array([[0.5]]),
        torch.tensor([0.5], requires_grad=True),
        [0.5],
    ],
)
def test_any_kind_of_number(answer: object) -> None:
    assert type(number(answer)) is float
    assert number(answer) == 0.5


def test_whole_numbers_stay_whole() -> None:
    assert [type(number(n)) for n in (3, np.int64(3), torch.tensor(3))] == [int, int, int]


@pytest.mark.parametrize("answer", ["0.5", {}, [1, 2], 1j, torch.ones(2)])
def test_no_number(answer: object) -> None:
    with pytest.raises(Unfit, match="is not one number"):
        number(answer)


@pytest.mark.parametrize("read", [number, numbers, listed, lambda x: tensor(x, torch.float32)])
def test_nothing(read: Callable[[object], object]) -> None:
    with pytest.raises(Unfit, match=NOTHING):
        read(None)


def test_numbers_of_any_list() -> None:
    assert numbers(torch.tensor([1.0, 2.0], requires_grad=True)) == [1, 2]
    assert numbers(x for x in (1, np.float32(2))) == [1, 2]


@pytest.mark.parametrize("answer", ["ab", 3, np.array(3), torch.tensor(3)])
def test_no_list(answer: object) -> None:
    with pytest.raises(Unfit, match="is not a list"):
        listed(answer)


def test_tensor_of_another_kind() -> None:
    found = tensor(torch.ones(2, dtype=torch.float64, requires_grad=True), torch.float32)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    with pytest.raises(Unfit, match="no table of numbers"):
        tensor([[1.0], [2.0, 3.0]], torch.float32)


def test_entry() -> None:
    assert entry({"a": 1}, "a", "none") == 1
    for answers, verdict in (({"a": None}, "none"), ([1], "is not a dict")):
        with pytest.raises(Unfit, match=verdict):
            entry(answers, "a", "none")


def test_hint_is_the_first_slip_that_is_near() -> None:
    assert hint({"one": 1, "two": 2, "also two": 2}, (2).__eq__) == "two"
    assert hint({"one": 1}, (2).__eq__) == ""


def test_first_apart_names_place_and_both_values() -> None:
    found, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 3.0]])
    assert first_apart(found, right) == "at [0, 1] it is 2, should be 3"


def test_shown_in_one_short_line() -> None:
    assert in_brief(np.ones((2, 2))) == "array([[1., 1.], [1., 1.]])"
    assert len(in_brief("x" * 100)) == 60


def test_a_readers_own_error_stays_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        CHECKS["check_steps"](lambda m, share: 1 / 0)


def test_in_words_keeps_name_and_docstring() -> None:
    @in_words
    def check() -> str:
        """A check."""
        raise Unfit("Not yet.")

    assert (check(), check.__name__, check.__doc__) == ("Not yet.", "check", "A check.")


def _overlap(n: int, a: int, b: int) -> float:
    left = max(n - a - b, -1)
    return 1 - (left + 1) * (left + 2) / ((n - a + 1) * (n - b + 1))


def _rate(step: int, steps: int, w: int, peak: float) -> float:
    return peak * (step + 1) / w if step < w else peak * (steps - step) / (steps - w)


def _worth(counts: tuple, scores: tuple, target: float) -> float:
    return 1e-20 if target <= scores[0] else float(np.interp(target, scores, counts, right=np.inf))


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("check_reciprocal_rank", reciprocal_rank),
        ("check_capped", lambda ranked, judged, k: recall(ranked, judged, k, True)),
        ("check_holm", holm),
        ("check_overlap", _overlap),
        ("check_rate", _rate),
        ("check_worth", _worth),
        ("check_momentum", lambda bits: 1 - 2.0**-bits),
        ("check_gather_gradient", lambda g, r: sum(g).reshape(len(g), -1, 4)[r].tolist()),
    ],
)
def test_float32_is_good_enough(name: str, right: Callable) -> None:
    verdict = CHECKS[name](lambda *asked: torch.tensor(right(*asked), dtype=torch.float32))
    assert verdict.startswith("Right")


@pytest.mark.parametrize("name", CHECKS)
def test_junk_gets_a_sentence(name: str) -> None:
    for junk in JUNK:
        answer = junk if name in DICTS else lambda *_, given=junk: given
        assert CHECKS[name](answer).startswith("Not yet")
