"""The cross-encoder: what it reads, that it learns, and that re-ranking only re-orders."""

import dataclasses
from statistics import fmean

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.batch import TokenBatch
from contriever_lite.cross_encoder import CrossEncoder, rerank, train_cross_encoder
from contriever_lite.errors import TrainingError
from contriever_lite.labels import Labels, first_tokens, read_labels
from contriever_lite.warm_start import new_transformer

WORLD, CORPUS = synthetic.world(), synthetic.corpus()
LABELS = read_labels(WORLD, CORPUS.tokenizer)
CONFIG = synthetic.SMALL.replace(
    encoder="transformer", dimension=16, layers=1, heads=2, dropout=0.0, batch_size=10, steps=30,
    window=24, learning_rate=0.005, clip=1.0,
)  # fmt: skip


def new() -> CrossEncoder:
    start = new_transformer(CONFIG, CORPUS.tokenizer)
    return CrossEncoder(start.model, start.reading)


def test_it_reads_query_and_document_in_one_row_and_scores_cls() -> None:
    model = new().eval()
    r = model.reading
    queries = TokenBatch(torch.tensor([50, 51, 52]), torch.tensor([2, 1]))
    documents = TokenBatch(torch.tensor([60, 61, 62, 63]), torch.tensor([1, 3]))
    ids = torch.tensor([[r.cls, 50, 51, r.sep, 60, r.sep, r.pad], [r.cls, 52, r.sep, 61, 62, 63,
                                                                   r.sep]])  # fmt: skip
    segments = torch.tensor([[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]])
    mask = (torch.arange(7)[None] < torch.tensor([[6], [7]])).long()
    hidden = model.model(input_ids=ids, attention_mask=mask, token_type_ids=segments)
    scores = hidden.last_hidden_state[:, 0] @ model.weights
    assert torch.allclose(model(queries, documents), scores, atol=1e-6)


def test_long_texts_are_cut_to_what_the_model_reads() -> None:
    model = new().eval()
    long = TokenBatch(torch.full((3000,), 50), torch.tensor([1000, 2000]))
    assert model(long, long).shape == (2,)


def losses(model: CrossEncoder, labels: Labels, hard: list[np.ndarray]) -> list[float]:
    """Of each query: how surprised is a softmax over its answer and its candidates?"""
    found = []
    for row, answers in enumerate(labels.answers):
        texts = first_tokens(CORPUS, np.append(answers, hard[row]), CONFIG.window)
        with torch.no_grad():
            scores = model(labels.batch(np.full(len(texts), row)), texts)
        found.append(-float(scores.log_softmax(0)[0]))
    return found


def test_it_learns_which_candidate_is_the_answer_and_repeats_itself() -> None:
    few = dataclasses.replace(LABELS.take([0, 5]), answers=(np.array([1]), np.array([40])))
    hard = [np.array([2, 40, 41, 80]), np.array([1, 3, 43, 81])]
    start = new().eval()
    before = fmean(losses(start, few, hard))
    trained = train_cross_encoder(CONFIG, start, CORPUS, few, hard)
    after = losses(trained, few, hard)
    assert fmean(after) < before - 0.5
    again = train_cross_encoder(CONFIG, new(), CORPUS, few, hard)
    assert losses(again, few, hard) == after
    assert not trained.training


def test_re_ranking_scores_the_first_documents_alone() -> None:
    documents, model, labels = WORLD.document_ids(), new().eval(), LABELS.take([3, 4])
    run = {q: {d: float(i) for i, d in enumerate(documents[:: 1 + n % 3])}
           for n, q in enumerate(labels.ids)}  # fmt: skip
    found = rerank(model, run, labels, CORPUS, documents, CONFIG.window, depth=12, batch_size=7)
    for query, scores in run.items():
        assert set(found[query]) == set(sorted(scores, key=scores.get, reverse=True)[:12])
    numbers = np.array([documents.index(d) for d in found[labels.ids[1]]])
    alone = first_tokens(CORPUS, numbers, CONFIG.window)
    for i, value in enumerate(found[labels.ids[1]].values()):
        assert float(model(labels.batch([1]), alone.rows(i, i + 1)).detach()) == pytest.approx(
            value, abs=1e-4
        )


def test_a_loss_that_is_no_number() -> None:
    model = new()
    with torch.no_grad():
        model.weights.fill_(float("nan"))
    with pytest.raises(TrainingError, match="step 1: the loss is nan"):
        train_cross_encoder(CONFIG, model, CORPUS, LABELS, [np.arange(100, 104)] * len(LABELS))
