"""Views: two random pieces of one document, the positive pair that needs no label.

Every function takes and returns a `Ragged` batch of token lists and works on all rows at once; none
sees [CLS] or [SEP], which a transformer adds as it reads (transformer.framed). `two_views` composes
them, and whatever has its signature can take its place.
"""

import numpy as np
from tokenizers import Tokenizer

from contriever_lite.augment import delete, mask, once, replace, select
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, slices
from contriever_lite.tokens import continuing_pieces, ordinary_ids, special_ids


def random_crop(
    documents: Ragged, rng: np.random.Generator, low: float = 0.05, high: float = 0.5
) -> Ragged:
    """One contiguous span of each document.

        r ~ U(low, high),  length = max(1, floor(r n)),  start ~ U{0, ..., n - length}

    n = tokens in the document. Two independent crops of one document may overlap. The paper's
    range is .05 to .5 of 256 tokens (section 4; the reference code's data.py, lines 137-144, where
    floor may give 0). An empty document stays empty.
    """
    return _random_spans(documents, rng, _fractions(documents, rng, low, high))


def short_crop(
    documents: Ragged, rng: np.random.Generator, fewest: int = 4, most: int = 32
) -> Ragged:
    """A span as long as a query: length ~ U{fewest, ..., most} tokens, at most the document."""
    return _random_spans(documents, rng, _numbers(documents, rng, fewest, most))


def window(documents: Ragged, rng: np.random.Generator, size: int = 256) -> Ragged:
    """A span of at most `size` tokens at a random place: the paper's document."""
    return _random_spans(documents, rng, np.minimum(documents.lengths, size))


def inverse_cloze(
    documents: Ragged,
    rng: np.random.Generator,
    low: float = 0.05,
    high: float = 0.5,
    keep: float = 0.1,
    tokens: tuple[int, int] | None = None,
) -> tuple[Ragged, Ragged]:
    """A span of each document as query, and what stands around it, joined, as key.

        query = x[s : s + l],  key = x[: s] + x[s + l :]

    x = the document; l and s as in random_crop, or as in short_crop with tokens = (fewest, most).
    With probability `keep` the span stays in the key, which is then the whole document, so that
    matching words still count (Lee et al. 2019, section 4: a sentence as query, kept in 10 % of the
    examples). It also stays where nothing stands around it, as in a document of one token: no key
    is empty unless its document is.
    """
    n = documents.lengths
    lengths = _numbers(documents, rng, *tokens) if tokens else _fractions(documents, rng, low, high)
    starts = documents.starts() + rng.integers(0, n - lengths + 1)
    whole = (rng.random(len(n)) < keep) | (lengths == n)
    query = slices(documents.tokens, starts, lengths)
    row, place = documents.row_of_token(), np.arange(len(documents.tokens))
    inside = (place >= starts[row]) & (place < (starts + lengths)[row])
    return query, select(documents, ~inside | whole[row])


def _fractions(documents: Ragged, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    n = documents.lengths
    lengths = np.minimum(np.maximum(1, np.floor(rng.uniform(low, high, len(n)) * n)), n)
    return lengths.astype(np.int64)


def _numbers(documents: Ragged, rng: np.random.Generator, fewest: int, most: int) -> np.ndarray:
    n = documents.lengths
    return np.minimum(rng.integers(fewest, most + 1, len(n)), n)


def _random_spans(documents: Ragged, rng: np.random.Generator, lengths: np.ndarray) -> Ragged:
    starts = rng.integers(0, documents.lengths - lengths + 1)
    return slices(documents.tokens, documents.starts() + starts, lengths)


def title_and_body(documents: Ragged, titles: np.ndarray) -> tuple[Ragged, Ragged]:
    """The title as query and the rest as document: structure, not raw text alone.

    titles: (B,) tokens of title at the start of each document. A document without a title or
    without a body gives its whole self to both sides.
    """
    n, starts = documents.lengths, documents.starts()
    both = (titles > 0) & (titles < n)
    heads = np.where(both, titles, n)
    skipped = np.where(both, titles, 0)
    return (
        slices(documents.tokens, starts, heads),
        slices(documents.tokens, starts + skipped, n - skipped),
    )


def two_views(
    corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig
) -> tuple[Ragged, Ragged]:
    """The positive pair of each document: a query view and a key view.

    Two random pieces of one window of the document, then each view by itself: tokens deleted,
    masked and replaced with its own probabilities of the config (of whole words with
    config.whole_words), and with config.once every token kept once. With probability
    config.title_pairs the whole batch pairs titles with bodies instead of pieces.
    """
    documents = corpus.documents(indices)
    if config.title_pairs and rng.random() < config.title_pairs:
        query, key = title_and_body(documents, corpus.titles[indices])
    else:
        query, key = draw_pair(window(documents, rng, config.window), rng, config)
    query_changes = config.query_delete, config.query_mask, config.query_replace
    key_changes = config.key_delete, config.key_mask, config.key_replace
    query = _augment(query, rng, config, corpus.tokenizer, query_changes)
    key = _augment(key, rng, config, corpus.tokenizer, key_changes)
    return query, key


def draw_pair(
    documents: Ragged, rng: np.random.Generator, config: TrainConfig
) -> tuple[Ragged, Ragged]:
    """A query span and a key span of each document, as config.pair says.

    "inverse_cloze": the key is what the query leaves. "crops": two spans drawn independently; with
    config.query_views = M the query side has M of every document, (M B) rows, view after view: a
    short query costs little, so a key, which is long, may as well serve several.
    config.query_tokens = None draws the query's length by config.query_crop as the paper does; a
    pair of numbers draws short queries instead.
    """
    if config.pair == "inverse_cloze":
        settings = (*config.query_crop, config.span_kept, config.query_tokens)
        return inverse_cloze(documents, rng, *settings)
    key = random_crop(documents, rng, *config.key_crop)
    several = slices(
        documents.tokens,
        np.tile(documents.starts(), config.query_views),
        np.tile(documents.lengths, config.query_views),
    )
    if config.query_tokens:
        return short_crop(several, rng, *config.query_tokens), key
    return random_crop(several, rng, *config.query_crop), key


def _augment(
    views: Ragged,
    rng: np.random.Generator,
    config: TrainConfig,
    tokenizer: Tokenizer,
    probabilities: tuple[float, float, float],
) -> Ragged:
    deleted, masked, replaced = probabilities
    continues = continuing_pieces(tokenizer) if config.whole_words else None
    views = delete(views, rng, deleted, continues)
    if masked:  # before replacing, which would set new borders of words
        mask_id = special_ids(tokenizer).mask
        views = mask(views, rng, masked, mask_id, ordinary_ids(tokenizer), continues)
    if replaced:
        views = replace(views, rng, replaced, ordinary_ids(tokenizer), continues)
    return once(views) if config.once else views


def shared_words(query: Ragged, key: Ragged) -> np.ndarray:
    """(rows of query,) how many of a query view's different tokens, as a fraction, stand in its
    key view too; 0 for an empty query. Row i belongs to key i mod B, as `two_views` arranges."""
    size = max(query.tokens.max(initial=0), key.tokens.max(initial=0)) + 1
    different = once(query)
    row = different.row_of_token()
    in_key = np.isin(
        row % len(key.lengths) * size + different.tokens, key.row_of_token() * size + key.tokens
    )
    shared = np.bincount(row[in_key], minlength=len(query.lengths))
    return shared / np.maximum(1, different.lengths)
