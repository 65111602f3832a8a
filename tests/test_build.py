"""From settings to parts: each setting reaches the part it is for."""

import pytest
import synthetic
import torch

from contriever_lite import loss
from contriever_lite.build import new_criterion, new_encoder, new_objective, result
from contriever_lite.cached import CachedGradients
from contriever_lite.config import LOSSES
from contriever_lite.encoder import BagEncoder
from contriever_lite.objective import InBatch, MoCo, Queue

SMALL = synthetic.SMALL


def objective(**settings: object) -> InBatch | Queue | MoCo:
    config = SMALL.replace(**settings)
    return new_objective(config, new_encoder(config, synthetic.corpus()))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_its_name_and_temperature(name: str) -> None:
    criterion = new_criterion(SMALL.replace(loss=name, temperature=0.3))
    assert criterion.function is getattr(loss, name)
    assert criterion.temperature == 0.3
    learnt = new_criterion(SMALL.replace(loss=name, learn_temperature=True))
    assert learnt.temperature.item() == pytest.approx(SMALL.temperature)
    names = {"log_temperature", "bias"} if name == "sigmoid" else {"log_temperature"}
    assert set(dict(learnt.named_parameters())) == names


def test_each_objective_has_its_settings() -> None:
    assert type(objective(skip_same_text=True)) is InBatch
    assert objective(skip_same_text=True).skip_same_text
    queue = objective(
        objective="queue", queue_size=7, batch_negatives=True, key_gradient=True,
    )  # fmt: skip
    assert type(queue) is Queue
    assert queue.queue.keys.shape == (7, SMALL.dimension)
    assert (queue.batch_negatives, queue.key_gradient, queue.key_dropout) == (True, True, True)
    moco = objective(objective="moco", momentum=0.75, key_dropout=False, skip_same_text=True)
    assert type(moco) is MoCo
    assert (moco.momentum, moco.key_dropout, moco.skip_same_text) == (0.75, False, True)
    assert not moco.batch_negatives
    assert len(moco.queue) == 0


def test_a_momentum_schedule_ends_at_one() -> None:
    moco = objective(objective="moco", momentum=0.5, momentum_schedule="cosine", steps=10)
    assert moco.momentum(0) == 0.5
    assert moco.momentum(5) == pytest.approx(0.75)
    assert moco.momentum(10) == 1


def test_noise_comes_from_the_seed() -> None:
    first, again, other = (
        objective(objective="queue", queue_noise=True, queue_size=9, seed=seed).queue
        for seed in (1, 1, 2)
    )
    assert len(first) == 9
    assert torch.equal(first.keys, again.keys)
    assert not torch.equal(first.keys, other.keys)


def test_cached_gradients_wrap_the_encoder_and_the_result_is_unwrapped() -> None:
    for settings in ({}, {"objective": "queue"}, {"objective": "moco", "ship_slow": True}):
        config = SMALL.replace(micro_batch=5, **settings)
        made = objective(micro_batch=5, **settings)
        assert isinstance(made.encoder, CachedGradients)
        assert made.encoder.rows == 5
        shipped = result(made, config)
        assert isinstance(shipped, BagEncoder)
        assert (shipped is made.encoder.encoder) == (not config.ship_slow)


def test_the_result_is_the_trained_encoder_or_its_slow_copy() -> None:
    made = objective(objective="moco")
    assert result(made, SMALL.replace(objective="moco")) is made.encoder
    assert result(made, SMALL.replace(objective="moco", ship_slow=True)) is made.slow
