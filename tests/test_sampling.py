"""What a step trains on: every source at its share, every number in its turn, again the same."""

import dataclasses
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import synthetic
from tokenizers import Tokenizer

from contriever_lite import sampling
from contriever_lite.batch import batch_of_step, documents_of_step
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, offsets_of
from contriever_lite.errors import ConfigError
from contriever_lite.mixture import mix
from contriever_lite.sampling import (
    _examples_before,
    draw_of_step,
    first_numbers,
    fitting_batch,
    usable_numbers,
    windows,
)
from contriever_lite.train import fit

TOKENIZER = synthetic.corpus().tokenizer


def corpus(lengths: list[int], start: int = 0) -> Corpus:
    """Token i of the stream is start + i, so that tokens tell where they stood."""
    tokens = np.arange(start, start + sum(lengths), dtype=np.int32)
    titles = np.ones(len(lengths), np.int32)
    return Corpus(tokens, offsets_of(np.array(lengths)), titles, TOKENIZER)


def drawn(config: TrainConfig, first: tuple[int, ...], documents: int, steps: int) -> np.ndarray:
    """(steps, B) numbers of the documents of each step."""
    usable = np.arange(documents)
    return np.stack([draw_of_step(usable, config, step, first).numbers for step in range(steps)])


def epochs_are_orders(numbers: np.ndarray, pool: list[int], drop: int = 0) -> None:
    """One epoch after another holds every number of the pool once, but for `drop` left out."""
    size = len(pool) - drop
    for start in range(0, len(numbers) - size + 1, size):
        epoch = numbers[start : start + size].tolist()
        assert len(set(epoch)) == size
        assert set(epoch) <= set(pool)


def test_example_gives_each_source_an_equal_chance() -> None:
    """Counts of a batch are binomial whatever the sizes: mean and variance within five sigma."""
    config, steps = TrainConfig(mixture="example", batch_size=16), 4_000
    numbers = drawn(config, (0, 30), 230, steps)
    counts = (numbers < 30).sum(axis=1)
    n, p = 16, 0.5
    assert abs(counts.mean() - n * p) < 5 * np.sqrt(n * p * (1 - p) / steps)
    variance, fourth = n * p * (1 - p), 3 * (n * p * (1 - p)) ** 2
    assert abs(counts.var() - variance) < 5 * np.sqrt((fourth - variance**2) / steps)
    neighbours = np.corrcoef(counts[:-1], counts[1:])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(steps)
    epochs_are_orders(numbers[numbers < 30], list(range(30)))
    epochs_are_orders(numbers[numbers >= 30], list(range(30, 230)))


def test_example_holds_three_sources_and_draws_each_document_alike() -> None:
    config, steps = TrainConfig(mixture="example", batch_size=9), 3_000
    numbers = drawn(config, (0, 5, 25), 65, steps).ravel()
    for low, high in ((0, 5), (5, 25), (25, 65)):
        counts = np.bincount(numbers[(numbers >= low) & (numbers < high)] - low)
        assert counts.max() - counts.min() <= 1, "a source's epochs leave nothing out"
        assert abs(counts.sum() - len(numbers) / 3) < 5 * np.sqrt(len(numbers) * 2 / 9)


def test_share_gives_each_source_its_part_of_every_batch() -> None:
    numbers = drawn(TrainConfig(mixture="share", batch_size=12), (0, 10), 60, 50)
    assert ((numbers < 10).sum(axis=1) == 6).all()
    assert all(len(set(row)) == 12 for row in numbers.tolist())
    epochs_are_orders(numbers[numbers < 10], list(range(10)), drop=4)
    epochs_are_orders(numbers[numbers >= 10], list(range(10, 60)), drop=2)


def test_sources_stand_in_random_order_in_a_batch() -> None:
    """So that each of several processes, which take a stretch of it each, gets of all sources."""
    for mixture in ("share", "example"):
        numbers = drawn(TrainConfig(mixture=mixture, batch_size=20), (0, 50), 150, 1_000)
        places = (numbers < 50).mean(axis=0)
        assert np.abs(places - 0.5).max() < 5 * np.sqrt(0.25 / 1_000)


def test_batch_takes_each_batch_from_one_source_in_turn() -> None:
    numbers = drawn(TrainConfig(mixture="batch", batch_size=5), (0, 10, 22), 60, 60)
    source = np.searchsorted((10, 22), numbers, side="right")
    assert (source == np.arange(60)[:, None] % 3).all()
    for s, (low, high) in enumerate(((0, 10), (10, 22), (22, 60))):
        pool = list(range(low, high))
        epochs_are_orders(numbers[s::3].ravel(), pool, drop=len(pool) % 5)


