"""Checks for the exercises of chapter 04: each looks at an answer and says what is right or wrong.

Every check returns one sentence or two, beginning with "Right" or "Not yet".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isclose

import numpy as np

from contriever_lite.batch import Views
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged
from contriever_lite.exercises import Unfit, hint, in_brief, in_words, listed, number
from contriever_lite.rng import stream
from contriever_lite.tokens import ordinary_ids, special_ids, train_tokenizer
from contriever_lite.views import two_views


@in_words
def check_overlap(function: Callable[[int, int, int], float]) -> str:
    """A reader's chance that two crops share a token, called as function(n, a, b)."""
    for n, a, b in ((256, 64, 64), (10, 3, 5), (12, 1, 1), (9, 4, 5), (9, 6, 6)):
        value, right = number(function(n, a, b)), _overlap(n, a, b)
        if not isclose(value, right, abs_tol=1e-6):
            found = f"for n = {n}, a = {a}, b = {b} it gives {value:.4f}, counting gives "
            return f"Not yet: {found}{right:.4f}. {_overlap_hint(value, n, a, b)}".rstrip()
    return "Right: equal to counting all places, in five cases."


def _overlap(n: int, a: int, b: int) -> float:
    s, t = np.arange(n - a + 1)[:, None], np.arange(n - b + 1)[None, :]
    return float(((s < t + b) & (t < s + a)).mean())


def _overlap_hint(value: float, n: int, a: int, b: int) -> str:
    places, m = (n - a + 1) * (n - b + 1), n - a - b
    apart = (m + 1) * (m + 2) / places
    slips = {
        "Where a + b exceeds n, the crops must overlap.": 1 - apart if m < 0 else 2.0,
        "That is the chance that they do not overlap.": apart,
        "Either crop may come first: that makes two cases.": 1 - apart / 2,
        "A crop of a tokens has n - a + 1 places.": 1 - m * (m + 1) / max(1, (n - a) * (n - b)),
        "Crops that only touch share no token.": 1 - m * (m + 1) / places,
    }
    return hint(slips, lambda slip: isclose(value, slip, abs_tol=1e-6))


@in_words
def check_whole_words(function: Callable[[list[str], list[bool]], list[str]]) -> str:
    """A reader's deletion of whole words, called as function(pieces, hit)."""
    text = ["the", "play", "##ing", "##s", "end"]
    cases = {
        "a word is hit if its first piece is, and goes with all its pieces": (
            text, "01000", ["the", "end"],
        ),
        "a hit on a continuing piece alone does nothing": (text, "00110", text),
        "a word whose first piece is not hit stays whole": (text, "10110", text[1:]),
        "a crop may begin inside a word: its first piece begins what is left of it": (
            ["##ing", "##s", "end"], "100", ["end"],
        ),
        "a view that would lose everything keeps everything": (text, "11111", text),
        "an empty view stays empty": ([], "", []),
    }  # fmt: skip
    for rule, (pieces, hits, right) in cases.items():
        answer = listed(function(list(pieces), [hit == "1" for hit in hits]))
        if answer != right:
            left = " ".join(map(str, answer))
            found = f"from {' '.join(pieces)} with hits {hits} you leave: {left}."
            return f"Not yet: {found} The rule: {rule}."
    return f"Right, in all {len(cases)} cases."


@in_words
def check_shortcut(
    function: Callable[[list[set[int]], list[set[int]]], float],
) -> str:
    """A reader's share of pairs that counting shared tokens solves, called as
    function(queries, keys), each a set of tokens."""
    a, b, c = {1, 2, 3}, {3, 4, 5}, {7, 8, 9}
    cases = {
        "each query shares most with its own key": ([a, b, c], [{1, 2}, {4, 5}, {9}], 1.0),
        "one query of two shares more with the other's key": ([a, {1, 2, 4}], [a, {4, 9}], 0.5),
        "a long key: count shared tokens, not their share of the key": (
            [{1, 2}, {8}], [{1, 2, 5, 6, 7}, {1, 8}], 1.0,
        ),
        "two keys share equally much: a tie is not solved": ([a, c], [{1}, {2, 7}], 0.5),
        "a tie is not solved by the second key either": ([c, a], [{2, 7}, {1}], 0.5),
    }  # fmt: skip
    for case, (queries, keys, right) in cases.items():
        value = number(function(*([set(each) for each in side] for side in (queries, keys))))
        if not isclose(value, right, abs_tol=1e-6):
            return f"Not yet: {case}. It gives {value:.2f}, and should be {right:.2f}."
    return f"Right, in all {len(cases)} cases."


INSERTED = TrainConfig(query_crop=(0.5, 0.5), key_crop=(0.5, 0.5), query_delete=0.0, key_delete=0.0)


