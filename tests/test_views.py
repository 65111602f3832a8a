"""Views: drawn from their own document, in its order, as long and as often as the formulas say."""

from itertools import pairwise

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Ragged, ragged
from contriever_lite.rng import stream
from contriever_lite.views import (
    delete,
    once,
    random_crop,
    short_crop,
    title_and_body,
    two_views,
    window,
)

LENGTHS = st.lists(st.integers(0, 12), max_size=8)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
SEEDS = st.integers(0, 2**32)


def documents(lengths: list[int]) -> Ragged:
    """Documents in which no token occurs twice, so that each shows where it is from."""
    return ragged([range(a, b) for a, b in pairwise(np.cumsum([0, *lengths]))])


def check_spans(views: Ragged, whole: Ragged) -> None:
    """Each row is a run of neighbouring tokens of its own document, empty only if that is."""
    assert len(views.lengths) == len(whole.lengths)
    assert views.lengths.dtype == np.int64
    for view, document in zip(views.rows(), whole.rows(), strict=True):
        assert bool(len(view)) == bool(len(document))
        if len(view):
            assert view.tolist() == list(range(view[0], view[0] + len(view)))
            assert {view[0], view[-1]} <= set(document)


@given(LENGTHS, SHARES, SEEDS)
def test_random_crops_are_spans_of_their_document(lengths, shares, seed) -> None:
    whole = documents(lengths)
    views = random_crop(whole, stream(seed, "test"), *shares)
    check_spans(views, whole)
    most = np.maximum(1, np.floor(shares[1] * whole.lengths))
    assert (views.lengths <= np.minimum(most, whole.lengths)).all()


@given(LENGTHS, st.integers(1, 6), st.integers(0, 20), SEEDS)
def test_short_crops_are_spans_of_their_document(lengths, fewest, more, seed) -> None:
    whole = documents(lengths)
    views = short_crop(whole, stream(seed, "test"), fewest, fewest + more)
    check_spans(views, whole)
    assert (views.lengths >= np.minimum(fewest, whole.lengths)).all()
    assert (views.lengths <= fewest + more).all()


@given(LENGTHS, st.integers(1, 14), SEEDS)
def test_windows_are_as_long_as_they_can_be(lengths, size, seed) -> None:
    whole = documents(lengths)
    views = window(whole, stream(seed, "test"), size)
    check_spans(views, whole)
    assert views.lengths.tolist() == np.minimum(whole.lengths, size).tolist()


@given(LENGTHS, st.floats(0, 1, exclude_max=True), SEEDS)
def test_deletion_keeps_order_and_never_empties_a_row(lengths, probability, seed) -> None:
    whole = documents(lengths)
    views = delete(whole, stream(seed, "test"), probability)
    for view, row in zip(views.rows(), whole.rows(), strict=True):
        assert bool(len(view)) == bool(len(row))
        assert view.tolist() == sorted(set(view) & set(row))


def test_a_row_that_would_lose_everything_keeps_everything() -> None:
    rows = documents([3, 1, 0, 2])
    views = delete(rows, stream(0, "test"), 1 - 1e-12)
    assert views.tokens.tolist() == rows.tokens.tolist()
    assert views.lengths.tolist() == rows.lengths.tolist()
    untouched = delete(rows, stream(0, "test"), 0.0)
    assert untouched.tokens.tolist() == rows.tokens.tolist()


@given(st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=6))
def test_once_keeps_the_first_of_each_token_of_a_row(rows: list[list[int]]) -> None:
    found = once(ragged(rows))
    assert [row.tolist() for row in found.rows()] == [list(dict.fromkeys(row)) for row in rows]


def within_five_sigma(counts: np.ndarray, probabilities: np.ndarray) -> None:
    n = counts.sum()
    sigma = np.sqrt(n * probabilities * (1 - probabilities))
    assert (np.abs(counts - n * probabilities) <= 5 * sigma + 1e-9).all()


def test_random_crop_draws_lengths_and_starts_as_its_formula_says() -> None:
    """r ~ U(low, high), length = max(1, floor(r n)), start ~ U{0, ..., n - length}."""
    n, low, high, rows = 40, 0.05, 0.5, 40_000
    whole = Ragged(np.tile(np.arange(n), rows), np.full(rows, n))
    views = random_crop(whole, stream(3, "test"), low, high)
    # floor(r n) = l for r in [l / n, (l + 1) / n): the same share for each l from 2 to 19
    lengths = np.arange(2, 20)
    within_five_sigma(
        np.bincount(views.lengths, minlength=20)[lengths], np.full(len(lengths), 1 / len(lengths))
    )
    starts = views.tokens[views.starts()]
    for length in (2, 10, 19):
        found = starts[views.lengths == length]
        places = n - length + 1
        assert found.max() < places
        within_five_sigma(np.bincount(found, minlength=places), np.full(places, 1 / places))
    short = random_crop(Ragged(np.zeros(rows), np.ones(rows, int)), stream(3, "test"), low, high)
    assert (short.lengths == 1).all(), "floor(r n) = 0 becomes 1"


def test_two_crops_of_one_document_are_independent() -> None:
    """Each middle is uncorrelated with the other's: |r| < 5 / sqrt(n)."""
    rows, n = 20_000, 100
    whole = Ragged(np.tile(np.arange(n), rows), np.full(rows, n))
    rng = stream(5, "test")
    middles = []
    for _ in range(2):
        views = random_crop(whole, rng)
        middles.append(views.tokens[views.starts()] + views.lengths / 2)
    assert abs(np.corrcoef(*middles)[0, 1]) < 5 / rows**0.5


