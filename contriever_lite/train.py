"""The training loop: draw two views of a batch of documents, score them, step, repeat."""

import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from contriever_lite.batch import pair_of_step
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.loss import equation_1, info_nce
from contriever_lite.memory import keep_freed_memory
from contriever_lite.objective import InBatch
from contriever_lite.rng import torch_stream
from contriever_lite.table_adam import TableAdam

MEASURE_EVERY = 10  # steps between two measurements of accuracy
Evaluate = Callable[[BagEncoder, int], dict[str, float]]


def train(
    config: TrainConfig,
    corpus: Corpus,
    log: str | Path | None = None,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 0,
) -> BagEncoder:
    """Train an encoder on a corpus's own documents; no query and no label is seen.

    log: a file that gets one JSON line a step (step, loss, learning_rate, seconds, and
    accuracy every tenth).
    evaluate(encoder, step) is called before the first step, every `evaluate_every` steps and after
    the last, and its numbers join the log. Raises ConfigError if the corpus is too small for a
    batch and TrainingError at a loss that is not finite, naming the step.
    """
    keep_freed_memory()
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    config, usable = fit(config, corpus)
    encoder = new_encoder(config, corpus)
    optimizer = TableAdam(encoder.parameters(), lr=config.learning_rate, betas=config.betas)
    objective, optimizer = accelerator.prepare(InBatch(encoder, loss_function(config)), optimizer)
    journal = Journal(log, evaluate and partial(evaluate, encoder), evaluate_every, config.steps)
    with journal, tqdm(total=config.steps, desc="training", unit=" steps", leave=False) as bar:
        journal.write(0)
        for step in range(config.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step)
            query, key = pair_of_step(corpus, usable, config, step, accelerator.process_index)
            views = query.to(accelerator.device), key.to(accelerator.device)
            loss, measures = objective(*views, measure=step % MEASURE_EVERY == 0)
            _update(accelerator, optimizer, loss, step + 1)
            accelerator.unwrap_model(objective).after_step()
            numbers = {name: x.item() for name, x in {"loss": loss, **measures}.items()}
            journal.write(step + 1, learning_rate=learning_rate(config, step), **numbers)
            bar.set_postfix(numbers, refresh=False)
            bar.update()
    return encoder.to("cpu").eval()


def fit(config: TrainConfig, corpus: Corpus) -> tuple[TrainConfig, np.ndarray]:
    """(config, numbers of the documents that can give two views): those of two tokens or more.

    The batch shrinks to the number of such documents where there are fewer. Raises ConfigError
    below two documents.
    """
    usable = np.flatnonzero(corpus.lengths >= 2)
    if len(usable) < 2:
        raise ConfigError(
            f"{len(usable)} of {len(corpus)} documents have two tokens or more, and contrast needs "
            "two such documents; give a corpus with more text"
        )
    return config.replace(batch_size=min(config.batch_size, len(usable))), usable


def new_encoder(config: TrainConfig, corpus: Corpus) -> BagEncoder:
    """The encoder before its first step: random vectors, and weights at 1 or at idf."""
    generator = torch_stream(config.seed, "encoder")
    size = corpus.tokenizer.get_vocab_size()
    encoder = BagEncoder(size, config.dimension, normalise=config.normalise, generator=generator)
    if config.idf_weights:
        frequency = torch.from_numpy(corpus.document_frequency())
        encoder.start_weights_at_idf(frequency, len(corpus))
    return encoder


def loss_function(config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss with its settings bound: (q, k) -> scalar."""
    if config.loss == "equation_1":
        return partial(equation_1, temperature=config.temperature)
    return partial(info_nce, temperature=config.temperature, symmetric=config.symmetric)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine, for step = 0, 1, ..., steps - 1.

        w = ceil(warmup * steps)
        lr(step) = peak (step + 1) / w                                      if step < w
                   peak (1 + cos(pi (step - w) / (steps - w))) / 2          otherwise

    peak: config.learning_rate. The cosine is Loshchilov and Hutter's (2017), without restarts.
    """
    w = math.ceil(config.warmup * config.steps)
    if step < w:
        return config.learning_rate * (step + 1) / w
    return config.learning_rate * (1 + math.cos(math.pi * (step - w) / (config.steps - w))) / 2


class Journal:
    """The log of a run: one JSON line a step, on disk as soon as it is written."""

    def __init__(
        self,
        path: str | Path | None,
        evaluate: Callable[[int], dict[str, float]] | None,
        every: int,
        last: int,
    ) -> None:
        self.path, self.evaluate, self.every, self.last = path, evaluate, every, last
        self.start = time.perf_counter()
        self.file = None

    def __enter__(self) -> "Journal":
        if self.path is not None:
            self.file = Path(self.path).open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def write(self, step: int, **numbers: Any) -> None:
        """Add a step's numbers, with an evaluation where one is due."""
        seconds = round(time.perf_counter() - self.start, 3)
        due = step in (0, self.last) or (self.every and step % self.every == 0)
        if self.evaluate is not None and due:
            numbers |= self.evaluate(step)
        if self.file is not None and numbers:
            self.file.write(json.dumps({"step": step, "seconds": seconds, **numbers}) + "\n")
            self.file.flush()


def _update(accelerator: Accelerator, optimizer: Optimizer, loss: Tensor, step: int) -> None:
    if not torch.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss.item()} at step {step}; lower learning_rate or raise temperature, "
            "and start again"
        )
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()