def test_size_is_one_corpus_of_all() -> None:
    config = TrainConfig(mixture="size", batch_size=8)
    assert (drawn(config, (0, 10), 40, 12) == drawn(config, (0,), 40, 12)).all()


@pytest.mark.parametrize("mixture", ["example", "share", "batch", "size"])
@pytest.mark.parametrize("straddle", [False, True])
def test_a_step_of_a_mixture_is_a_function_of_seed_and_step(mixture: str, straddle: bool) -> None:
    both = mix([corpus([20] * 9), corpus([30] * 40, start=1000)])
    settings = {"mixture": mixture, "straddle": straddle, "window": 8, "batch_size": 6}
    config, usable = fit(TrainConfig(**settings), both)
    forwards = [batch_of_step(both, usable, config, step).both.tokens for step in range(20)]
    for step in (19, 3, 11):
        _examples_before.cache_clear()
        assert batch_of_step(both, usable, config, step).both.tokens.equal(forwards[step])
    other = batch_of_step(both, usable, config.replace(seed=1), 3).both.tokens
    assert not other.equal(forwards[3])


def test_where_a_step_stands_does_not_depend_on_how_far_one_looks() -> None:
    few, many = (_examples_before(3, 64, 3, steps) for steps in (1024, 4096))
    assert (few == many[: len(few)]).all()


def test_mixed_documents_are_those_of_the_corpora() -> None:
    parts = [corpus([3, 0, 4]), corpus([5], start=100), corpus([2, 6], start=200)]
    mixed = mix(parts)
    assert (len(mixed), mixed.sources) == (6, (0, 3, 4))
    rows = [row.tolist() for part in parts for row in part.documents(np.arange(len(part))).rows()]
    order = np.array([5, 0, 3, 3, 1, 4, 2])
    assert [row.tolist() for row in mixed.documents(order).rows()] == [rows[i] for i in order]
    flat = [token for row in rows for token in row]
    assert np.asarray(mixed.tokens).tolist() == flat
    assert mixed.tokens[4:14].tolist() == flat[4:14]
    assert (len(mixed.tokens), mixed.tokens.dtype) == (20, np.int32)
    assert mixed.take(order).tokens.tolist() == [token for i in order for token in rows[i]]
    assert mix(parts[:1]) is parts[0]


def test_corpora_of_two_tokenizers_do_not_mix() -> None:
    other = Tokenizer.from_str(TOKENIZER.to_str())
    other.add_tokens(["another"])
    second = dataclasses.replace(corpus([3]), tokenizer=other)
    with pytest.raises(ConfigError, match=r"corpus 2 was made by another tokenizer .* --tokenizer"):
        mix([corpus([3]), second])


