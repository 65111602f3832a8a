"""Labels: who answers what, which are held out, what a batch holds and must not hold."""

import dataclasses

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.labels import Labels, batch_of_labels, numbered, read_labels

WORLD, CORPUS = synthetic.world(), synthetic.corpus()
LABELS = read_labels(WORLD, CORPUS.tokenizer)
CONFIG = synthetic.SMALL.replace(batch_size=8)


def test_labels_are_the_judged_queries_and_their_answers() -> None:
    assert LABELS.ids == tuple(WORLD.queries)
    documents = WORLD.document_ids()
    for query, answers in zip(LABELS.ids, LABELS.answers, strict=True):
        assert {documents[n] for n in answers} == set(WORLD.qrels[query])
    first = CORPUS.tokenizer.encode(WORLD.queries[LABELS.ids[0]], add_special_tokens=False).ids
    assert LABELS.queries.rows()[0].tolist() == first


def test_a_query_without_an_answer_is_left_out() -> None:
    query, *others = WORLD.qrels
    none = {**WORLD.qrels, query: {"t0n0": 0}}
    assert read_labels(dataclasses.replace(WORLD, qrels=none), CORPUS.tokenizer).ids == (*others,)
    nobody = dataclasses.replace(WORLD, qrels={q: {} for q in WORLD.qrels})
    with pytest.raises(DataError, match="no query has a relevant document"):
        read_labels(nobody, CORPUS.tokenizer)


def test_held_out_labels_are_others_and_the_seed_decides() -> None:
    rest, held = LABELS.hold_out(0.25, seed=0)
    assert (len(rest), len(held)) == (15, 5)
    assert set(rest.ids) | set(held.ids) == set(LABELS.ids)
    assert LABELS.hold_out(0.25, seed=0)[1].ids == held.ids
    assert LABELS.hold_out(0.25, seed=1)[1].ids != held.ids
    with pytest.raises(ConfigError, match="holds out 0; leave some"):
        LABELS.hold_out(0.01, seed=0)


def test_more_labels_hold_the_fewer() -> None:
    few, more = LABELS.few(4, seed=3), LABELS.few(9, seed=3)
    assert more.ids[:4] == few.ids
    assert LABELS.few(4, seed=4).ids != few.ids
    with pytest.raises(ConfigError, match="count = 21: there are 20"):
        LABELS.few(21, seed=0)


def mined() -> list[np.ndarray]:
    """For each query two documents of the next topic."""
    return [(answers[:2] + synthetic.EACH) % len(CORPUS) for answers in LABELS.answers]


def test_a_batch_pairs_queries_with_their_answers_and_ignores_what_answers_too() -> None:
    hard = mined()
    for step in range(5):
        batch = batch_of_labels(LABELS, CORPUS, CONFIG, step, hard)
        keys = batch.pairs.documents.tolist()
        queries = [batch.pairs.query.rows(i, i + 1).tokens.tolist() for i in range(8)]
        rows = [r.tolist() for r in LABELS.queries.rows()]
        answers = [LABELS.answers[rows.index(query)] for query in queries]
        assert all(key in own for key, own in zip(keys, answers, strict=True))
        assert len(batch.negatives) == 8
        assert batch.ignore.shape == (8, 16)
        for i, own in enumerate(answers):
            texts = [*keys, *_numbers(batch.negatives)]
            assert batch.ignore[i].tolist() == [n in own and j != i for j, n in enumerate(texts)]


def _numbers(batch: object) -> list[int]:
    documents = [row[: CONFIG.window].tolist() for row in CORPUS.documents(
        np.arange(len(CORPUS))).rows()]  # fmt: skip
    return [documents.index(batch.rows(i, i + 1).tokens.tolist()) for i in range(len(batch))]


def test_a_batch_is_a_function_of_its_arguments() -> None:
    one, two = (batch_of_labels(LABELS, CORPUS, CONFIG, 3) for _ in range(2))
    assert torch.equal(one.pairs.key.tokens, two.pairs.key.tokens)
    assert len(one.negatives) == 0
    assert one.ignore.shape == (8, 8)
    other = batch_of_labels(LABELS, CORPUS, CONFIG, 4)
    assert one.pairs.documents.tolist() != other.pairs.documents.tolist()
    short = batch_of_labels(LABELS, CORPUS, CONFIG.replace(window=5), 3)
    assert int(short.pairs.key.lengths.max()) == 5


def test_mined_documents_get_their_numbers() -> None:
    found = numbered({LABELS.ids[1]: ["t0n3", "t1n0"]}, LABELS, WORLD.document_ids())
    assert [numbers.tolist() for numbers in found[:2]] == [[], [3, synthetic.EACH]]
    assert isinstance(LABELS, Labels)


def test_a_share_that_is_no_share_is_refused() -> None:
    for share in (float("nan"), float("inf"), -0.5, 1.5):
        with pytest.raises(ConfigError, match="share"):
            LABELS.hold_out(share, seed=0)


def test_an_answer_that_is_no_document_does_not_count() -> None:
    query = LABELS.ids[0]
    more = {**WORLD.qrels, query: {**WORLD.qrels[query], "elsewhere": 1}}
    found = read_labels(dataclasses.replace(WORLD, qrels=more), CORPUS.tokenizer)
    assert found.answers[0].tolist() == LABELS.answers[0].tolist()


def test_as_few_and_as_many_labels_as_there_can_be() -> None:
    assert len(LABELS.hold_out(0.05, seed=0)[1]) == 1
    assert set(LABELS.few(20, seed=0).ids) == set(LABELS.ids)
    with pytest.raises(ConfigError, match="count = 0"):
        LABELS.few(0, seed=0)


def test_a_query_without_hard_negatives_adds_none() -> None:
    hard = [np.array([], np.int64), *mined()[1:]]
    batch = batch_of_labels(LABELS, CORPUS, CONFIG.replace(batch_size=20), 0, hard)
    assert (len(batch.pairs), len(batch.negatives)) == (20, 19)
