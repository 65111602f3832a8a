"""The training loop: draw two views of a batch of documents, score them, step, repeat."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn
from torch.optim import Optimizer
from tqdm import tqdm

from contriever_lite.batch import PairBatch, Views, batch_of_step
from contriever_lite.build import new_encoder, new_objective, result
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.journal import Journal
from contriever_lite.memory import keep_freed_memory
from contriever_lite.rng import torch_globals
from contriever_lite.state import RunState
from contriever_lite.table_adam import TableAdam
from contriever_lite.views import two_views

MEASURE_EVERY = 10  # steps between two measurements of accuracy, rank and deviation
Evaluate = Callable[[nn.Module, int], dict[str, float]]


def train(
    config: TrainConfig,
    corpus: Corpus,
    log: str | Path | None = None,
    evaluate: Evaluate | None = None,
    evaluate_every: int = 0,
    *,
    encoder: nn.Module | None = None,
    views: Views = two_views,
    state: str | Path | None = None,
    save_every: float = 60.0,
) -> nn.Module:
    """Train an encoder on a corpus's own documents; no query and no label is seen.

    log: a file that gets one JSON line a step (step, loss, learning_rate, seconds, and the
    objective's measures every tenth). evaluate(encoder, step) is called before the first step,
    every `evaluate_every` steps and after the last, and its numbers join the log. encoder: start
    from this one, which is trained in place, instead of a new one. views: what makes two views of a
    document, in place of views.two_views. state: a file that keeps the run's state, replaced every
    `save_every` seconds; if it is there, the run goes on from it, to the same weights, and so does
    the log, without its lines of steps that come again.

    Started in several processes (torchrun, accelerate launch), they share each batch, and the run
    is that of one process up to rounding. Raises ConfigError if the corpus is too small for a batch
    and TrainingError at a loss that is not finite, naming the step.
    """
    keep_freed_memory()
    accelerator = _accelerator()
    me, processes = accelerator.process_index, accelerator.num_processes
    config, usable = fit(config, corpus, processes)
    encoder = new_encoder(config, corpus) if encoder is None else encoder
    objective = new_objective(config, encoder, corpus.tokenizer)
    run = RunState(state, config, corpus, save_every)

    def pairs_of(step: int) -> PairBatch:
        return batch_of_step(corpus, usable, config, step, views).part(me, processes)

    journal = Journal()
    if accelerator.is_main_process:
        look = evaluate and _looking(evaluate, objective, config)
        journal = Journal(log, look, evaluate_every, config.steps)
    _loop(accelerator, config, objective, pairs_of, run, journal)
    return result(objective, config).to("cpu").eval()


def _loop(
    accelerator: Accelerator,
    config: TrainConfig,
    objective: nn.Module,
    pairs_of: Callable[[int], PairBatch],
    run: RunState,
    journal: Journal,
) -> None:
    objective.train().to(accelerator.device)
    optimizer = _optimizer(config, objective)
    first = run.restore(objective, optimizer)
    if run.path is not None:
        journal.cut(first)
    parts = accelerator.prepare(objective, optimizer)
    quiet = None if accelerator.is_main_process else True
    steps = tqdm(range(first, config.steps), "training", config.steps, initial=first,
                 unit=" steps", leave=False, disable=quiet)  # fmt: skip
    with journal, steps:
        for step in steps:
            numbers = _step(accelerator, *parts, pairs_of(step), config, step)
            objective.after_step()
            journal.write(step + 1, learning_rate=learning_rate(config, step), **numbers)
            steps.set_postfix(numbers, refresh=False)
            if accelerator.is_main_process:
                run.save_if_due(step + 1, objective, optimizer)


def _step(
    accelerator: Accelerator,
    objective: nn.Module,
    optimizer: Optimizer,
    pairs: PairBatch,
    config: TrainConfig,
    step: int,
) -> dict[str, float]:
    """One update; returns the loss and what was measured, means over the processes."""
    device, me = accelerator.device, accelerator.process_index
    with torch_globals(config.seed, "dropout", device, rank=me, step=step):
        loss, measures = objective(pairs.to(device), measure=step % MEASURE_EVERY == 0)
    means = accelerator.reduce({"loss": loss.detach(), **measures}, "mean")
    numbers = {name: mean.item() for name, mean in means.items()}
    if not math.isfinite(numbers["loss"]):
        raise TrainingError(
            f"the loss is {numbers['loss']} at step {step + 1}; lower learning_rate or raise "
            "temperature, and start again"
        )
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    optimizer.zero_grad()
    accelerator.backward(loss)
    optimizer.step()
    return numbers


def _looking(
    evaluate: Evaluate, objective: nn.Module, config: TrainConfig
) -> Callable[[int], dict[str, float]]:
    def look(step: int) -> dict[str, float]:
        objective.eval()
        numbers = evaluate(result(objective, config), step)
        objective.train()
        return numbers

    return look


def _accelerator() -> Accelerator:
    """Each process updates its own queue and slow encoder alike, so no buffer is broadcast."""
    quiet = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[quiet])


def _optimizer(config: TrainConfig, objective: nn.Module) -> Optimizer:
    learnt = [p for p in objective.parameters() if p.requires_grad]
    return TableAdam(learnt, lr=config.learning_rate, betas=config.betas)


def fit(config: TrainConfig, corpus: Corpus, processes: int = 1) -> tuple[TrainConfig, np.ndarray]:
    """(config, numbers of the documents that can give two views): those of two tokens or more.

    The batch shrinks to the number of such documents where there are fewer, and to what the
    processes can share equally; the steps to config.epochs passes over the documents, if that is
    fewer. Raises ConfigError below two documents, or one a process.
    """
    usable = np.flatnonzero(corpus.lengths >= 2)
    size = min(config.batch_size, len(usable)) // processes * processes
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