def tiles(config: TrainConfig, whole: Corpus, epoch: int) -> list[list[int]]:
    """Every window of an epoch, in the order of the text."""
    usable = usable_numbers(whole, config)
    steps = range(epoch * (len(usable) // config.batch_size), (epoch + 1) * len(usable))
    rows = []
    for step in steps[: len(usable) // config.batch_size]:
        draw = draw_of_step(usable, config, step, first_numbers(whole, config))
        rows += [row.tolist() for row in windows(whole, draw, config).documents(
            np.arange(len(draw.numbers))).rows()]  # fmt: skip
    return sorted(rows)


def test_windows_tile_the_stream_from_an_offset_that_changes_by_epoch() -> None:
    """Token i is i: so tiles are consecutive numbers, each seen once, and documents straddled."""
    whole = corpus([7, 1, 0, 30, 62, 3])
    config = TrainConfig(straddle=True, window=10, batch_size=3)
    offsets = set()
    for epoch in range(40):
        rows = tiles(config, whole, epoch)
        flat = [token for row in rows for token in row]
        assert [len(row) for row in rows] == [10] * 9
        assert flat == list(range(flat[0], flat[0] + 90))
        offsets.add(flat[0])
    assert offsets <= set(range(10))
    assert len(offsets) > 7, "40 draws out of 10"


def test_offsets_are_uniform() -> None:
    whole, epochs = corpus([50]), 2_000
    config = TrainConfig(straddle=True, window=5, batch_size=9)
    usable = usable_numbers(whole, config)
    assert len(usable) == 9
    counts = np.zeros(5)
    for epoch in range(epochs):
        draw = draw_of_step(usable, config, epoch)
        counts[windows(whole, draw, config).tokens.min()] += 1
    assert np.abs(counts - epochs / 5).max() < 5 * np.sqrt(epochs * 0.2 * 0.8)


def test_a_window_never_straddles_two_sources() -> None:
    both = mix([corpus([9, 8, 10]), corpus([40, 3], start=1000), corpus([30], start=2000)])
    for mixture in ("example", "share", "batch", "size"):
        config = TrainConfig(straddle=True, window=8, batch_size=6, mixture=mixture)
        config, usable = fit(config, both)
        first = first_numbers(both, config)
        for step in range(30):
            draw = draw_of_step(usable, config, step, first)
            rows = np.stack(windows(both, draw, config).documents(np.arange(len(draw[0]))).rows())
            assert (np.diff(rows, axis=1) == 1).all(), "eight tokens that stood side by side"


def test_a_view_of_a_straddling_window_is_a_view_of_the_stream() -> None:
    whole = corpus([7, 1, 30, 62])
    config = TrainConfig(straddle=True, window=20, batch_size=4, query_delete=0, key_delete=0)
    pairs = batch_of_step(whole, usable_numbers(whole, config), config, 0)
    for row in pairs.both.tokens.split(pairs.both.lengths.tolist()):
        assert (row.diff() == 1).all()


def test_a_batch_fits_every_source_and_all_processes() -> None:
    both, make = mix([corpus([4] * 7), corpus([4] * 50, start=500)]), TrainConfig
    expected: dict[str, Callable[[int], int]] = {
        "example": lambda p: 57 // p * p,
        "size": lambda p: 57 // p * p,
        "batch": lambda p: 7 // p * p,
        "share": {1: 14, 2: 14, 3: 12}.__getitem__,
    }
    for mixture, size in expected.items():
        for processes in (1, 2, 3):
            config = make(batch_size=1000, mixture=mixture)
            found = fitting_batch(both, np.arange(57), config, processes)
            assert found == size(processes), mixture
    assert fitting_batch(both, np.arange(57), make(batch_size=10, mixture="share"), 3) == 6


def test_what_cannot_be_mixed_or_cut_is_refused() -> None:
    both = mix([corpus([4] * 7), corpus([1, 0], start=500)])
    with pytest.raises(ConfigError, match="corpus 2 of 2 holds nothing to train on"):
        fit(TrainConfig(), both)
    with pytest.raises(ConfigError, match=r"straddle = True with title_pairs = 0\.3"):
        fit(TrainConfig(straddle=True, title_pairs=0.3), both)
    with pytest.raises(ConfigError, match="0 of"):
        fit(TrainConfig(straddle=True, window=64), corpus([9] * 5))


def test_one_corpus_is_drawn_as_ever() -> None:
    """Order, places and streams that recorded runs rest on."""
    config = TrainConfig(batch_size=4, seed=3)
    assert documents_of_step(np.arange(10), config, 0).tolist() == [7, 4, 3, 5]
    assert documents_of_step(np.arange(10), config, 5).tolist() == [8, 4, 6, 7]


def test_many_sources_keep_their_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = mock.Mock(wraps=sampling.stream)
    monkeypatch.setattr(sampling, "stream", drawn)
    sampling._orders.cache_clear()
    for _step in range(3):
        for source in range(1, 9):
            order = sampling._epoch_order(50, 7, source, 2)
            assert sorted(order) == [*range(50)]
    assert drawn.call_count == 8
    for epoch in range(5):
        sampling._epoch_order(50, 7, 1, epoch)
    assert len(sampling._orders(50, 7, 1)) <= 2, "old epochs go"


def test_as_many_windows_as_fit_at_every_offset() -> None:
    config = TrainConfig(straddle=True, window=10)
    counts = [len(usable_numbers(corpus([n]), config)) for n in (9, 10, 18, 19, 28, 29)]
    assert counts == [0, 0, 0, 1, 1, 2]


def test_sources_of_one_size_have_orders_of_their_own() -> None:
    config = TrainConfig(batch_size=16, mixture="batch")
    one, other = drawn(config, (0, 16), 32, 2)
    assert sorted(one) == sorted(other - 16)
    assert one.tolist() != (other - 16).tolist()
