"""What a run will need, before it starts: memory, arithmetic, time."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from contriever_lite.batch import PairBatch, batch_of_step
from contriever_lite.build import new_objective
from contriever_lite.config import QUEUED, TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.optimizer import new_optimizer
from contriever_lite.precision import prepared

ACTIVATIONS = 28  # numbers that a layer keeps for backward, per token and dimension
TIMED = 8  # documents of a timed step of a transformer


def parameters(encoder: nn.Module) -> tuple[int, int]:
    """(all, those that are no table of vectors): the latter multiply every token."""
    tables = (m.weight for m in encoder.modules() if isinstance(m, nn.Embedding))
    count = sum(p.numel() for p in encoder.parameters())
    if not hasattr(encoder, "model"):
        return count, 0
    return count, count - sum(table.numel() for table in tables)


def tokens(pairs: PairBatch, config: TrainConfig) -> tuple[int, int]:
    """(with gradient, without) of a batch, [CLS] and [SEP] included."""
    frame = 2 * (config.specials and config.encoder == "transformer")
    query, key = (len(side.tokens) + frame * len(side) for side in (pairs.query, pairs.key))
    if config.objective == "mlm":
        return key, 0
    learns = config.objective == "in_batch" or config.key_gradient
    return (query + key, 0) if learns else (query, key)


def memory(config: TrainConfig, encoder: nn.Module, pairs: PairBatch) -> dict[str, int]:
    """Bytes of the parts of a training step at its peak.

        weights = gradients = 4 P,   optimizer = 8 P,   slow encoder = 4 P with moco
        queue = K (4 D + 16)
        activations = T layers ACTIVATIONS D bytes_a_number m
        scores = 12 M B (B + K),   with mlm 12 V times the tokens to guess

    P: parameters. K: queue_size. T: tokens with gradient. m: the share of the rows whose
    activations are held at once, below 1 with micro_batch. M B queries against B + K keys: their
    logits, softmax and gradient. An estimate, within a factor of 2 of what PyTorch allocates.
    """
    count, queue = parameters(encoder)[0], config.queue_size * (config.objective in QUEUED)
    rows = len(pairs.query) + len(pairs.key)
    held = min(1.0, (config.micro_batch or rows) / rows)
    size = 4 if config.precision == "float32" else 2
    model = getattr(getattr(encoder, "model", None), "config", None)
    width = model.num_hidden_layers * model.hidden_size if model else 0
    wide = tokens(pairs, config)[0] * (width * ACTIVATIONS * size if model else encoder.dimension)
    return {
        "weights": 4 * count,
        "gradients": 4 * count,
        "optimizer": 8 * count,
        "slow encoder": 4 * count * (config.objective == "moco"),
        "queue": queue * (4 * encoder.dimension + 16),
        "activations": round(wide * held),
        "scores": 12 * _scores(config, encoder, pairs),
    }


def _scores(config: TrainConfig, encoder: nn.Module, pairs: PairBatch) -> int:
    if config.objective == "mlm":
        words = encoder.model.get_input_embeddings().weight
        return round(config.masked * tokens(pairs, config)[0]) * len(words)
    queue = config.queue_size * (config.objective in QUEUED)
    return len(pairs.query) * (len(pairs) + queue)


def operations(config: TrainConfig, encoder: nn.Module, pairs: PairBatch) -> float:
    """Floating-point operations of a step of a transformer.

        F = (2 N + 4 layers D n) (3 T + T')   (4 T in place of 3 T with micro_batch)

    N: parameters that are no table; n: mean tokens of a text; T, T': tokens with gradient and
    without. A forward is 2 N a token and attention, a backward twice as much; cached gradients
    encode once more. 0 for the bag, whose time goes to reading memory.
    """
    dense = parameters(encoder)[1]
    if not dense:
        return 0.0
    model, (learning, still) = encoder.model.config, tokens(pairs, config)
    rows = len(pairs.key) if config.objective == "mlm" else len(pairs.query) + len(pairs.key)
    mean = (learning + still) / rows
    attention = 4 * model.num_hidden_layers * model.hidden_size * mean
    return (2 * dense + attention) * ((3 + bool(config.micro_batch)) * learning + still)


def seconds_a_step(
    config: TrainConfig, corpus: Corpus, usable: np.ndarray, encoder: nn.Module
) -> float:
    """Measured on this machine: forward and backward, of a transformer on TIMED documents and then
    in proportion, and an update. The encoder is changed."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    objective = new_objective(config, encoder, corpus.tokenizer).train().to(device)
    optimizer, pairs = new_optimizer(config, objective), batch_of_step(corpus, usable, config, 0)
    share = max(1, len(pairs) // TIMED) if config.encoder == "transformer" else 1
    part = pairs.part(0, share).to(device)

    def both() -> None:
        loss, _ = objective(part, measure=False)
        loss.backward()
        loss.item()

    with prepared(config.replace(compile=False) if config.compile else config, objective, device):
        passes = _timed(both)
    return share * passes + _timed(optimizer.step)


def _timed(work: Callable[[], object], repeats: int = 2) -> float:
    """Seconds of the fastest repeat after a first that does not count."""
    found = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return min(found[1:])


def fitting(config: TrainConfig, needed: dict[str, int], there: int) -> tuple[int, int]:
    """(batch_size, micro_batch): the largest powers of two with which all fits into nine tenths of
    `there` bytes; 0 where not even that helps. A batch's part shrinks in proportion, its scores
    too; with micro_batch the activations alone shrink."""
    batch_part, rows = needed["activations"] + needed["scores"], config.batch_size
    fixed = sum(needed.values()) - batch_part
    free = 0.9 * there - fixed
    batch = free / (batch_part / rows)
    sides = rows * (config.query_views + 1)
    micro = (free - needed["scores"]) / max(1.0, needed["activations"] / sides)
    return _power(min(batch, rows)), _power(min(micro, sides))


def _power(number: float) -> int:
    return 2 ** int(np.log2(number)) if number >= 1 else 0
