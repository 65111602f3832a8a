"""Dropout from 16 random bits is PyTorch's own: rate, scale, independence, gradient, replay."""

import math

import pytest
import torch
from torch import nn

from contriever_lite.dropout import Dropout, use_fast_dropout
from contriever_lite.transformer import Reading, TransformerEncoder, new_model


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_numbers_are_dropped_at_the_rate_and_the_rest_scaled(p: float) -> None:
    found = Dropout(p)(torch.ones(1000, 1001))
    rate, sigma = (found == 0).float().mean().item(), math.sqrt(p * (1 - p) / found.numel())
    assert abs(rate - p) < 5 * sigma
    torch.testing.assert_close(found[found != 0].unique(), torch.tensor([1 / (1 - p)]), rtol=1e-4,
                               atol=0)  # fmt: skip


@pytest.mark.parametrize("apart", [1, 2, 3, 4])
def test_what_one_draw_gives_is_independent(apart: int) -> None:
    dropped = (Dropout(0.5)(torch.ones(400_000)) == 0).double() - 0.5
    together = 4 * (dropped[apart:] * dropped[:-apart]).mean().item()  # a correlation
    assert abs(together) < 5 / math.sqrt(400_000)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (0, 4), (2, 3, 5)])
def test_any_shape_and_kind_keeps_both(shape: tuple[int, ...]) -> None:
    for kind in (torch.float32, torch.float64, torch.bfloat16):
        found = Dropout(0.3)(torch.ones(shape, dtype=kind))
        assert (found.shape, found.dtype) == (torch.Size(shape), kind)


def test_the_gradient_passes_where_numbers_do() -> None:
    x = torch.ones(50, 50, requires_grad=True)
    found = Dropout(0.4)(x)
    found.sum().backward()
    torch.testing.assert_close(x.grad, found.detach())


def test_a_generator_state_replays_the_same_numbers() -> None:
    state, dropout = torch.get_rng_state(), Dropout(0.5)
    first, second = dropout(torch.ones(100)), dropout(torch.ones(100))
    torch.set_rng_state(state)
    assert torch.equal(dropout(torch.ones(100)), first)
    assert not torch.equal(first, second)


def test_evaluation_and_no_dropout_leave_all_as_it_is() -> None:
    x = torch.randn(10)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1e-9)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(10))


def test_a_model_has_no_other_dropout_then_and_keeps_its_modes() -> None:
    model = nn.Sequential(nn.Dropout(0.2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3).eval()))
    names = list(model.state_dict())
    use_fast_dropout(model)
    found = [part for part in model.modules() if isinstance(part, nn.Dropout)]
    assert [(type(part), part.p, part.training) for part in found] == [
        (Dropout, 0.2, True),
        (Dropout, 0.3, False),
    ]
    assert list(model.state_dict()) == names


def test_the_transformer_uses_it() -> None:
    encoder = TransformerEncoder(new_model(30, 16, 2, 2, 0.1), Reading(0, 2, 3))
    assert {type(part) for part in encoder.modules() if isinstance(part, nn.Dropout)} == {Dropout}
