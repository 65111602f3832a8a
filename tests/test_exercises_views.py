"""The checks of chapter 04: right answers pass, each known slip is told apart."""

from collections.abc import Callable

import numpy as np
import pytest

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, ragged
from contriever_lite.exercises_views import (
    check_insertion,
    check_overlap,
    check_shortcut,
    check_whole_words,
)
from contriever_lite.tokens import ordinary_ids, special_ids
from contriever_lite.views import two_views

CHECKS = [check_overlap, check_whole_words, check_shortcut, check_insertion]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def overlap(n: int, a: int, b: int) -> float:
    m = max(-1, n - a - b)
    return 1 - (m + 1) * (m + 2) / ((n - a + 1) * (n - b + 1))


def test_overlap_right() -> None:
    assert check_overlap(overlap).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda n, a, b: 1 - (n - a - b + 1) * (n - a - b + 2) / ((n - a + 1) * (n - b + 1)),
         "must overlap"),
        (lambda n, a, b: 1 - overlap(n, a, b), "do not overlap"),
        (lambda n, a, b: 1 - (1 - overlap(n, a, b)) / 2, "two cases"),
        (lambda n, a, b: 1 - (n - a - b) * (n - a - b + 1) / ((n - a) * (n - b)), "places"),
        (lambda n, a, b: 1 - (n - a - b) * (n - a - b + 1) / ((n - a + 1) * (n - b + 1)), "touch"),
        (lambda n, a, b: 0.123, "counting gives 0.5498"),
    ],
)  # fmt: skip
def test_overlap_slips(function: Callable[..., float], hint: str) -> None:
    verdict = check_overlap(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def whole_words(pieces: list[str], hit: list[bool]) -> list[str]:
    kept, gone = [], False
    for i, piece in enumerate(pieces):
        if i == 0 or not piece.startswith("##"):
            gone = hit[i]
        kept += [] if gone else [piece]
    return kept or pieces


def test_whole_words_right() -> None:
    assert check_whole_words(whole_words).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda p, h: [x for x, hit in zip(p, h, strict=True) if not hit], "all its pieces"),
        (lambda p, h: p, "with all its pieces"),
        (lambda p, h: whole_words(p, h) if any(h[:2]) else p[:2], "does nothing"),
        (lambda p, h: whole_words(p, h) if p[:1] != ["##ing"] else p, "begin inside a word"),
        (lambda p, h: [] if all(h) else whole_words(p, h), "keeps everything"),
        (lambda p, h: whole_words(p, h) if p else ["x"], "stays empty"),
        (lambda p, h: whole_words(p, h) if h[:3] != [True, False, True] else p, "stays whole"),
    ],
)
def test_whole_words_slips(function: Callable[..., list[str]], hint: str) -> None:
    verdict = check_whole_words(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def shared(queries: list[set[int]], keys: list[set[int]]) -> np.ndarray:
    return np.array([[len(q & k) for k in keys] for q in queries])


def solved(counts: np.ndarray) -> float:
    own = counts.diagonal()
    return float((((counts >= own[:, None]).sum(axis=1)) == 1).mean())


def test_shortcut_right() -> None:
    assert check_shortcut(lambda q, k: solved(shared(q, k))).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda q, k: 0.0, "most with its own"),
        (lambda q, k: 1.0, "one query of two"),
        (lambda q, k: float((shared(q, k).diagonal() == shared(q, k).max(axis=1)).mean()), "a tie"),
        (lambda q, k: solved(shared(q, k).T), "one query of two"),
        (lambda q, k: solved(shared(q, k) + np.arange(len(k)) / 9), "by the second key either"),
        (lambda q, k: solved(shared(q, k) / [len(x) for x in k]), "a long key"),
    ],
)
def test_shortcut_slips(function: Callable[..., float], hint: str) -> None:
    verdict = check_shortcut(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def inserting(
    rate: float = 0.1,
    after: int = 1,
    ids: Callable[[Corpus], np.ndarray] = lambda corpus: ordinary_ids(corpus.tokenizer),
    grow: bool = True,
    side: int = 0,
    own: bool = False,
) -> Callable:
    """Views of the exercise, right with the defaults; each argument makes a slip."""

    def views(
        corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig
    ) -> tuple[Ragged, Ragged]:
        rng = np.random.default_rng() if own else rng
        pair = list(two_views(corpus, indices, rng, config))
        view = pair[side]
        hit = np.flatnonzero(rng.random(len(view.tokens)) < rate)
        tokens = np.insert(view.tokens, hit + after, rng.choice(ids(corpus), len(hit)))
        added = np.bincount(view.row_of_token()[hit], minlength=len(view.lengths))
        pair[side] = Ragged(tokens, view.lengths + added * grow)
        return tuple(pair)

    return views


def test_insertion_right() -> None:
    assert check_insertion(inserting()).startswith("Right")


def test_insertion_takes_lists() -> None:
    def lists(*call: object) -> list[Ragged]:
        return [Ragged(view.tokens.tolist(), view.lengths.tolist()) for view in inserting()(*call)]

    assert check_insertion(lists).startswith("Right")


def fixed(corpus: Corpus, indices: np.ndarray, rng: object, config: TrainConfig) -> tuple:
    return inserting()(corpus, indices, np.random.default_rng(0), config)


def spoiling(corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig):
    views = inserting()(corpus, indices, rng, config)
    corpus.tokens[0] += 1
    return views


def fixed_noise(corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig):
    query, _ = fixed(corpus, indices, rng, config)
    return query, two_views(corpus, indices, rng, config)[1]


def other_key(corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig):
    query, _ = inserting()(corpus, indices, rng, config)
    return query, two_views(corpus, indices, rng, config)[1]


def at_the_end(corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig):
    query, key = two_views(corpus, indices, rng, config)
    ids = ordinary_ids(corpus.tokenizer)
    rows = [np.append(row, rng.choice(ids, rng.binomial(len(row), 0.1))) for row in query.rows()]
    return ragged(rows), key


def few(corpus: Corpus) -> np.ndarray:
    ids = ordinary_ids(corpus.tokenizer)
    return np.append(ids[: len(ids) // 2][:20], ids[-20:])


@pytest.mark.parametrize(
    ("views", "hint"),
    [
        (inserting(rate=0.2), "should be 0.100"),
        (inserting(rate=0), "You insert 0.000"),
        (inserting(after=0), "begins with what was inserted"),
        (inserting(ids=lambda c: np.arange(c.tokenizer.get_vocab_size())), "is in a query"),
        (inserting(ids=lambda c: np.array([special_ids(c.tokenizer).mask])), "[MASK]"),
        (inserting(ids=lambda c: np.array([10**6])), "which is no piece"),
        (inserting(ids=lambda c: c.tokens), "whole vocabulary"),
        (inserting(grow=False), "a row grows"),
        (inserting(side=1), "only the query"),
        (inserting(own=True), "The same stream"),
        (fixed, "Another stream"),
        (spoiling, "work on a copy"),
        (fixed_noise, "Another stream inserts"),
        (other_key, "is not that of two_views"),
        (at_the_end, "100% of it lie in the second half"),
        (inserting(ids=lambda c: ordinary_ids(c.tokenizer)[-9:]), "nearly never"),
        (inserting(ids=few), "the same few pieces"),
        (lambda *call: inserting()(*call)[0], "is no pair of views"),
        (lambda c, i, r, f: two_views(c, np.append(i, 0), r, f), "501 rows"),
    ],
)
def test_insertion_slips(views: Callable, hint: str) -> None:
    verdict = check_insertion(views)
    assert verdict.startswith("Not yet")
    assert hint in verdict
