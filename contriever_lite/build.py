"""From settings to the parts of a run: encoder, criterion, objective."""

from collections.abc import Callable

import torch
from torch import nn

from contriever_lite import loss
from contriever_lite.cached import CachedGradients
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.criterion import Criterion
from contriever_lite.ema import cosine_momentum
from contriever_lite.encoder import BagEncoder
from contriever_lite.key_queue import KeyQueue
from contriever_lite.objective import InBatch, MoCo, Queue
from contriever_lite.rng import torch_stream
from contriever_lite.warm_start import MUTE, stop_word_ids, warm_start


def new_encoder(config: TrainConfig, corpus: Corpus) -> BagEncoder:
    """The encoder before its first step: vectors at random, or config.start's; weights at 1, or
    the corpus's idf; stop words mute."""
    size, generator = corpus.tokenizer.get_vocab_size(), torch_stream(config.seed, "encoder")
    encoder = (
        warm_start(config, corpus)
        if config.start
        else BagEncoder(size, config.dimension, normalise=config.normalise, generator=generator)
    )
    if config.idf_weights:
        frequency = torch.from_numpy(corpus.document_frequency())
        encoder.start_weights_at_idf(frequency, len(corpus))
    if config.stop_words:
        with torch.no_grad():
            encoder.log_weights[stop_word_ids(corpus.tokenizer, config.stop_words)] = MUTE
    return encoder


def new_criterion(config: TrainConfig) -> Criterion:
    """The loss of loss.py that config names, with its temperature, fixed or learnt."""
    settings = {
        "info_nce": {"symmetric": config.symmetric},
        "sigmoid": {"bias": config.bias},
    }
    return Criterion(
        getattr(loss, config.loss),
        config.temperature,
        config.learn_temperature,
        **settings.get(config.loss, {}),
    )


def new_objective(config: TrainConfig, encoder: nn.Module) -> InBatch | Queue | MoCo:
    """The objective that config names, around an encoder."""
    criterion = new_criterion(config)
    same = {"skip_same_text": config.skip_same_text}
    dimension = encoder.dimension
    if config.micro_batch:
        encoder = CachedGradients(encoder, config.micro_batch)
    if config.objective == "in_batch":
        return InBatch(encoder, criterion, **same)
    noise = torch_stream(config.seed, "queue") if config.queue_noise else None
    queue = KeyQueue(config.queue_size, dimension, noise)
    same |= {"batch_negatives": config.batch_negatives, "key_dropout": config.key_dropout}
    if config.objective == "queue":
        return Queue(encoder, criterion, queue, key_gradient=config.key_gradient, **same)
    return MoCo(encoder, criterion, queue, _momentum(config), **same)


def _momentum(config: TrainConfig) -> float | Callable[[int], float]:
    if config.momentum_schedule == "constant":
        return config.momentum
    return lambda update: cosine_momentum(update, config.steps, config.momentum)


def result(objective: InBatch | Queue | MoCo, config: TrainConfig) -> nn.Module:
    """The encoder that a run is for: the trained one, or its slow copy if config.ship_slow."""
    encoder = objective.slow if config.ship_slow else objective.encoder
    return encoder.encoder if isinstance(encoder, CachedGradients) else encoder
