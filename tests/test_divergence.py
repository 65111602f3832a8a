"""A run that has gone wrong stops, and one that only jumps does not."""

import json
import math
from pathlib import Path

import pytest
import synthetic
import torch
from torch import nn

from contriever_lite.config import TrainConfig
from contriever_lite.divergence import PATIENCE, TIMES, Divergence
from contriever_lite.errors import TrainingError
from contriever_lite.train import train

CONFIG = TrainConfig(batch_size=63)


def run(watcher: Divergence, *losses: float) -> list[str]:
    return [watcher.watch(loss) for loss in losses]


@pytest.mark.parametrize(
    ("config", "first", "limit"),
    [
        (CONFIG, 1.0, TIMES * math.log(64)),
        (CONFIG, 9.0, TIMES * 9.0),
        (CONFIG.replace(objective="moco", queue_size=1000), 0.0, TIMES * math.log(1064)),
        (CONFIG.replace(loss="equation_1"), -0.3, TIMES * math.log(64)),
    ],
)
def test_a_run_diverges_above_its_limit(config: TrainConfig, first: float, limit: float) -> None:
    watcher = Divergence(config)
    assert watcher.watch(first) == ""
    assert watcher.limit == pytest.approx(limit)
    assert not any(run(watcher, *[limit + 0.1] * (PATIENCE - 1))), "patience"
    assert not any(run(watcher, limit - 0.1, *[limit + 0.1] * (PATIENCE - 1))), "it came back"
    other = Divergence(config)
    other.load_state_dict(watcher.state_dict())
    for each in (watcher, other):
        assert each.watch(limit + 0.1).endswith(f"has been above {limit:.3g} for 100 steps")


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_wrong_at_once(loss: float) -> None:
    assert Divergence(CONFIG).watch(loss) == f"the loss is {loss}"


class Breaking(nn.Module):
    """An encoder whose vectors are not numbers from its `at`-th forward on."""

    dimension = 4

    def __init__(self, at: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.ones(synthetic.SMALL.vocab_size, 4))
        self.at, self.calls = at, 0

    def forward(self, batch) -> torch.Tensor:
        self.calls += 1
        bag = nn.functional.embedding_bag(batch.tokens, self.table, batch.offsets)
        return bag * (math.nan if self.calls >= self.at else 1)


@pytest.mark.parametrize("in_a_run", [True, False])
def test_the_message_says_how_to_go_on(tmp_path: Path, in_a_run: bool) -> None:
    """The step, how its batch is made again, the last good state; the bad one is not saved."""
    config = synthetic.SMALL.replace(steps=9, loss="sigmoid", normalise=False)
    if in_a_run:
        (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    with pytest.raises(TrainingError) as error:
        train(config, synthetic.corpus(), encoder=Breaking(5), state=tmp_path / "s", save_every=0)
    message = str(error.value)
    assert message.startswith("the loss is nan at step 5; lower learning_rate")
    library = "batch_of_step(corpus, usable, config, 4)"
    command = f"contriever-lite batch --run {tmp_path} --step 5"
    assert f"Its batch: {command if in_a_run else library}." in message
    assert message.endswith(f"The last good state: {tmp_path / 's' / 'step-4.pt'}")
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"step-3.pt", "step-4.pt"}
    with pytest.raises(TrainingError, match="state: none was due"):
        train(config, synthetic.corpus(), encoder=Breaking(5))
