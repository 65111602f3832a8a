"""Views: two random pieces of one document, the positive pair that needs no label.

Every function takes and returns a `Ragged` batch of token lists and works on all rows at once; none
sees a special id, since those are added later (batch.py).
"""

import numpy as np

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, slices


def random_crop(
    documents: Ragged, rng: np.random.Generator, low: float = 0.05, high: float = 0.5
) -> Ragged:
    """One contiguous span of each document.

        r ~ U(low, high),  length = max(1, floor(r n)),  start ~ U{0, ..., n - length}

    n = tokens in the document. Two independent crops of one document may overlap. The paper's
    range is .05 to .5 of 256 tokens (section 4; the reference code's data.py, lines 137-144, where
    floor may give 0). An empty document stays empty.
    """
    n = documents.lengths
    lengths = np.minimum(np.maximum(1, np.floor(rng.uniform(low, high, len(n)) * n)), n)
    return _random_spans(documents, rng, lengths.astype(np.int64))


def short_crop(
    documents: Ragged, rng: np.random.Generator, fewest: int = 4, most: int = 32
) -> Ragged:
    """A span as long as a query: length ~ U{fewest, ..., most} tokens, at most the document."""
    lengths = rng.integers(fewest, most + 1, len(documents.lengths))
    return _random_spans(documents, rng, np.minimum(lengths, documents.lengths))


def window(documents: Ragged, rng: np.random.Generator, size: int = 256) -> Ragged:
    """A span of at most `size` tokens at a random place: the paper's document."""
    return _random_spans(documents, rng, np.minimum(documents.lengths, size))


def _random_spans(documents: Ragged, rng: np.random.Generator, lengths: np.ndarray) -> Ragged:
    starts = rng.integers(0, documents.lengths - lengths + 1)
    return slices(documents.tokens, documents.starts() + starts, lengths)


def delete(views: Ragged, rng: np.random.Generator, probability: float = 0.1) -> Ragged:
    """Delete each token with this probability, independently (the paper's: .1, both views).

    A row that would lose all its tokens keeps them all, so that no view becomes empty.
    """
    row = views.row_of_token()
    keep = rng.random(len(views.tokens)) >= probability
    left = np.bincount(row[keep], minlength=len(views.lengths))
    keep |= (left == 0)[row]
    lengths = np.bincount(row[keep], minlength=len(views.lengths))
    return Ragged(views.tokens[keep], lengths)


def once(views: Ragged) -> Ragged:
    """Each token of a row once, where it first occurs: what a bag reads when repetition does not
    count. When whole texts are encoded, `tokens.counting_once` does nearly the same, to words."""
    row = views.row_of_token()
    pair = row * (views.tokens.max(initial=0) + 1) + views.tokens
    first = np.sort(np.unique(pair, return_index=True)[1])
    lengths = np.bincount(row[first], minlength=len(views.lengths))
    return Ragged(views.tokens[first], lengths)


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
    """The positive pair of each document: a query view and a key view, drawn independently.

    config.query_tokens = None crops the query by config.query_crop as the paper does; a pair of
    numbers draws short queries instead. With config.query_views = M, the query side has M views of
    every document, (M B) rows, view after view: a short query costs little, so a key, which is
    long, may as well serve several. With probability config.title_pairs the whole batch pairs
    titles with bodies instead. With config.once, each view keeps every token once.
    """
    documents = corpus.documents(indices)
    if config.title_pairs and rng.random() < config.title_pairs:
        query, key = title_and_body(documents, corpus.titles[indices])
    else:
        documents = window(documents, rng, config.window)
        key = random_crop(documents, rng, *config.key_crop)
        several = slices(
            documents.tokens,
            np.tile(documents.starts(), config.query_views),
            np.tile(documents.lengths, config.query_views),
        )
        if config.query_tokens:
            query = short_crop(several, rng, *config.query_tokens)
        else:
            query = random_crop(several, rng, *config.query_crop)
    query, key = delete(query, rng, config.query_delete), delete(key, rng, config.key_delete)
    return (once(query), once(key)) if config.once else (query, key)
