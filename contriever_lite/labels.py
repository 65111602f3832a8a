"""Labelled pairs: queries, the documents that people judged to answer them, and batches of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from contriever_lite.batch import PairBatch, TokenBatch, to_tensors
from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged, ragged, token_rows
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.rng import stream
from contriever_lite.sampling import draw_of_step

Numbers = Sequence[np.ndarray]  # for each query, numbers of documents


@dataclass(frozen=True)
class Labels:
    """N queries and the documents that answer each.

    ids: N query ids. queries: their tokens, N rows. answers: for each query the numbers of its
    relevant documents, at least one; documents are numbered as in the collection.
    """

    ids: tuple[str, ...]
    queries: Ragged
    answers: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | np.ndarray) -> Labels:
        """The labels of these rows, in this order."""
        tokens = self.queries.rows()
        return Labels(
            tuple(self.ids[i] for i in rows),
            ragged([tokens[i] for i in rows]),
            tuple(self.answers[i] for i in rows),
        )

    def batch(self, rows: Sequence[int] | np.ndarray) -> TokenBatch:
        """The queries of these rows as tensors."""
        return to_tensors(self.take(rows).queries)

    def hold_out(self, share: float, seed: int) -> tuple[Labels, Labels]:
        """(the rest, floor(share N) labels drawn at random), each in the order they stand in."""
        order = stream(seed, "hold out").permutation(len(self))
        cut = int(share * len(self)) if 0 < share < 1 else 0
        if not 0 < cut < len(self):
            raise ConfigError(f"share = {share} of {len(self)} labels holds out {cut}; leave some")
        return self.take(np.sort(order[cut:])), self.take(np.sort(order[:cut]))

    def few(self, count: int, seed: int) -> Labels:
        """The first `count` of a random order: a larger count holds the smaller one's labels."""
        if not 0 < count <= len(self):
            raise ConfigError(f"count = {count}: there are {len(self)} labels")
        return self.take(stream(seed, "few labels").permutation(len(self))[:count])


def read_labels(collection: Collection, tokenizer: Tokenizer) -> Labels:
    """The judged queries of a collection, without those that no document answers."""
    place = {id_: number for number, id_ in enumerate(collection.corpus)}
    answers = {
        query: np.array(sorted(place[d] for d, grade in judged.items() if grade > 0 and d in place))
        for query, judged in collection.qrels.items()
    }
    ids = tuple(query for query in collection.queries if len(answers.get(query, ())))
    if not ids:
        raise DataError(f"{collection.name}, {collection.split}: no query has a relevant document")
    texts = [collection.queries[query] for query in ids]
    return Labels(ids, token_rows(texts, tokenizer), tuple(answers[query] for query in ids))


def part(collection: Collection, labels: Labels) -> Collection:
    """The collection with the queries of these labels alone."""
    queries = {query: collection.queries[query] for query in labels.ids}
    return replace(collection, queries=queries, qrels={q: collection.qrels[q] for q in queries})


def numbered(
    mined: Mapping[str, Sequence[str]], labels: Labels, documents: Sequence[str]
) -> Numbers:
    """query id -> document ids (mining.py) to numbers of documents, in the order of the labels."""
    place = {id_: number for number, id_ in enumerate(documents)}
    return [np.array([place[d] for d in mined.get(query, ())], np.int64) for query in labels.ids]


class LabelBatch(NamedTuple):
    """One step's pairs: B queries and an answer of each, K further documents that answer none of
    the queries they were mined for, and `ignore` (B, B + K): True where a document answers a query
    without being its positive here."""

    pairs: PairBatch
    negatives: TokenBatch
    ignore: Tensor


def batch_of_labels(
    labels: Labels, corpus: Corpus, config: TrainConfig, step: int, hard: Numbers | None = None
) -> LabelBatch:
    """What step `step` trains on: a pure function of its arguments.

    config.batch_size queries, in epochs; of each query one of its answers and, of `hard`, one of
    its hard negatives (none where there are none), drawn at random. Documents are cut to
    config.window tokens.
    """
    rows = draw_of_step(np.arange(len(labels)), config, step).numbers
    rng = stream(config.seed, "labels", step=step)
    answers = np.array([rng.choice(labels.answers[i]) for i in rows])
    mined = [rng.choice(hard[i]) for i in rows if len(hard[i])] if hard is not None else []
    keys = np.concatenate([answers, np.array(mined, np.int64)])
    ignore = torch.from_numpy(np.stack([np.isin(keys, labels.answers[i]) for i in rows]))
    ignore.fill_diagonal_(False)
    documents = first_tokens(corpus, keys, config.window)
    own, others = documents.rows(0, len(rows)), documents.rows(len(rows), len(keys))
    pairs = PairBatch(labels.batch(rows), own, torch.from_numpy(answers))
    return LabelBatch(pairs, others, ignore)


def first_tokens(corpus: Corpus, numbers: np.ndarray, window: int) -> TokenBatch:
    """The first `window` tokens of the documents of these numbers."""
    return to_tensors(ragged([row[:window] for row in corpus.documents(numbers).rows()]))
