"""A criterion is its function with settings; a learnt temperature learns, above a floor."""

import copy
import math

import pytest
import torch
from test_loss import LOSSES, inputs_of

from contriever_lite.criterion import COLDEST, Criterion
from contriever_lite.errors import ConfigError
from contriever_lite.loss import info_nce, sigmoid

SHAPE = (2, 3, 4, 5)


@pytest.mark.parametrize("learnt", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_its_function_with_settings(loss, learnt: bool) -> None:
    q, k, negatives = inputs_of(SHAPE)
    ignore = torch.rand(6, 7, generator=torch.Generator().manual_seed(1)) < 0.3
    found = Criterion(loss, 0.3, learnt)(q, k, negatives, ignore)
    torch.testing.assert_close(found, loss(q, k, negatives, 0.3, ignore=ignore))


def test_further_settings_reach_the_function() -> None:
    q, k, _ = inputs_of((2, 3, 0, 5))
    found = Criterion(info_nce, 0.3, symmetric=True)(q, k)
    assert torch.equal(found, info_nce(q, k, None, 0.3, symmetric=True))
    found = Criterion(sigmoid, 0.3, bias=-2.0)(q, k)
    assert torch.equal(found, sigmoid(q, k, None, 0.3, bias=-2.0))


def test_fixed_numbers_are_no_parameters() -> None:
    assert list(Criterion(sigmoid, 0.1, bias=-10.0).parameters()) == []
    learnt = Criterion(sigmoid, 0.1, learnt=True, bias=-10.0)
    assert set(learnt.state_dict()) == {"log_temperature", "bias"}
    assert set(Criterion(info_nce, 0.1, learnt=True).state_dict()) == {"log_temperature"}


@pytest.mark.parametrize(("loss", "settings"), [(info_nce, {}), (sigmoid, {"bias": -1.5})])
def test_learnt_numbers_have_the_gradient_of_finite_differences(loss, settings: dict) -> None:
    q, k, negatives = inputs_of(SHAPE)
    criterion = Criterion(loss, 0.3, learnt=True, **settings).double()
    criterion(q, k, negatives).backward()
    for parameter in criterion.parameters():
        values = []
        for change in (1e-5, -2e-5):
            with torch.no_grad():
                parameter += change
            values.append(criterion(q, k, negatives).item())
        with torch.no_grad():
            parameter += 1e-5
        slope = (values[0] - values[1]) / 2e-5
        assert parameter.grad.item() == pytest.approx(slope, rel=1e-4)
        assert slope != 0


def test_a_learnt_temperature_stays_above_its_floor_and_can_leave_it() -> None:
    """Perfect pairs want it ever colder; hopeless ones want it warmer again."""
    e = torch.eye(4)
    criterion = Criterion(info_nce, 0.02, learnt=True)
    optimizer = torch.optim.SGD(criterion.parameters(), lr=1e6)
    for _ in range(50):
        optimizer.zero_grad()
        criterion(e, 0.1 * e).backward()
        optimizer.step()
    criterion(e, e)
    assert criterion.temperature.item() == pytest.approx(COLDEST)
    optimizer.param_groups[0]["lr"] = 1e-3
    optimizer.zero_grad()
    criterion(e, e.roll(1, 0)).backward()
    optimizer.step()
    assert criterion.temperature.item() > 1.05 * COLDEST


def test_two_forwards_before_one_backward() -> None:
    q, k, _ = inputs_of((1, 3, 0, 4))
    criterion = Criterion(info_nce, COLDEST, learnt=True)
    with torch.no_grad():  # as a step of the optimizer may leave it
        criterion.log_temperature -= 1
    (criterion(q, k) + criterion(k, q)).backward()
    assert criterion.log_temperature.grad.isfinite()


def test_a_copy_and_a_saved_state_keep_the_learnt_bias() -> None:
    q, k, _ = inputs_of((1, 3, 0, 4))
    criterion = Criterion(sigmoid, 0.3, learnt=True, bias=-1.0)
    twin, other = copy.deepcopy(criterion), Criterion(sigmoid, 0.5, learnt=True, bias=-4.0)
    other.load_state_dict(criterion.state_dict())
    assert torch.equal(other(q, k), criterion(q, k))
    with torch.no_grad():
        twin.bias += 1
    torch.testing.assert_close(twin(q, k), sigmoid(q, k, None, 0.3, 0.0))
    torch.testing.assert_close(criterion(q, k), sigmoid(q, k, None, 0.3, -1.0))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
@pytest.mark.parametrize("learnt", [False, True])
def test_a_temperature_that_makes_no_sense_is_refused(temperature: float, learnt: bool) -> None:
    with pytest.raises(ConfigError, match=f"temperature = {temperature}: must be more than 0"):
        Criterion(info_nce, temperature, learnt)


def test_the_floor_is_clips() -> None:
    criterion = Criterion(info_nce, learnt=True)
    criterion.log_temperature.data.fill_(math.log(1e-4))
    criterion(*inputs_of(SHAPE))
    assert criterion.temperature.item() == pytest.approx(0.01)


def test_a_learnt_temperature_does_not_begin_below_its_floor() -> None:
    with pytest.raises(ConfigError, match=f"0.005: a learnt one stays at {COLDEST} or more"):
        Criterion(info_nce, 0.005, learnt=True)
    assert Criterion(info_nce, 0.005).temperature == 0.005
