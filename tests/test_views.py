"""Views: drawn from their own document, in its order, as long and as often as the formulas say."""

import hashlib

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st
from sampling import copies, documents, rate_within_five_sigma, within_five_sigma

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, build_corpus, ragged
from contriever_lite.presets import preset
from contriever_lite.rng import stream
from contriever_lite.tokens import (
    continuing_pieces,
    ordinary_ids,
    special_ids,
    train_tokenizer,
)
from contriever_lite.views import (
    inverse_cloze,
    random_crop,
    shared_words,
    short_crop,
    title_and_body,
    two_views,
    window,
)

LENGTHS = st.lists(st.integers(0, 12), max_size=8)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
SEEDS = st.integers(0, 2**32)


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


def test_random_crop_draws_lengths_and_starts_as_its_formula_says() -> None:
    """r ~ U(low, high), length = max(1, floor(r n)), start ~ U{0, ..., n - length}."""
    n, low, high, rows = 40, 0.05, 0.5, 40_000
    whole = copies(n, rows)
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
    whole = copies(n, rows)
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
    whole = copies(n, rows)
    views = window(whole, stream(2, "test"), size)
    places = n - size + 1
    counts = np.bincount(views.tokens[views.starts()], minlength=places)
    within_five_sigma(counts, np.full(places, 1 / places))


@given(LENGTHS, SHARES, st.sampled_from([0.0, 0.4, 1.0]), SEEDS)
def test_inverse_cloze_equals_its_formula(lengths, shares, keep, seed) -> None:
    """query = x[s : s + l], key = x[: s] + x[s + l :], or the whole of x."""
    whole = documents(lengths)
    query, key = inverse_cloze(whole, stream(seed, "test"), *shares, keep)
    check_spans(query, whole)
    most = np.maximum(1, np.floor(shares[1] * whole.lengths))
    assert (query.lengths <= np.minimum(most, whole.lengths)).all()
    for q, k, x in zip(query.rows(), key.rows(), whole.rows(), strict=True):
        q, k, x = q.tolist(), k.tolist(), x.tolist()
        s, l = (x.index(q[0]), len(q)) if x else (0, 0)  # noqa: E741
        around = x[:s] + x[s + l :]
        assert k in ([x] if keep == 1 or not around else [around] if keep == 0 else [x, around])


def test_inverse_cloze_never_leaves_an_empty_key() -> None:
    whole = documents([1, 0, 2, 5])
    for tokens in (None, (9, 9)):
        query, key = inverse_cloze(whole, stream(0, "test"), 1, 1, 0, tokens)
        for side in (query, key):
            assert side.lengths.tolist() == [1, 0, 2, 5]
            assert side.tokens.tolist() == whole.tokens.tolist()


def test_inverse_cloze_draws_as_random_crop_and_keeps_as_often_as_asked() -> None:
    n, rows = 40, 40_000
    query, key = inverse_cloze(copies(n, rows), stream(3, "test"), 0.05, 0.5, 0.1)
    lengths, starts = np.arange(2, 20), query.tokens[query.starts()]
    within_five_sigma(np.bincount(query.lengths)[lengths], np.full(18, 1 / 18))
    for length in (2, 10, 19):
        places = n - length + 1
        counts = np.bincount(starts[query.lengths == length], minlength=places)
        within_five_sigma(counts, np.full(places, 1 / places))
    kept = key.lengths == n
    assert (key.lengths[~kept] == n - query.lengths[~kept]).all()
    rate_within_five_sigma(kept, 0.1)
    rate_within_five_sigma(kept[query.lengths > 10], 0.1)


def test_inverse_cloze_may_draw_short_queries() -> None:
    rows, fewest, most = 30_000, 4, 12
    query, key = inverse_cloze(copies(30, rows), stream(1, "test"), keep=0, tokens=(fewest, most))
    counts = np.bincount(query.lengths)[fewest:]
    assert len(counts) == most - fewest + 1
    within_five_sigma(counts, np.full(len(counts), 1 / len(counts)))
    assert (query.lengths + key.lengths == 30).all()


def crop_geometry(n: int, low: float, high: float) -> tuple[float, float, float]:
    """Mean length of a crop, chance that two overlap, mean Jaccard, by going through all cases."""
    edges = np.clip(np.arange(n + 2), low * n, high * n)
    chance = np.diff(edges) / (edges[-1] - edges[0])
    overlap = jaccard = 0.0
    for a in np.flatnonzero(chance):
        for b in np.flatnonzero(chance):
            s, t = np.arange(n - a + 1)[:, None], np.arange(n - b + 1)[None, :]
            shared = np.maximum(0, np.minimum(s + a, t + b) - np.maximum(s, t))
            overlap += chance[a] * chance[b] * (shared > 0).mean()
            jaccard += chance[a] * chance[b] * (shared / (a + b - shared)).mean()
    return float(chance @ np.arange(n + 1)), overlap, jaccard


def test_two_crops_overlap_as_often_as_geometry_says() -> None:
    """The paper's crops, 5 to 50 % of 256 tokens: mean length 69.9, 59.3 % of pairs overlap, mean
    Jaccard .21. Enumerated here for 64 tokens, where all cases are few."""
    for n, expected in ((64, crop_geometry(64, 0.05, 0.5)), (256, (69.899, 0.59293, 0.21147))):
        rows, rng = 20_000, stream(6, "test")
        first, second = (random_crop(copies(n, rows), rng) for _ in range(2))
        a, b = (view.tokens[view.starts()] for view in (first, second))
        shared = np.minimum(a + first.lengths, b + second.lengths) - np.maximum(a, b)
        shared = np.maximum(0, shared)
        jaccard = shared / (first.lengths + second.lengths - shared)
        lengths = np.concatenate([first.lengths, second.lengths])
        for values, mean in zip((lengths, shared > 0, jaccard), expected, strict=True):
            assert abs(values.mean() - mean) < 5 * values.std() / np.sqrt(len(values))


@given(
    st.lists(st.lists(st.integers(0, 6), max_size=7), min_size=1, max_size=6),
    st.integers(1, 3),
    SEEDS,
)
def test_shared_words_equals_a_loop(rows: list[list[int]], several: int, seed: int) -> None:
    key = ragged(rows)
    query = ragged([stream(seed, "test", step=i).integers(0, 9, i % 5) for i in range(
        several * len(rows))])  # fmt: skip
    expected = [
        len(set(row) & set(rows[i % len(rows)])) / max(1, len(set(row)))
        for i, row in enumerate(row.tolist() for row in query.rows())
    ]
    assert shared_words(query, key) == pytest.approx(expected, abs=1e-12)


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


def test_inverse_cloze_pairs_a_span_with_the_rest_of_its_window() -> None:
    query, key = pair(PLAIN.replace(pair="inverse_cloze", span_kept=0, query_crop=(0.2, 0.4)))
    assert (query.lengths + key.lengths == 20).all()
    assert set(query.lengths.tolist()) <= {4, 5, 6, 7, 8}
    query, key = pair(PLAIN.replace(pair="inverse_cloze", span_kept=1, query_tokens=(3, 3)))
    assert (query.lengths == 3).all()
    assert (key.lengths == 20).all()
    assert (shared_words(query, key) == 1).all()


@pytest.mark.parametrize("side", ["query", "key"])
def test_each_side_is_masked_and_replaced_by_its_own_probability(side: str) -> None:
    tokenizer = synthetic.corpus().tokenizer
    whole = PLAIN.replace(query_crop=(1, 1), key_crop=(1, 1))
    number = ["query", "key"].index(side)
    masked = pair(whole.replace(**{f"{side}_mask": 0.3}))
    rate_within_five_sigma(masked[number].tokens == special_ids(tokenizer).mask, 0.3)
    replaced = pair(whole.replace(**{f"{side}_replace": 0.3}))
    ids = ordinary_ids(tokenizer)
    plain = pair(whole)
    changed = replaced[number].tokens != plain[number].tokens
    rate_within_five_sigma(changed, 0.3 * (1 - 1 / len(ids)))
    assert np.isin(replaced[number].tokens, ids).all()
    for views in (masked, replaced):
        other = 1 - number
        assert views[other].tokens.tolist() == plain[other].tokens.tolist()


def test_masked_tokens_are_never_replaced() -> None:
    mask_id = special_ids(synthetic.corpus().tokenizer).mask
    whole = PLAIN.replace(query_crop=(1, 1), key_crop=(1, 1), query_mask=0.3, query_replace=0.3)
    masked, _ = pair(whole.replace(query_replace=0))
    both, _ = pair(whole)
    assert ((both.tokens == mask_id) == (masked.tokens == mask_id)).all()
    hit = (both.tokens != masked.tokens)[masked.tokens != mask_id]
    rate_within_five_sigma(hit, 0.3 * (1 - 1 / len(ordinary_ids(synthetic.corpus().tokenizer))))


