"""The checks of chapter 05: right answers pass, each known slip is told apart."""

from collections.abc import Callable, Sequence
from math import exp

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from contriever_lite.exercises_negatives import (
    COUNTS,
    check_chance,
    check_counts,
    check_part_loss,
    check_replay,
    check_thrifty,
)
from contriever_lite.loss import info_nce

RIGHT = {way: count for way, (count, _) in COUNTS.items()}


@pytest.mark.parametrize("check", [check_chance, check_part_loss, check_thrifty])
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def test_counts() -> None:
    assert check_counts(RIGHT).startswith("Right")
    assert check_counts(dict.fromkeys(RIGHT)) == "Not yet: no number for 'one batch of 256'."
    for way in RIGHT:
        verdict = check_counts({**RIGHT, way: 7})
        assert verdict.startswith(f"Not yet: {way}: 7? Remember:")
    assert "The positive is no negative." in check_counts({**RIGHT, "one batch of 256": 256})


def expected(documents: int, near: int, batch: int) -> float:
    return near * batch * (batch - 1) / documents / (documents - 1)


def test_chance_right() -> None:
    verdict = check_chance(lambda n, near, b: 1 - exp(-expected(n, near, b)))
    assert verdict.startswith("Right: 0.02 for B = 64 of 10,000")
    assert check_chance(
        lambda n, near, b: 1 - (1 - near / (n * (n - 1) / 2)) ** (b * (b - 1) / 2)
    ).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (expected, "the expected number"),
        (lambda n, near, b: exp(-expected(n, near, b)), "there is none"),
        (lambda n, near, b: 1 - exp(-expected(n, near, b) / 2), "the halves cancel"),
        (lambda n, near, b: 1 - exp(-2 * expected(n, near, b)), "The halves cancel"),
        (lambda n, near, b: 0.5, "0.500 is not it"),
    ],
)
def test_chance_slips(function: Callable[..., float], hint: str) -> None:
    verdict = check_chance(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def part(q: Tensor, k: Tensor, start: int, tau: float) -> Tensor:
    return F.cross_entropy(q @ k.T / tau, torch.arange(start, start + len(q)))


def test_part_loss_right() -> None:
    assert check_part_loss(part).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, k, start, tau: part(q, k, 0, tau), "is key start + i"),
        (lambda q, k, start, tau: part(q, k[start : start + len(q)], 0, tau), "All keys"),
        (lambda q, k, start, tau: part(q, k, start, 1.0), "Divide the scores by tau"),
        (lambda q, k, start, tau: 4 * part(q, k, start, tau), "Take the mean"),
        (lambda q, k, start, tau: q @ k.T, "one number"),
        (lambda q, k, start, tau: torch.tensor(0.5), "0.500, and it should be"),
    ],
)
def test_part_loss_slips(function: Callable[..., Tensor], hint: str) -> None:
    verdict = check_part_loss(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


Loss = Callable[[Tensor], Tensor]


def cached(
    encoder: nn.Module,
    parts: Sequence[Tensor],
    loss: Loss,
    replay: bool = True,
    scale: float = 1,
    seeds: Sequence[int] = (),
    turn: int = 1,
) -> None:
    states, blind = [], []
    with torch.no_grad():
        for i, x in enumerate(parts):
            if seeds:
                torch.manual_seed(seeds[i])
            states.append(torch.get_rng_state())
            blind.append(encoder(x))
    vectors = torch.cat(blind).requires_grad_()
    loss(vectors).backward()
    for x, state, wish in list(zip(parts, states, vectors.grad.split(4), strict=True))[::turn]:
        if replay:
            torch.set_rng_state(state)
        encoder(x).backward(wish * scale)


def unreplayed(encoder: nn.Module, parts: Sequence[Tensor], loss: Loss) -> None:
    with torch.no_grad():
        blind = [encoder(x) for x in parts]
    for x in reversed(parts):
        encoder(x)
    assert len(blind) == 3


def one_part_only(encoder: nn.Module, parts: Sequence[Tensor], loss: Loss) -> None:
    cached(encoder, [parts[0]] * 3, lambda vectors: loss(vectors[:4]))


def same_noise(encoder: nn.Module, parts: Sequence[Tensor], loss: Loss) -> None:
    class Reseeded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.manual_seed(0)
            return encoder(x)

    cached(Reseeded(), parts, loss)


def test_replay_right_and_the_readers_generator_untouched() -> None:
    before = torch.get_rng_state()
    assert check_replay(cached).startswith("Right")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda *_: None, "0 forwards without a graph and 0 with one"),
        (lambda e, p, loss: cached(e, p, loss, replay=False), "part 0 drops other units"),
        (lambda e, p, loss: loss(torch.cat([e(x) for x in p])).backward(), "0 forwards without"),
        (lambda e, p, loss: cached(e, p, loss, scale=3), "not that of the whole batch"),
        (unreplayed, "part 0 drops other units"),
        (one_part_only, "some part has two forwards"),
        (lambda e, p, loss: cached(e, p, loss, seeds=(1, 2, 2)), "two parts drop the same units"),
        (same_noise, "two parts drop the same units"),
    ],
)
def test_replay_slips(function: Callable, hint: str) -> None:
    verdict = check_replay(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_replay_takes_copies_of_the_parts_in_any_order() -> None:
    def backwards(encoder: nn.Module, parts: Sequence[Tensor], loss: Loss) -> None:
        cached(encoder, [part.clone() for part in parts], loss, turn=-1)

    assert check_replay(backwards).startswith("Right")


def in_parts(q: Tensor, k: Tensor, tau: float, again: bool = True, rows: int = 64) -> Tensor:
    pieces = [(q[i : i + rows], k, i, tau) for i in range(0, len(q), rows)]
    losses = [
        checkpoint(part, *piece, use_reentrant=False) if again else part(*piece) for piece in pieces
    ]
    return sum(losses) / len(losses)


def test_thrifty_right() -> None:
    assert check_thrifty(in_parts).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, k, tau: info_nce(q, k, temperature=tau), "autograd still keeps scores"),
        (lambda q, k, tau: in_parts(q, k, tau, again=False), "autograd still keeps scores"),
        (lambda q, k, tau: in_parts(q, k, tau, rows=256), "times the whole matrix"),
        (lambda q, k, tau: 2 * in_parts(q, k, tau), "and info_nce gives"),
        (lambda q, k, tau: in_parts(q, k.detach(), tau), "gradient by k is not: there is none"),
        (lambda q, k, tau: in_parts(q, k, tau).item(), "has no graph"),
        (
            lambda q, k, tau: in_parts(q, k, tau) - (k - k.detach()).sum(),
            "gradient by k is not: at",
        ),
    ],
)
def test_thrifty_slips(function: Callable[..., Tensor], hint: str) -> None:
    verdict = check_thrifty(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict
