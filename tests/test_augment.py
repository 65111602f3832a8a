"""Augmentation: as often as asked, of tokens or whole words, and never where forbidden."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import copies, documents, rate_within_five_sigma, within_five_sigma

from contriever_lite.augment import delete, mask, once, replace, select
from contriever_lite.corpus import Ragged, ragged
from contriever_lite.rng import stream

LENGTHS = st.lists(st.integers(0, 12), max_size=8)
PROBABILITIES = st.floats(0, 1, exclude_max=True)
SEEDS = st.integers(0, 2**32)
NEW = 1000  # ids from here on occur in no document of these tests
CHOICES = np.arange(NEW, NEW + 50)


def changes(size: int) -> dict:
    """The three augmentations of documents whose ids lie below `size`, ready to call."""
    return {
        "delete": delete,
        "mask": partial(mask, mask_id=NEW),
        "replace": partial(replace, choices=np.concatenate([np.arange(size), CHOICES])),
    }


every_change = pytest.mark.parametrize("name", changes(1))


def words_of(row: np.ndarray, continues: np.ndarray) -> list[list[int]]:
    """The words of a row, by a loop over its tokens."""
    words: list[list[int]] = []
    for token in row.tolist():
        if words and continues[token]:
            words[-1].append(token)
        else:
            words.append([token])
    return words


@given(LENGTHS, PROBABILITIES, SEEDS)
def test_deletion_keeps_order_and_never_empties_a_row(lengths, probability, seed) -> None:
    whole = documents(lengths)
    views = delete(whole, stream(seed, "test"), probability)
    for view, row in zip(views.rows(), whole.rows(), strict=True):
        assert bool(len(view)) == bool(len(row))
        assert view.tolist() == sorted(set(view) & set(row))


def test_a_row_that_would_lose_everything_keeps_everything() -> None:
    rows = documents([3, 1, 0, 2])
    for continues in (None, np.ones(6, dtype=bool)):
        views = delete(rows, stream(0, "test"), 1 - 1e-12, continues)
        assert views.tokens.tolist() == rows.tokens.tolist()
        assert views.lengths.tolist() == rows.lengths.tolist()


@given(LENGTHS, PROBABILITIES, SEEDS)
def test_masking_and_replacing_stay_in_their_place(lengths, probability, seed) -> None:
    whole = documents(lengths)
    allowed = np.concatenate([np.arange(96), CHOICES])
    for views, new in (
        (mask(whole, stream(seed, "test"), probability, NEW), [NEW]),
        (replace(whole, stream(seed, "test"), probability, allowed), allowed),
    ):
        assert views.lengths.tolist() == whole.lengths.tolist()
        assert np.isin(views.tokens[views.tokens != whole.tokens], new).all()


@given(LENGTHS, st.lists(st.booleans(), min_size=96, max_size=96), SEEDS)
def test_whole_words_stay_whole(lengths, pattern, seed) -> None:
    """Of a word either every piece is hit or none; a word never reaches into the next row."""
    whole, continues = documents(lengths), np.array(pattern)
    shorter = delete(whole, stream(seed, "test"), 0.5, continues)
    masked = mask(whole, stream(seed, "test"), 0.5, NEW, None, continues)
    for row, left, view in zip(whole.rows(), shorter.rows(), masked.rows(), strict=True):
        unmasked = set(view.tolist()) - {NEW}
        for word in words_of(row, continues):
            assert len(unmasked & set(word)) in (0, len(word))
            assert len(set(left.tolist()) & set(word)) in (0, len(word))
    replaced = replace(whole, stream(seed, "test"), 0.5, np.arange(96), continues)
    assert (masked.tokens[replaced.tokens != whole.tokens] == NEW).all(), "the same words are hit"


def test_a_whole_word_is_replaced_piece_by_piece() -> None:
    """All pieces of a word are hit together, and each draws by itself, one in six its old id."""
    whole, continues = copies(6, 5_000), np.array([0, 1, 1, 0, 1, 0], dtype=bool)
    views = replace(whole, stream(1, "test"), 0.3, np.arange(6), continues)
    changed = (views.tokens != whole.tokens).reshape(-1, 6)
    for place in range(6):
        rate_within_five_sigma(changed[:, place], 0.3 * 5 / 6)
    rate_within_five_sigma(changed[:, 0] & changed[:, 1], 0.3 * (5 / 6) ** 2)
    rate_within_five_sigma(changed[:, 0] & changed[:, 3], (0.3 * 5 / 6) ** 2)


@pytest.mark.parametrize("probability", [0.1, 0.4])
@every_change
def test_tokens_are_hit_as_often_as_asked_everywhere(name: str, probability: float) -> None:
    rows, n = 2_000, 50
    whole = copies(n, rows)
    views = changes(n)[name](whole, stream(4, "test"), probability=probability)
    if name == "delete":
        hits = rows - np.bincount(views.tokens, minlength=n)
    else:
        hits = (views.tokens != whole.tokens).reshape(rows, n).sum(0)
    rate = probability * (1 - 1 / (n + len(CHOICES))) if name == "replace" else probability
    sigma = np.sqrt(rows * rate * (1 - rate))
    assert (np.abs(hits - rows * rate) < 5 * sigma).all()
    assert abs(hits.sum() - rows * n * rate) < 5 * sigma * np.sqrt(n)


@pytest.mark.parametrize("name", ["delete", "mask"])
def test_words_are_hit_as_often_as_asked(name: str) -> None:
    """Each word by itself, a long one no more often than a short one."""
    rows, probability = 20_000, 0.3
    continues = np.array([0, 1, 1, 0, 0, 1], dtype=bool)  # words 012, 3, 45
    views = changes(6)[name](
        copies(6, rows), stream(2, "test"), probability=probability, continues=continues
    )
    left = np.zeros((rows, NEW + 1), dtype=bool)
    left[views.row_of_token(), views.tokens] = True
    # a row that would have lost all its words keeps them all
    rate = probability - probability**3 if name == "delete" else probability
    for place in range(6):
        rate_within_five_sigma(~left[:, place], rate)
    both = probability**2 - probability**3 if name == "delete" else probability**2
    rate_within_five_sigma(~left[:, 0] & ~left[:, 3], both)


def test_every_allowed_id_is_drawn_alike_and_no_other() -> None:
    choices = np.array([3, 7, 8, 21, 40])
    whole = Ragged(np.full(60_000, 7), np.full(600, 100))
    found = replace(whole, stream(3, "test"), 0.5, choices).tokens
    counts = np.bincount(found, minlength=41)
    assert counts[choices].sum() == len(found)
    expected = np.full(5, 0.1)
    expected[1] += 0.5  # tokens that were not hit
    within_five_sigma(counts[choices], expected)


@given(st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=6), PROBABILITIES, SEEDS)
def test_ids_that_are_no_choice_are_neither_changed_nor_drawn(rows, probability, seed) -> None:
    """Here 0, 1 and 9 are special; they stay where they are and come from nowhere."""
    whole, choices = ragged(rows), np.arange(2, 9)
    continues = np.array([0, 0, 1, 0, 1, 0, 1, 0, 1, 0], dtype=bool)
    for words in (None, continues):
        replaced = replace(whole, stream(seed, "test"), probability, choices, words)
        masked = mask(whole, stream(seed, "test"), probability, 1, choices, words)
        special = np.isin(whole.tokens, [0, 1, 9])
        assert (np.isin(replaced.tokens, [0, 1, 9]) == special).all()
        for views in (replaced, masked):
            assert (views.tokens[special] == whole.tokens[special]).all()


def test_nothing_to_draw_from_changes_nothing() -> None:
    whole = documents([3, 0, 2])
    views = replace(whole, stream(0, "test"), 0.9, np.array([], dtype=int))
    assert views.tokens.tolist() == whole.tokens.tolist()


@every_change
def test_an_augmentation_is_a_function_of_its_stream_and_changes_no_input(name: str) -> None:
    tokens, lengths = np.arange(40, dtype=np.int32), np.array([7, 0, 1, 32])
    tokens.flags.writeable = lengths.flags.writeable = False
    change, whole = changes(40)[name], Ragged(tokens, lengths)
    for continues in (None, np.arange(40) % 3 > 0):
        one, same, other = (
            change(whole, stream(seed, "test"), probability=0.4, continues=continues)
            for seed in (0, 0, 1)
        )
        assert one.tokens.tolist() == same.tokens.tolist() != tokens.tolist()
        assert one.tokens.tolist() != other.tokens.tolist()
        assert one.tokens.dtype == tokens.dtype
        assert not np.shares_memory(one.tokens, tokens)
        assert one.lengths[1] == 0
        assert one.lengths[2] == 1


@every_change
def test_an_augmentation_that_is_off_draws_nothing(name: str) -> None:
    whole, rng, untouched = documents([3, 0, 5]), stream(0, "test"), stream(0, "test")
    views = changes(8)[name](whole, rng, probability=0.0)
    assert views.tokens.tolist() == whole.tokens.tolist()
    assert rng.random() == untouched.random()


@every_change
@pytest.mark.parametrize("lengths", [[], [0], [0, 0]])
def test_no_tokens_are_no_trouble(name: str, lengths: list[int]) -> None:
    whole = documents(lengths)
    for continues in (None, np.zeros(1, dtype=bool)):
        views = changes(1)[name](whole, stream(0, "test"), probability=0.5, continues=continues)
        assert views.lengths.tolist() == lengths
        assert len(views.tokens) == 0


@given(st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=6))
def test_once_keeps_the_first_of_each_token_of_a_row(rows: list[list[int]]) -> None:
    found = once(ragged(rows))
    assert [row.tolist() for row in found.rows()] == [list(dict.fromkeys(row)) for row in rows]


@given(LENGTHS, SEEDS)
def test_select_keeps_what_it_is_told_row_by_row(lengths, seed) -> None:
    whole = documents(lengths)
    keep = stream(seed, "test").random(len(whole.tokens)) < 0.5
    found = select(whole, keep)
    assert [row.tolist() for row in found.rows()] == [
        [token for token in row.tolist() if keep[token]] for row in whole.rows()
    ]