def test_an_unknown_character_is_neither_masked_nor_replaced() -> None:
    tokenizer = synthetic.corpus().tokenizer
    special = special_ids(tokenizer).mask
    words = tokenizer.encode("da \u6f22 du", add_special_tokens=False).ids
    tokens = np.array([*words, special] * 200, dtype=np.int32)
    lengths = np.full(200, len(words) + 1)
    offsets = np.concatenate([[0], lengths.cumsum()])
    corpus = Corpus(tokens, offsets, np.zeros(200, dtype=np.int32), tokenizer)
    crop = PLAIN.replace(query_crop=(1, 1))
    plain, masked, replaced = (
        two_views(corpus, np.arange(200), stream(0, "test"), config)[0].tokens
        for config in (crop, crop.replace(query_mask=0.5), crop.replace(query_replace=0.5))
    )
    ids = special_ids(tokenizer)
    assert (plain == ids.unk).sum() == 200
    assert (plain == ids.mask).sum() == 200
    assert ((masked == ids.unk) == (plain == ids.unk)).all()
    assert (np.isin(replaced, [ids.unk, ids.mask]) == np.isin(plain, [ids.unk, ids.mask])).all()


def test_whole_words_of_a_tokenizer_stay_whole() -> None:
    """A continuing piece is masked exactly when the piece before it is."""
    texts = list(synthetic.world().texts())
    tokenizer = train_tokenizer(texts, 120)
    corpus = build_corpus([("", text) for text in texts], tokenizer)
    whole = PLAIN.replace(query_crop=(1, 1), query_mask=0.5)
    plain, masked, loose = (
        two_views(corpus, np.arange(len(corpus)), stream(0, "test"), config)[0]
        for config in (whole.replace(query_mask=0), whole.replace(whole_words=True), whole)
    )
    inner = continuing_pieces(tokenizer)[plain.tokens]
    inner[plain.starts()] = False
    assert inner.sum() > 500
    for views, together in ((masked, True), (loose, False)):
        hit = views.tokens == special_ids(tokenizer).mask
        assert (hit[1:] == hit[:-1])[inner[1:]].all() == together


EVERYTHING = TrainConfig(
    window=20, query_mask=0.2, key_mask=0.2, query_replace=0.2, key_replace=0.2, whole_words=True
)


@pytest.mark.parametrize("kind", ["crops", "inverse_cloze"])
def test_views_leave_the_corpus_as_it_was(kind: str) -> None:
    corpus = synthetic.corpus()
    arrays = [np.array(a) for a in (corpus.tokens, corpus.offsets, corpus.titles)]
    for array in arrays:
        array.flags.writeable = False
    frozen = Corpus(*arrays, corpus.tokenizer)
    for config in (EVERYTHING, PLAIN.replace(key_crop=(1, 1)), PLAIN.replace(title_pairs=1)):
        indices = np.arange(len(frozen))
        views = two_views(frozen, indices, stream(0, "test"), config.replace(pair=kind))
        assert not any(np.shares_memory(side.tokens, frozen.tokens) for side in views)


def numbered() -> Corpus:
    """Forty documents of 0 to 95 made-up ids, and no tokenizer: plain crops need none."""
    n = np.arange(40) * 17 % 97
    tokens = (np.arange(n.sum()) * 31 % 53).astype(np.int32)
    return Corpus(tokens, np.cumsum([0, *n]), (n // 7).astype(np.int32), None)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TrainConfig(), "06173bce4863ed76"),
        (preset("demo"), "b4a1ad53c8536a84"),
        (preset("laptop"), "a036e0f3deb8d523"),
        (preset("laptop").replace(title_pairs=0.5), "0c8a939e90308a7a"),
    ],
)
def test_views_of_recorded_runs_can_be_drawn_again(config: TrainConfig, expected: str) -> None:
    """The draws of version 0.1: a setting that is off takes no random number."""
    digest = hashlib.sha256()
    for step in range(3):
        views = two_views(numbered(), np.arange(40)[::-1], stream(9, "views", step=step), config)
        for side in views:
            digest.update(
                side.tokens.astype("<i8").tobytes() + side.lengths.astype("<i8").tobytes()
            )
    assert digest.hexdigest()[:16] == expected