@in_words
def check_insertion(views: Views) -> str:
    """A reader's views that insert a random ordinary piece after each token of the query with
    probability .1, called as views(corpus, indices, rng, config)."""
    corpus, rows = _small_corpus(), np.arange(500)
    before = corpus.tokens.copy()
    query, key = _pair(views(corpus, rows, stream(0, "check"), INSERTED))
    fault = (
        _form_fault(query, key, len(rows))
        or _insertion_fault(query, key, corpus)
        or _noise_fault(query, corpus)
        or _random_fault(views, query, corpus, rows)
    )
    plain = two_views(_small_corpus(), rows, stream(0, "check"), INSERTED)[1]
    if not fault and not np.array_equal(key.tokens, plain.tokens):
        fault = "The key is not that of two_views: draw the pair first, and change only the query."
    if not fault and not np.array_equal(corpus.tokens, before):
        fault = "The corpus itself has changed: work on a copy."
    return f"Not yet: {fault}" if fault else "Right: a view like any other, and it trains."


def _pair(answer: object) -> list[Ragged]:
    views = listed(answer)
    if len(views) != 2 or not all(isinstance(view, Ragged) for view in views):
        wanted = "Return the query's view and the key's, each a Ragged."
        raise Unfit(f"Not yet: {in_brief(answer)} is no pair of views. {wanted}")
    return [Ragged(np.asarray(view.tokens), np.asarray(view.lengths)) for view in views]


def _form_fault(query: Ragged, key: Ragged, rows: int) -> str:
    for side, view in {"query": query, "key": key}.items():
        if len(view.lengths) != rows:
            return f"{rows} documents went in, {len(view.lengths)} rows of {side} came out."
        if view.lengths.sum() != len(view.tokens):
            return (
                f"The lengths of {side} add up to {view.lengths.sum()}, and there are "
                f"{len(view.tokens)} tokens: a row grows by what is inserted into it."
            )
    return ""


def _insertion_fault(query: Ragged, key: Ragged, corpus: Corpus) -> str:
    tokenizer, n = corpus.tokenizer, int(corpus.lengths[0]) // 2
    special = np.setdiff1d(query.tokens, ordinary_ids(tokenizer))
    if len(special):
        name = tokenizer.id_to_token(int(special[0])) or f"id {special[0]}, which is no piece"
        return f"{name} is in a query. Draw from ordinary_ids(corpus.tokenizer) alone."
    if (key.lengths != n).any():
        return "The key has changed; only the query should."
    added = query.lengths.sum() / (n * len(query.lengths)) - 1
    if abs(added - 0.1) > 5 * np.sqrt(0.09 / (n * len(query.lengths))):
        return f"You insert {added:.3f} pieces a token, and it should be 0.100."
    return ""


def _foreign(query: Ragged, corpus: Corpus) -> np.ndarray:
    """(T,) the tokens that no document has: about half of what should be inserted."""
    return ~np.isin(query.tokens, corpus.tokens)


def _noise_fault(query: Ragged, corpus: Corpus) -> str:
    foreign = _foreign(query, corpus)
    place = np.arange(len(query.tokens)) - np.repeat(query.starts(), query.lengths)
    late = place >= np.repeat(query.lengths / 2, query.lengths)
    if foreign.mean() < 0.02:
        return "What you insert is nearly always of the documents: draw from the whole vocabulary."
    if foreign.mean() > 0.075:
        return "What you insert is nearly never of the documents: draw from the whole vocabulary."
    if len(np.unique(query.tokens[foreign])) < 50:
        return "You insert the same few pieces again and again: draw a new one for each place."
    if foreign[query.starts()].any():
        return "A row begins with what was inserted: it goes after a token, so into that row."
    if abs((share := late[foreign].mean()) - 0.5) > 0.1:
        return f"{share:.0%} of it lie in the second half of a row: every token is as likely."
    return ""


def _random_fault(views: Views, query: Ragged, corpus: Corpus, rows: np.ndarray) -> str:
    again, other = (_pair(views(corpus, rows, stream(s, "check"), INSERTED))[0] for s in (0, 1))
    if not np.array_equal(again.tokens, query.tokens):
        return "The same stream gives other views: draw from rng and from nothing else."
    if np.array_equal(*(view.tokens[_foreign(view, corpus)] for view in (other, query))):
        return "Another stream inserts the same pieces: draw them from rng."
    return ""


def _small_corpus() -> Corpus:
    """500 documents of 40 tokens, of the first half of a small vocabulary's ordinary pieces."""
    syllables = [c + v for c in "bdfgklmnprst" for v in "aeiou"]
    words: Sequence[str] = [x + y for x in syllables for y in syllables]
    tokenizer = train_tokenizer([" ".join(words)], 400)
    ids, special = ordinary_ids(tokenizer), special_ids(tokenizer)
    assert special.mask not in ids
    tokens = stream(0, "small corpus").choice(ids[: len(ids) // 2], 500 * 40).astype(np.int32)
    return Corpus(tokens, np.arange(501) * 40, np.zeros(500, dtype=np.int32), tokenizer)