def test_short_crop_draws_every_length_alike() -> None:
    rows, fewest, most = 30_000, 4, 12
    whole = Ragged(np.zeros(rows * 30, dtype=int), np.full(rows, 30))
    lengths = short_crop(whole, stream(1, "test"), fewest, most).lengths
    counts = np.bincount(lengths)[fewest:]
    assert len(counts) == most - fewest + 1
    within_five_sigma(counts, np.full(len(counts), 1 / len(counts)))


def test_windows_stand_anywhere_alike() -> None:
    rows, n, size = 30_000, 20, 8
    whole = Ragged(np.tile(np.arange(n), rows), np.full(rows, n))
    views = window(whole, stream(2, "test"), size)
    places = n - size + 1
    counts = np.bincount(views.tokens[views.starts()], minlength=places)
    within_five_sigma(counts, np.full(places, 1 / places))


@pytest.mark.parametrize("probability", [0.1, 0.4])
def test_deletion_takes_its_share_everywhere(probability: float) -> None:
    rows, n = 2_000, 50
    whole = Ragged(np.tile(np.arange(n), rows), np.full(rows, n))
    left = np.bincount(delete(whole, stream(4, "test"), probability).tokens, minlength=n)
    sigma = np.sqrt(rows * probability * (1 - probability))
    assert (np.abs(left - rows * (1 - probability)) < 5 * sigma).all()
    total = rows * n
    assert abs(left.sum() / total - (1 - probability)) < 5 * np.sqrt(0.25 / total)


def test_title_and_body() -> None:
    whole = documents([5, 4, 3, 0, 2])
    titles = np.array([2, 0, 3, 0, 1])  # usual, no title, no body, empty, short
    query, key = title_and_body(whole, titles)
    rows = [row.tolist() for row in whole.rows()]
    assert [row.tolist() for row in query.rows()] == [
        rows[0][:2], rows[1], rows[2], [], rows[4][:1],
    ]  # fmt: skip
    assert [row.tolist() for row in key.rows()] == [
        rows[0][2:], rows[1], rows[2], [], rows[4][1:],
    ]  # fmt: skip


PLAIN = TrainConfig(query_delete=0, key_delete=0, window=20)


def pair(config: TrainConfig, seed: int = 0) -> tuple[Ragged, Ragged]:
    corpus = synthetic.corpus()
    return two_views(corpus, np.arange(len(corpus)), stream(seed, "test"), config)


def test_two_views_lie_in_one_window_of_the_document() -> None:
    corpus = synthetic.corpus()
    both = PLAIN.replace(query_crop=(1, 1), key_crop=(1, 1))
    query, key = pair(both)
    assert query.tokens.tolist() == key.tokens.tolist(), "the whole window, twice"
    assert (query.lengths == 20).all()
    for view, document in zip(query.rows(), corpus.documents(np.arange(len(corpus))).rows(),
                              strict=True):  # fmt: skip
        assert any((document[i : i + 20] == view).all() for i in range(len(document) - 19))


def test_two_views_obey_their_settings() -> None:
    query, key = pair(PLAIN.replace(query_crop=(0.5, 0.5), key_crop=(0.25, 0.25)))
    assert (query.lengths == 10).all()
    assert (key.lengths == 5).all()
    query, key = pair(PLAIN.replace(query_tokens=(3, 3), key_crop=(1, 1), key_delete=0.5))
    assert (query.lengths == 3).all()
    assert 5 < key.lengths.mean() < 15
    query, key = pair(PLAIN.replace(query_crop=(1, 1), key_crop=(1, 1), query_delete=0.5))
    assert 5 < query.lengths.mean() < 15
    assert (key.lengths == 20).all()


def test_titles_are_paired_with_bodies_as_often_as_asked() -> None:
    corpus = synthetic.corpus()
    query, key = pair(PLAIN.replace(title_pairs=1))
    assert query.lengths.tolist() == corpus.titles.tolist()
    assert (query.lengths + key.lengths).tolist() == corpus.lengths.tolist(), "no window, no crop"
    draws = [pair(PLAIN.replace(title_pairs=0.3, query_crop=(1, 1)), seed)[0] for seed in range(99)]
    share = np.mean([draw.lengths.tolist() == corpus.titles.tolist() for draw in draws])
    assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 99)


def test_a_document_may_have_several_query_views() -> None:
    """View after view: row i belongs to document i mod B, and each view is drawn by itself."""
    corpus = synthetic.corpus()
    query, key = pair(PLAIN.replace(query_views=3, query_tokens=(4, 4)))
    documents = corpus.documents(np.arange(len(corpus))).rows()
    rows = [row.tolist() for row in query.rows()]
    assert len(rows) == 3 * len(documents) == 3 * len(key.lengths)
    for i, row in enumerate(rows):
        document = documents[i % len(documents)].tolist()
        assert row in [document[j : j + 4] for j in range(len(document) - 3)]
    views = [rows[i * len(documents) : (i + 1) * len(documents)] for i in range(3)]
    assert views[0] != views[1] != views[2] != views[0]


def test_views_may_hold_each_token_once() -> None:
    whole = PLAIN.replace(query_crop=(1, 1), key_crop=(1, 1))
    for plain, short in zip(pair(whole), pair(whole.replace(once=True)), strict=True):
        for before, after in zip(plain.rows(), short.rows(), strict=True):
            assert after.tolist() == list(dict.fromkeys(before.tolist()))
        assert len(short.tokens) < len(plain.tokens)


def test_views_are_a_function_of_their_stream() -> None:
    config = TrainConfig(window=20)
    one, same, other = pair(config), pair(config), pair(config, seed=1)
    assert [side.tokens.tolist() for side in one] == [side.tokens.tolist() for side in same]
    assert one[0].tokens.tolist() != other[0].tokens.tolist()
    assert one[0].tokens.tolist() != one[1].tokens.tolist(), "the two views are drawn apart"
