"""Settings that fit the corpus and the processes there are."""

import numpy as np

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import ConfigError
from contriever_lite.sampling import fitting_batch, usable_numbers


def fit(config: TrainConfig, corpus: Corpus, processes: int = 1) -> tuple[TrainConfig, np.ndarray]:
    """(config, numbers of the documents, or windows, that can give two views).

    The batch shrinks to what there is, and to what the processes can share equally (sampling.py);
    the steps to config.epochs passes over the documents, if that is fewer. Raises ConfigError below
    two documents, or one a process.
    """
    usable = usable_numbers(corpus, config)
    size = fitting_batch(corpus, usable, config, processes)
    if size < 2:
        raise ConfigError(
            f"{len(usable)} of {len(corpus)} documents have two tokens or more, and batch_size = "
            f"{config.batch_size}: a batch needs at least {max(2, processes)}, two to contrast and "
            "one for each process; give more text, a larger batch_size, or fewer processes"
        )
    most = config.steps
    if config.epochs is not None:
        most = min(most, max(1, round(config.epochs * len(usable) / size)))
    return config.replace(batch_size=size, steps=most), usable
