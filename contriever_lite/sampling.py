"""What a step trains on: numbers of documents, or of windows of text, drawn from one corpus or a
mixture of several. A pure function of (seed, step), so any step's batch can be drawn again.

With config.straddle all documents of a source are one stream of tokens, cut into windows of
config.window tokens from a random offset on, drawn anew each epoch: window number i of an epoch is
tokens[offset + i window : offset + (i + 1) window]. So the reference code does it (src/data.py).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, offsets_of, slices
from contriever_lite.errors import ConfigError
from contriever_lite.rng import stream


class Draw(NamedTuple):
    """(B,) numbers of documents or windows, and (B,) the epoch of its source each belongs to."""

    numbers: np.ndarray
    epochs: np.ndarray


def usable_numbers(corpus: Corpus, config: TrainConfig) -> np.ndarray:
    """Everything that can give two views: documents of two tokens or more, or all windows."""
    if not config.straddle:
        return np.flatnonzero(corpus.lengths >= 2)
    if config.title_pairs:
        raise ConfigError(
            f"straddle = True with title_pairs = {config.title_pairs}: a window of several "
            "documents has no title; set title_pairs=0"
        )
    return np.arange(_windows(corpus, config.window).sum())


def first_numbers(corpus: Corpus, config: TrainConfig) -> tuple[int, ...]:
    """The number of the first document, or window, of each source."""
    if not config.straddle:
        return corpus.sources
    return (0, *np.cumsum(_windows(corpus, config.window))[:-1].tolist())


def fitting_batch(corpus: Corpus, usable: np.ndarray, config: TrainConfig, processes: int) -> int:
    """config.batch_size, or as much of it as an epoch of every source can fill and processes (and,
    with mixture = "share", sources) can share equally. Raises ConfigError for a source of nothing
    usable."""
    pools = [len(pool) for pool in _pools(usable, first_numbers(corpus, config))]
    if len(pools) > 1 and not min(pools):
        raise ConfigError(
            f"corpus {pools.index(0) + 1} of {len(pools)} holds nothing to train on: no document "
            "of two tokens, or with straddle no window; leave it out"
        )
    most = {"batch": min(pools), "share": len(pools) * min(pools)}.get(config.mixture, sum(pools))
    unit = math.lcm(processes, len(pools)) if config.mixture == "share" else processes
    return min(config.batch_size, most) // unit * unit


def draw_of_step(
    usable: np.ndarray, config: TrainConfig, step: int, first: tuple[int, ...] = (0,)
) -> Draw:
    """What step `step` trains on, config.batch_size numbers out of `usable`, which is sorted.

    One source: each epoch is one random order, cut into batches; the last, incomplete one is left
    out, so a batch never holds a number twice. Several, from the numbers `first` on, by
    config.mixture:

    "size"     as one: a source weighs what it holds
    "share"    batch_size / S of every batch from each of the S sources
    "batch"    each batch from one source, the sources in turn: "half the batches" (paper, A.1)
    "example"  each example from a source chosen at random, with equal chance: the reference code,
               sampling_coefficient 0; there the document is drawn anew each time, here each source
               runs through epochs of its own without a gap, so where one ends in the middle of a
               batch, that batch may hold a number twice
    """
    pools, size = _pools(usable, first), config.batch_size
    if len(pools) == 1 or config.mixture == "size":
        return _batch(usable, config.seed, size, step)
    if config.mixture == "batch":
        turn, source = divmod(step, len(pools))
        return _batch(pools[source], config.seed, size, turn, source)
    if config.mixture == "share":
        each = size // len(pools)
        parts = [_batch(pool, config.seed, each, step, s) for s, pool in enumerate(pools)]
    else:
        before = _examples_before(config.seed, size, len(pools), 1 << max(10, step.bit_length()))
        parts = [
            _stretch(pool, config.seed, *before[step : step + 2, s].tolist(), s)
            for s, pool in enumerate(pools)
        ]
    return _shuffled(parts, stream(config.seed, "order", step=step))


def windows(corpus: Corpus, draw: Draw, config: TrainConfig) -> Corpus:
    """The windows that were drawn, in this order, as a small corpus; none has a title."""
    first = np.array(first_numbers(corpus, config))
    source = np.searchsorted(first, draw.numbers, side="right") - 1
    where = zip(source.tolist(), draw.epochs.tolist(), strict=True)
    offset = np.array([_offset(config.seed, config.window, *place) for place in where])
    streams = corpus.offsets[list(corpus.sources)]  # where each source's tokens begin
    starts = streams[source] + offset + config.window * (draw.numbers - first[source])
    rows = slices(corpus.tokens, starts, np.full(len(starts), config.window))
    titles = np.zeros(len(starts), np.int32)
    return Corpus(rows.tokens, offsets_of(rows.lengths), titles, corpus.tokenizer)


def _windows(corpus: Corpus, size: int) -> np.ndarray:
    """(S,) windows in an epoch of each source: as many as fit at every offset."""
    ends = corpus.offsets[[*corpus.sources, len(corpus)]]
    return np.maximum(0, np.diff(ends) - size + 1) // size


@lru_cache(maxsize=64)
def _offset(seed: int, window: int, source: int, epoch: int) -> int:
    return int(stream(seed, "offset", worker=source, step=epoch).integers(window))


def _pools(usable: np.ndarray, first: tuple[int, ...]) -> list[np.ndarray]:
    """What is usable of each source."""
    return np.split(usable, np.searchsorted(usable, first[1:]))


def _batch(pool: np.ndarray, seed: int, size: int, step: int, source: int = 0) -> Draw:
    epoch, place = divmod(step, len(pool) // size)
    order = _epoch_order(len(pool), seed, source, epoch)
    return Draw(pool[order[place * size : (place + 1) * size]], np.full(size, epoch))


def _stretch(pool: np.ndarray, seed: int, start: int, end: int, source: int) -> Draw:
    """Places start to end of all epochs, one after another."""
    epochs, places = np.divmod(np.arange(start, end), len(pool))
    numbers = np.empty(end - start, pool.dtype)
    for epoch in np.unique(epochs).tolist():
        order, here = _epoch_order(len(pool), seed, source, epoch), epochs == epoch
        numbers[here] = pool[order[places[here]]]
    return Draw(numbers, epochs)


def _shuffled(parts: list[Draw], rng: np.random.Generator) -> Draw:
    """The parts in one, the sources in random order (so that processes get of each), every source's
    own order kept."""
    source = rng.permutation(np.repeat(np.arange(len(parts)), [len(p.numbers) for p in parts]))
    places = source.argsort(kind="stable").argsort()
    return Draw(*(np.concatenate(arrays)[places] for arrays in zip(*parts, strict=True)))


def _epoch_order(numbers: int, seed: int, source: int, epoch: int) -> np.ndarray:
    orders = _orders(numbers, seed, source)
    if epoch not in orders:
        while len(orders) > 1:
            del orders[min(orders)]
        orders[epoch] = stream(seed, "epoch", worker=source, step=epoch).permutation(numbers)
    return orders[epoch]


@lru_cache(maxsize=64)
def _orders(numbers: int, seed: int, source: int) -> dict[int, np.ndarray]:
    """The orders of a source that were asked for last: of two epochs, for a batch may span two."""
    return {}


@lru_cache(maxsize=2)
def _examples_before(seed: int, batch: int, sources: int, steps: int) -> np.ndarray:
    """(steps + 1, S) examples drawn from each source before each step."""
    chances = np.full(sources, 1 / sources)
    drawn = stream(seed, "mixture").multinomial(batch, chances, size=steps)
    return np.concatenate([np.zeros((1, sources), np.int64), np.cumsum(drawn, axis=0)])
