"""The cross-encoder: what it reads, that it learns, and that re-ranking only re-orders."""

import dataclasses
from statistics import fmean

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.batch import TokenBatch
from contriever_lite.cross_encoder import (
    CrossEncoder,
    _candidates,
    rerank,
    shares,
    train_cross_encoder,
)
from contriever_lite.errors import TrainingError
from contriever_lite.labels import Labels, first_tokens, read_labels
from contriever_lite.rng import torch_stream
from contriever_lite.warm_start import new_transformer

WORLD, CORPUS = synthetic.world(), synthetic.corpus()
LABELS = read_labels(WORLD, CORPUS.tokenizer)
CONFIG = synthetic.SMALL.replace(
    encoder="transformer", dimension=16, layers=1, heads=2, dropout=0.0, batch_size=10, steps=30,
    window=24, learning_rate=0.005, clip=1.0,
)  # fmt: skip


RARITY = torch.linspace(0.1, 1.0, CORPUS.tokenizer.get_vocab_size())


def new(**helps: object) -> CrossEncoder:
    start = new_transformer(CONFIG, CORPUS.tokenizer)
    return CrossEncoder(start.model, start.reading, **helps)


def test_it_reads_query_and_document_in_one_row_and_scores_cls() -> None:
    model = new().eval()
    start = torch.randn(16, generator=torch_stream(0, "score")) / 4
    torch.testing.assert_close(model.weights.data, start)
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


def test_words_that_stand_in_both_texts_are_marked() -> None:
    """The word vectors that the model reads: those of tokens in both, special ones apart, moved by
    the mark times their rarity."""
    plain, marked = new().eval(), new(rarity=RARITY).eval()
    queries = TokenBatch(torch.tensor([50, 51, 52]), torch.tensor([2, 1]))
    documents = TokenBatch(torch.tensor([51, 60, 51, 62]), torch.tensor([3, 1]))
    seen = []
    for model in (plain, marked):
        hook = model.model.register_forward_pre_hook(
            lambda _, words, named: seen.append(named["inputs_embeds"]), with_kwargs=True
        )
        with torch.no_grad():
            if model.mark is not None:
                model.mark.fill_(1.0)
            model(queries, documents)
        hook.remove()
    moved = (seen[1] - seen[0]).mean(2)
    expected = torch.zeros(2, 8)
    expected[0, [2, 4, 6]] = RARITY[51]  # [CLS] 50 51 [SEP] 51 60 51 [SEP]
    assert torch.allclose(moved, expected, atol=1e-6)


def test_the_first_stage_counts_from_the_start() -> None:
    with_first, without = new(first=True).eval(), new().eval()
    texts = LABELS.batch([0, 1])
    first = torch.tensor([0.5, 1.0])
    moved = with_first(texts, texts, first) - without(texts, texts)
    assert torch.allclose(moved, 10 * first, atol=1e-5)


def test_shares_of_a_run() -> None:
    scores = {"a": 6.0, "b": 4.0, "c": 2.0}
    assert shares(scores, ["b", "a", "elsewhere", "c"]).tolist() == [0.5, 1.0, 0.0, 0.0]
    assert shares({"a": 3.0}, ["a"]).tolist() == [0.0]
    assert shares({}, []).tolist() == []


def test_helps_are_learnt() -> None:
    documents = WORLD.document_ids()
    run = {q: {d: float(d in WORLD.qrels[q]) for d in documents} for q in LABELS.ids}
    hard = [np.setdiff1d(np.arange(120), answers)[::9] for answers in LABELS.answers]
    model = new(rarity=RARITY, first=True)
    config = CONFIG.replace(steps=5)
    train_cross_encoder(config, model, CORPUS, LABELS, hard, run=run, documents=documents)
    assert model.mark.abs().sum() > 0
    assert model.first.item() != 10
    found = rerank(model, run, LABELS.take([0]), CORPUS, documents, CONFIG.window, depth=20)
    relevant = WORLD.qrels[LABELS.ids[0]]
    assert set(sorted(found[LABELS.ids[0]], key=found[LABELS.ids[0]].get)[-12:]) == set(relevant)


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


def test_a_query_without_an_answer_keeps_none() -> None:
    run = {query: {} for query in LABELS.ids}
    assert rerank(new(), run, LABELS, CORPUS, WORLD.document_ids(), window=24) == run


def test_queries_with_too_few_hard_negatives_are_left_out() -> None:
    hard = [np.array([100, 101, 102])] * 3 + [np.array([100])] * (len(LABELS) - 3)
    model, rows = new(), []
    model.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    train_cross_encoder(CONFIG.replace(steps=1), model, CORPUS, LABELS, hard)
    assert rows == [3 * 4]


def test_no_candidate_comes_twice() -> None:
    hard = [np.array([100, 101, 102])] * len(LABELS)
    found = _candidates(LABELS, hard, np.arange(20), 3, np.random.default_rng(0))
    assert all(set(row[1:]) == {100, 101, 102} for row in found.tolist())
    assert all(row[0] in LABELS.answers[i] for i, row in enumerate(found))


def test_a_query_is_read_up_to_64_tokens() -> None:
    model, tokens = new().eval(), torch.arange(100) % 40 + 50
    document = TokenBatch(torch.tensor([60, 61]), torch.tensor([2]))
    whole, cut, short = (
        model(TokenBatch(tokens[:n], torch.tensor([n])), document).item() for n in (100, 64, 63)
    )
    assert whole == cut != short
