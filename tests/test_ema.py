"""The slow encoder: a plain loop, closed forms, and why it must be float32."""

import math

import pytest
import torch
from torch import nn

from contriever_lite.ema import cosine_momentum, drift, ema_update, slow_copy
from contriever_lite.encoder import BagEncoder
from contriever_lite.rng import torch_stream


class Layers(nn.Module):
    """Parameters of several shapes, and buffers that are no parameters."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch_stream(seed, "test")
        self.one = nn.Parameter(torch.randn(3, 4, generator=generator))
        self.two = nn.Parameter(torch.randn(5, generator=generator))
        self.register_buffer("mean", torch.randn(2, generator=generator))
        self.register_buffer("count", torch.tensor(seed))


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.9995, 1.0])
def test_an_update_equals_a_loop(momentum: float) -> None:
    slow, fast = slow_copy(Layers(1)), Layers(2)
    expected = {
        name: momentum * weight + (1 - momentum) * dict(fast.named_parameters())[name]
        for name, weight in slow.named_parameters()
    }
    ema_update(slow, fast, momentum)
    for name, weight in slow.named_parameters():
        torch.testing.assert_close(weight, expected[name].detach())
    assert torch.equal(slow.mean, fast.mean), "buffers are copied"
    assert slow.count == fast.count


def test_momentum_zero_copies_and_one_freezes() -> None:
    slow, fast = slow_copy(Layers(1)), Layers(2)
    ema_update(slow, fast, 1.0)
    assert torch.equal(slow.one, Layers(1).one)
    ema_update(slow, fast, 0.0)
    assert torch.equal(slow.one, fast.one)
    assert torch.equal(slow.two, fast.two)


@pytest.mark.parametrize(("momentum", "steps"), [(0.9, 10), (0.99, 100), (0.9995, 2000)])
def test_after_n_steps_the_distance_has_its_closed_form(momentum: float, steps: int) -> None:
    """theta_n - target = m^n (theta_0 - target); 1 / (1 - m) steps leave about 1 / e of it."""
    slow, fast = slow_copy(Layers(1)), Layers(2)
    for _ in range(steps):
        ema_update(slow, fast, momentum)
    left = (slow.one - fast.one) / (Layers(1).one - fast.one)
    torch.testing.assert_close(left, torch.full_like(left, momentum**steps), rtol=1e-3, atol=1e-4)
    assert momentum**steps == pytest.approx(1 / math.e, rel=0.06)


def test_it_follows_a_moving_encoder_as_the_weighted_sum_of_the_past() -> None:
    """theta_n = m^n theta_0 + (1 - m) sum_t m^(n - t) fast_t."""
    slow, n, m = slow_copy(Layers(0)), 6, 0.8
    for t in range(1, n + 1):
        ema_update(slow, Layers(t), m)
    past = sum((1 - m) * m ** (n - t) * Layers(t).one for t in range(1, n + 1))
    torch.testing.assert_close(slow.one, (m**n * Layers(0).one + past).detach())


def test_it_moves_in_place_and_learns_nothing() -> None:
    fast = BagEncoder(20, 4, generator=torch_stream(0, "test"))
    slow = slow_copy(fast)
    places = [weight.data_ptr() for weight in slow.parameters()]
    assert places != [weight.data_ptr() for weight in fast.parameters()]
    with torch.no_grad():
        fast.vectors += 1
    ema_update(slow, fast, 0.5)
    assert [weight.data_ptr() for weight in slow.parameters()] == places
    assert not any(weight.requires_grad for weight in slow.parameters())
    assert all(weight.requires_grad for weight in fast.parameters())
    torch.testing.assert_close(slow.vectors, (fast.vectors - 0.5).detach())


def test_the_copy_is_float32_because_bfloat16_would_stand_still() -> None:
    """Near 1 the numbers of bfloat16 lie 1 / 128 apart, and a step of (1 - .9995) / 2 is lost."""
    fast = nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    nn.init.ones_(fast.weight)
    slow, half = slow_copy(fast), torch.ones(1, 1, dtype=torch.bfloat16)
    nn.init.constant_(fast.weight, 1.5)
    for _ in range(2000):
        ema_update(slow, fast, 0.9995)
        half.lerp_(fast.weight.detach(), 1 - 0.9995)
    assert half.item() == 1, "not a single step was seen"
    assert slow.weight.dtype == torch.float32
    assert slow.weight.item() == pytest.approx(1.5 - 0.5 * 0.9995**2000, rel=1e-4)


def test_encoders_that_differ_are_refused() -> None:
    with pytest.raises(RuntimeError):
        ema_update(slow_copy(Layers(0)), nn.Linear(2, 2), 0.5)


def test_the_momentum_schedule_equals_its_formula() -> None:
    for step in range(11):
        expected = 1 - (1 - 0.9) * (1 + math.cos(math.pi * step / 10)) / 2
        assert cosine_momentum(step, 10, 0.9) == pytest.approx(expected)
    assert cosine_momentum(0, 10, 0.9) == pytest.approx(0.9)
    assert cosine_momentum(10, 10, 0.9) == 1
    assert cosine_momentum(15, 10, 0.9) == 1, "it stays there"
    assert cosine_momentum(0, 0, 0.9) == pytest.approx(0.9)
    assert cosine_momentum(1, 1, 0.9) == 1
    values = [cosine_momentum(step, 100, 0.5) for step in range(101)]
    assert values == sorted(values)


def test_drift_equals_its_formula() -> None:
    slow, fast = slow_copy(Layers(1)), Layers(2)
    apart = torch.cat(
        [(s - f).flatten() for s, f in zip(slow.parameters(), fast.parameters(), strict=True)]
    )
    length = torch.cat([f.flatten() for f in fast.parameters()])
    assert drift(slow, fast) == pytest.approx((apart.norm() / length.norm()).item(), rel=1e-5)
    assert drift(slow_copy(fast), fast) == 0


def test_drift_of_half_the_bits_is_summed_in_float32() -> None:
    """In bfloat16 a sum of 300 ones is 256 or 300 as it happens, and 1.01 squared is 1.02."""
    fast = nn.Linear(301, 1, bias=False, dtype=torch.bfloat16)
    nn.init.constant_(fast.weight, 1.0)
    slow = slow_copy(fast)
    nn.init.constant_(slow.weight, 1.5)
    assert drift(slow, fast) == pytest.approx(0.5, rel=1e-6)
    assert drift(fast, fast) == 0
