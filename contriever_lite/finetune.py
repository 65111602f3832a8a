"""Fine-tuning: the contrastive loss again, with pairs that people made."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from contriever_lite.batch import concatenate
from contriever_lite.build import new_criterion
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.labels import LabelBatch, Labels, Numbers, batch_of_labels
from contriever_lite.optimizer import clip_gradients, learning_rate, new_optimizer
from contriever_lite.rng import torch_globals

Evaluate = Callable[[nn.Module], float]  # higher is better


@dataclass(frozen=True)
class Finetuned:
    """The encoder in its best state, the steps that state has taken, and step -> score."""

    encoder: nn.Module
    steps: int
    scores: dict[int, float] = field(default_factory=dict)


class FromLabels(nn.Module):
    """The batch's other answers are a query's negatives, and so are all mined documents.

    Queries and documents go through one encoder in one forward, and all receive gradient. A
    document that is known to answer a query is never its negative.
    """

    def __init__(self, encoder: nn.Module, criterion: nn.Module) -> None:
        super().__init__()
        self.encoder, self.criterion = encoder, criterion

    def forward(self, batch: LabelBatch) -> Tensor:
        """The criterion's loss, a scalar."""
        texts = [batch.pairs.query, batch.pairs.key, batch.negatives]
        q, k, negatives = self.encoder(concatenate(texts)).split([len(rows) for rows in texts])
        return self.criterion(q, k, negatives, ignore=batch.ignore)


def finetune(
    config: TrainConfig,
    encoder: nn.Module,
    corpus: Corpus,
    labels: Labels,
    hard: Numbers | None = None,
    evaluate: Evaluate | None = None,
    every: int = 0,
) -> Finetuned:
    """Train a copy of an encoder on labelled pairs: a pure function of its arguments.

    Of config these count: seed, batch_size (at most the labels there are), steps, learning_rate,
    rate, warmup, betas, weight_decay, clip, window, loss, temperature, symmetric. hard: hard
    negatives (mining.mine, then labels.numbered), one a query and step beside those of the batch.

    evaluate(encoder) on labels held out, before the first step, every `every` steps and after the
    last: the state with the highest score is returned, the earlier of two equal ones; without it,
    the last. Raises ConfigError below two labels, or where they are of another corpus, and
    TrainingError on a loss that is no number.
    """
    config = _fit(config, corpus, labels)
    objective = FromLabels(deepcopy(encoder), new_criterion(config)).train()
    optimizer = new_optimizer(config, objective)
    best = _Best(evaluate, objective)
    for step in tqdm(range(config.steps), "fine-tuning", unit=" steps", leave=False, delay=2):
        if step == 0 or (every and step % every == 0):
            best.look(step)
        batch = batch_of_labels(labels, corpus, config, step, hard)
        _step(objective, optimizer, batch, config, step)
    best.look(config.steps)
    return best.result()


def _fit(config: TrainConfig, corpus: Corpus, labels: Labels) -> TrainConfig:
    last = max(int(numbers.max()) for numbers in labels.answers)
    if len(labels) < 2 or last >= len(corpus):
        raise ConfigError(
            f"{len(labels)} labels, whose last document has number {last} of {len(corpus)}: give "
            "two labels or more, and the corpus whose documents they name"
        )
    return config.replace(batch_size=min(config.batch_size, len(labels)))


def _step(
    objective: FromLabels,
    optimizer: Optimizer,
    batch: LabelBatch,
    config: TrainConfig,
    step: int,
) -> None:
    with torch_globals(config.seed, "dropout", torch.device("cpu"), step=step):
        loss = objective(batch)
    if not loss.isfinite():
        raise TrainingError(f"step {step + 1}: the loss is {loss.item()}; lower learning_rate")
    update(optimizer, loss, learning_rate(config, step), config.clip)


def update(optimizer: Optimizer, loss: Tensor, rate: float, clip: float | None) -> None:
    """One step of the optimizer down the gradient of a loss, at this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        clip_gradients((p for group in optimizer.param_groups for p in group["params"]), clip)
    optimizer.step()


class _Best:
    """Keeps the best state of an encoder as it is trained."""

    def __init__(self, evaluate: Evaluate | None, objective: FromLabels) -> None:
        self.evaluate, self.objective = evaluate, objective
        self.scores: dict[int, float] = {}
        self.step, self.state = 0, None

    def look(self, step: int) -> None:
        if self.evaluate is None:
            self.step = step
            return
        self.objective.eval()
        score = self.evaluate(self.objective.encoder)
        self.objective.train()
        if not self.scores or score > max(self.scores.values()):
            self.step, self.state = step, deepcopy(self.objective.encoder.state_dict())
        self.scores[step] = score

    def result(self) -> Finetuned:
        encoder = self.objective.encoder.eval()
        if self.state is not None:
            encoder.load_state_dict(self.state)
        return Finetuned(encoder, self.step, self.scores)
