"""The training loop: draw two views of a batch of documents, score them, step, repeat."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGTERM

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import nn
from torch.optim import Optimizer

from contriever_lite.batch import PairBatch, Views, batch_of_step
from contriever_lite.build import new_encoder, new_objective, result
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.divergence import Divergence
from contriever_lite.fit import fit
from contriever_lite.incidents import agree, enough_memory, gone_wrong, stop
from contriever_lite.journal import Journal
from contriever_lite.memory import keep_freed_memory
from contriever_lite.optimizer import clip_gradients, learning_rate, new_optimizer
from contriever_lite.precision import prepared
from contriever_lite.prefetch import Prefetch
from contriever_lite.rng import torch_globals
from contriever_lite.state import RunState
from contriever_lite.stop import Signals
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
    save_every: float = 300.0,
    keep: int = 2,
    tensorboard: str | Path | None = None,
) -> nn.Module:
    """Train an encoder on a corpus's own documents; no query and no label is seen.

    log: a file that gets one JSON line a step (step, loss, learning_rate, seconds,
    pairs_per_second, and the objective's measures every tenth); tensorboard: a folder for the same
    numbers. evaluate(encoder, step) is called before the first step, every `evaluate_every` steps
    and after the last, and its numbers join the log. encoder: start from this one, which is trained
    in place, instead of a new one. views: what makes two views of a document, in place of
    views.two_views.

    state: a folder that keeps the run's states (state.RunState): one every `save_every` seconds, of
    which the last `keep` stay, and the best by the first number of `evaluate`. If there is one, the
    run goes on from it, to the same weights, and so does the log, without its lines of steps that
    come again. SIGTERM and Ctrl-C then end the step, save its state and raise Stopped.

    Started in several processes (torchrun, accelerate launch), they share each batch, and the run
    is that of one process up to rounding. Raises ConfigError if the corpus is too small for a batch
    and TrainingError when the run goes wrong (divergence.py), naming the step.
    """
    keep_freed_memory()
    accelerator = _accelerator()
    config, usable = fit(config, corpus, accelerator.num_processes)
    encoder = new_encoder(config, corpus) if encoder is None else encoder
    objective = new_objective(config, encoder, corpus.tokenizer)
    run = RunState(state, config, corpus, save_every, keep)
    pairs_of = partial(_pairs_of_step, accelerator, corpus, usable, config, views)
    looks = evaluate and _looking(evaluate, objective, config), evaluate_every, config.steps
    watched = {"pairs": config.batch_size, "tensorboard": tensorboard, "bar": True}
    journal = Journal(log, *looks, **watched) if accelerator.is_main_process else Journal()
    device = accelerator.device
    with enough_memory(config, objective, pairs_of), prepared(config, objective, device) as scaler:
        accelerator.scaler = scaler
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
    optimizer, divergence = new_optimizer(config, objective), Divergence(config)
    first = run.restore(objective=objective, optimizer=optimizer, divergence=divergence,
                        scaler=accelerator.scaler)  # fmt: skip
    agree(accelerator, first)
    if run.folder is not None:
        journal.cut(first)
    parts = _prepare(accelerator, objective, optimizer)
    batches = Prefetch(pairs_of, range(first, config.steps), accelerator.device)
    with Signals(run.folder, accelerator.num_processes == 1) as signals, journal, batches:
        for step, pairs in batches:
            numbers = _step(accelerator, *parts, pairs, config, step, bool(signals.number))
            stopping = numbers.pop("stop") > 0
            if trouble := divergence.watch(numbers["loss"]):
                raise gone_wrong(trouble, step, run)
            objective.after_step()
            found = journal.write(step + 1, learning_rate=learning_rate(config, step), **numbers)
            if accelerator.is_main_process:
                run.save_if_due(step + 1, next(iter(found.values()), None))
            if stopping:
                stop(accelerator, run, step + 1, signals.number or SIGTERM)


def _step(
    accelerator: Accelerator,
    objective: nn.Module,
    optimizer: Optimizer,
    pairs: PairBatch,
    config: TrainConfig,
    step: int,
    stopping: bool,
) -> dict[str, float]:
    """One update; returns the loss and what was measured, means over the processes, and whether any
    of them is to stop. The numbers are read last: to read is to wait for the GPU."""
    device, me = accelerator.device, accelerator.process_index
    with torch_globals(config.seed, "dropout", device, rank=me, step=step):
        loss, measures = objective(pairs, measure=step % MEASURE_EVERY == 0)
    measures |= {"loss": loss.detach(), "stop": torch.tensor(float(stopping), device=device)}
    numbers = accelerator.reduce(measures, "mean")
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    optimizer.zero_grad()
    accelerator.backward(loss)
    if config.clip is not None:
        if accelerator.scaler is not None:
            accelerator.scaler.unscale_(optimizer.optimizer)
        numbers["gradient_norm"] = clip_gradients(objective.parameters(), config.clip)
    optimizer.step()
    return {name: float(number) for name, number in numbers.items()}


def _prepare(accelerator: Accelerator, *parts: nn.Module | Optimizer) -> tuple:
    """The parts as every process needs them. What DistributedDataParallel says about the name of a
    setting is for those who write it, and older versions know no other."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*broadcast_buffers")
        return accelerator.prepare(*parts)


def _pairs_of_step(
    accelerator: Accelerator,
    corpus: Corpus,
    usable: np.ndarray,
    config: TrainConfig,
    views: Views,
    step: int,
) -> PairBatch:
    """The part of the step's batch that is this process's own."""
    batch = batch_of_step(corpus, usable, config, step, views)
    return batch.part(accelerator.process_index, accelerator.num_processes)


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
    """Each process updates its own queue and slow encoder alike, so no buffer is broadcast. The
    precision is the config's (precision.py), whatever `accelerate config` may say."""
    quiet = DistributedDataParallelKwargs(broadcast_buffers=False)
    cpu = not torch.cuda.is_available()
    return Accelerator(cpu=cpu, mixed_precision="no", kwargs_handlers=[quiet])
