"""A transformer small enough to train in a test."""

import synthetic

from contriever_lite.config import TrainConfig

TINY: TrainConfig = synthetic.SMALL.replace(
    encoder="transformer", layers=2, heads=2, dimension=16, dropout=0.1, window=24, batch_size=16,
    steps=8, learning_rate=3e-3, rate="linear", weight_decay=0.01, clip=1.0, normalise=False,
    temperature=1.0,
)  # fmt: skip
MOCO: TrainConfig = TINY.replace(objective="moco", queue_size=40, momentum=0.9)
