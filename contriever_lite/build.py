"""From settings to the parts of a run: encoder, criterion, objective."""

from collections.abc import Callable

import torch
from tokenizers import Tokenizer
from torch import nn

from contriever_lite import loss
from contriever_lite.cached import CachedGradients
from contriever_lite.checkpoint import Encoder
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.criterion import Criterion
from contriever_lite.ema import cosine_momentum
from contriever_lite.encoder import BagEncoder
from contriever_lite.key_queue import KeyQueue
from contriever_lite.mlm import MaskedLanguage
from contriever_lite.objective import InBatch, MoCo, Queue
from contriever_lite.rng import torch_stream
from contriever_lite.tokens import ordinary_ids, special_ids, table_size
from contriever_lite.warm_start import MUTE, new_transformer, stop_word_ids, warm_start


def new_encoder(config: TrainConfig, corpus: Corpus) -> Encoder:
    """The encoder before its first step: random, or from config.start."""
    if config.start:
        encoder = warm_start(config, corpus)
    elif config.encoder == "transformer":
        encoder = new_transformer(config, corpus.tokenizer)
    else:
        size, generator = table_size(corpus.tokenizer), torch_stream(config.seed, "encoder")
        settings = {"normalise": config.normalise, "generator": generator}
        encoder = BagEncoder(size, config.dimension, **settings)
    if config.encoder == "bag":
        _weigh(encoder, config, corpus)
    return encoder


def _weigh(encoder: BagEncoder, config: TrainConfig, corpus: Corpus) -> None:
    """The bag's weights: 1, or the corpus's idf; stop words mute."""
    if config.idf_weights:
        frequency = torch.from_numpy(corpus.document_frequency())
        encoder.start_weights_at_idf(frequency, len(corpus))
    if config.stop_words:
        with torch.no_grad():
            encoder.log_weights[stop_word_ids(corpus.tokenizer, config.stop_words)] = MUTE


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


def new_objective(
    config: TrainConfig, encoder: nn.Module, tokenizer: Tokenizer | None = None
) -> nn.Module:
    """The objective that config names, around an encoder: InBatch, Queue, MoCo or MaskedLanguage,
    which alone needs the tokenizer."""
    if config.objective == "mlm":
        ordinary = torch.from_numpy(ordinary_ids(tokenizer).copy())
        return MaskedLanguage(encoder, special_ids(tokenizer).mask, ordinary, config.masked)
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


def result(objective: nn.Module, config: TrainConfig) -> nn.Module:
    """The encoder that a run is for: the trained one, or its slow copy if config.ship_slow."""
    encoder = objective.slow if config.ship_slow else objective.encoder
    return encoder.encoder if isinstance(encoder, CachedGradients) else encoder
