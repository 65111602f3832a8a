"""Objectives: values, gradients and whole runs equal to loops written from the paper."""

import copy
from functools import partial

import pytest
import torch
import toy
from torch import Tensor, nn

from contriever_lite.batch import PairBatch, concatenate, to_tensors
from contriever_lite.cached import CachedGradients
from contriever_lite.corpus import ragged
from contriever_lite.diagnostics import accuracy, deviation, mean_rank
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError
from contriever_lite.key_queue import KeyQueue
from contriever_lite.loss import info_nce, same_text
from contriever_lite.objective import InBatch, MoCo, Queue
from contriever_lite.rng import torch_stream

QUERY = to_tensors(ragged([[1, 2], [3], [4, 4, 5]]))
KEY = to_tensors(ragged([[2], [3, 6], [5, 1, 1]]))
PAIRS = PairBatch(QUERY, KEY, torch.arange(3))


def encoder() -> BagEncoder:
    return BagEncoder(8, 4, generator=torch_stream(0, "test"))


def test_the_loss_is_that_of_two_forwards() -> None:
    one, two = encoder(), encoder()
    loss, measures = InBatch(one, partial(info_nce, temperature=0.2))(PAIRS)
    q, k = two(QUERY), two(KEY)
    expected = info_nce(q, k, temperature=0.2)
    torch.testing.assert_close(loss, expected)
    assert measures["accuracy"].item() == accuracy(q, k).item()
    assert not measures["accuracy"].requires_grad
    loss.backward()
    expected.backward()
    for ours, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.to_dense(), theirs.grad.to_dense())


def test_the_accuracy_is_measured_where_it_is_wanted() -> None:
    objective = InBatch(encoder(), info_nce)
    loss, measures = objective(PAIRS, measure=False)
    assert measures == {}
    assert loss.requires_grad
    assert torch.equal(loss, objective(PAIRS)[0])


@pytest.mark.parametrize("kind", [Queue, MoCo])
def test_a_queue_measures_where_it_is_wanted(kind) -> None:
    assert kind(encoder(), info_nce, KeyQueue(4, 4))(PAIRS, measure=False)[1] == {}


def test_a_document_may_have_several_query_views() -> None:
    twice = concatenate([QUERY, KEY])
    loss, measures = InBatch(encoder(), info_nce)(PairBatch(twice, KEY, torch.arange(3)))
    q, k = encoder()(twice), encoder()(KEY)
    torch.testing.assert_close(loss, info_nce(q, k))
    assert measures["accuracy"].item() == accuracy(q, k).item()


def test_both_views_go_through_the_encoder_at_once() -> None:
    calls = []

    class Counting(BagEncoder):
        def forward(self, batch):
            calls.append(len(batch))
            return super().forward(batch)

    InBatch(Counting(8, 4), info_nce)(PAIRS)
    assert calls == [6]


def test_the_interface_of_every_objective() -> None:
    objective = InBatch(encoder(), info_nce)
    called, named = objective(PAIRS), objective.loss(PAIRS)
    assert torch.equal(called[0], named[0])
    state = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    assert objective.after_step() is None
    assert all(torch.equal(state[name], t) for name, t in objective.state_dict().items())
    assert set(state) == {"encoder.vectors", "encoder.log_weights"}, "it holds nothing of its own"


def test_documents_of_the_same_text_can_be_skipped() -> None:
    pairs = toy.pairs(6, views=2)
    loss, measures = InBatch(toy.bag(), info_nce, skip_same_text=True)(pairs)
    q, k = toy.bag()(pairs.query), toy.bag()(pairs.key)
    ignore = same_text(pairs.documents).repeat(2, 1)
    assert ignore.any()
    torch.testing.assert_close(loss, info_nce(q, k, ignore=ignore))
    assert measures["mean_rank"] == mean_rank(q, k, ignore=ignore)
    assert measures["deviation"] == pytest.approx(deviation(q).item())


class Naive:
    """Training with past keys, written from the paper with lists (section 3, He et al. 2020)."""

    def __init__(self, encoder: nn.Module, size: int, tau: float, momentum: float | None) -> None:
        self.fast, self.size, self.tau, self.momentum = encoder, size, tau, momentum
        self.slow = encoder if momentum is None else copy.deepcopy(encoder)
        self.past: list[tuple[Tensor, int]] = []

    def loss(self, pairs, batch_negatives=False, key_gradient=False, skip=False) -> Tensor:
        q, k = self.fast(pairs.query), self.slow(pairs.key)
        k = k if key_gradient else k.detach()
        texts, total = pairs.documents.tolist(), 0.0
        for i in range(len(q)):
            own = i % len(k)
            others = (
                [(k[j], texts[j]) for j in range(len(k)) if j != own] if batch_negatives else []
            )
            negatives = [n for n, text in others + self.past if not (skip and text == texts[own])]
            weights = [(torch.dot(q[i], n) / self.tau).exp() for n in negatives]
            positive = (torch.dot(q[i], k[own]) / self.tau).exp()
            total = total - (positive / (positive + sum(weights))).log()
        self.fresh = [(key.detach().clone(), text) for key, text in zip(k, texts, strict=True)]
        return total / len(q)

    @torch.no_grad()
    def after_step(self) -> None:
        self.past = (self.past + self.fresh)[-self.size :]
        if self.momentum is not None:
            for mine, other in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
                mine.copy_(self.momentum * mine + (1 - self.momentum) * other)


@torch.no_grad()
def descend(module: nn.Module, rate: float = 0.05) -> None:
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter -= rate * parameter.grad.to_dense()
            parameter.grad = None


def check_run(objective: Queue, naive: Naive, steps: int = 5, views: int = 2, **options) -> None:
    """Loss, gradient, weights of both encoders and queue, step after step."""
    objective.train()
    inner = getattr(objective.encoder, "encoder", objective.encoder)
    for step in range(steps):
        pairs = toy.pairs(6, views, step)
        ours, theirs = objective.loss(pairs)[0], naive.loss(pairs, **options)
        torch.testing.assert_close(ours, theirs)
        ours.backward()
        theirs.backward()
        expected = toy.dense_gradients(naive.fast)
        for name, gradient in toy.dense_gradients(inner).items():
            torch.testing.assert_close(gradient, expected[name])
        descend(inner)
        descend(naive.fast)
        objective.after_step()
        naive.after_step()
        keys, texts = objective.queue.negatives()
        order = torch.arange(objective.queue.place - len(keys), objective.queue.place) % len(keys)
        torch.testing.assert_close(keys[order], torch.stack([key for key, _ in naive.past]))
        assert texts[order].tolist() == [text for _, text in naive.past]
        for mine, other in zip(
            objective.key_encoder.parameters(), naive.slow.parameters(), strict=True
        ):
            torch.testing.assert_close(mine, other)


def plain() -> toy.Dropping:
    return toy.Dropping(dropout=0.0)


INFO_NCE = partial(info_nce, temperature=0.3)
ENCODERS = {"dense": plain, "bag": toy.bag}
cached = pytest.mark.parametrize("rows", [None, 4], ids=["plain", "cached"])


def wrapped(encoder: nn.Module, rows: int | None) -> nn.Module:
    return encoder if rows is None else CachedGradients(encoder, rows)


@cached
@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("size", [4, 15])
def test_moco_is_the_papers_loop(size, batch_negatives, skip, make, rows) -> None:
    objective = MoCo(
        wrapped(make(), rows),
        INFO_NCE,
        KeyQueue(size, toy.DIMENSION),
        momentum=0.8,
        batch_negatives=batch_negatives,
        skip_same_text=skip,
    )
    naive = Naive(make(), size, 0.3, momentum=0.8)
    check_run(objective, naive, batch_negatives=batch_negatives, skip=skip)


@cached
@pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("key_gradient", [False, True])
def test_a_queue_is_the_same_loop_without_a_slow_encoder(
    key_gradient, batch_negatives, make, rows
) -> None:
    """With both options it is XBM: the batch's pairs learn, the memory is full of the past."""
    options = {"key_gradient": key_gradient, "batch_negatives": batch_negatives}
    objective = Queue(wrapped(make(), rows), INFO_NCE, KeyQueue(15, toy.DIMENSION), **options)
    check_run(objective, Naive(make(), 15, 0.3, momentum=None), **options)


@pytest.mark.parametrize("kind", [Queue, MoCo])
def test_the_gradient_flows_through_the_queries_alone(kind) -> None:
    """Equal to that of keys computed beforehand, as constants."""
    pairs, encoder = toy.pairs(6), plain()
    k = encoder(pairs.key).detach()
    info_nce(encoder(pairs.query), k, k.flip(0), 0.3).backward()
    expected = toy.dense_gradients(encoder)
    queue = KeyQueue(6, toy.DIMENSION)
    queue.push(k.flip(0))
    one = kind(plain(), lambda q, k, negatives, ignore: info_nce(q, k, negatives, 0.3), queue)
    one.loss(pairs)[0].backward()
    for name, gradient in toy.dense_gradients(one.encoder).items():
        torch.testing.assert_close(gradient, expected[name])


def test_in_batch_with_cached_gradients() -> None:
    pairs, found = toy.pairs(6, views=2), []
    for rows in (None, 1, 4, 100):
        objective = InBatch(wrapped(toy.bag(), rows), INFO_NCE)
        loss, measures = objective.loss(pairs)
        loss.backward()
        inner = getattr(objective.encoder, "encoder", objective.encoder)
        found.append((loss.detach(), measures, toy.dense_gradients(inner)))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


@pytest.mark.parametrize("batch_negatives", [False, True])
@pytest.mark.parametrize("kind", [Queue, MoCo])
def test_the_first_step_has_the_batchs_negatives_or_none(kind, batch_negatives: bool) -> None:
    objective = kind(plain(), INFO_NCE, KeyQueue(9, toy.DIMENSION), batch_negatives=batch_negatives)
    pairs = toy.pairs(6)
    loss, measures = objective.loss(pairs)
    loss.backward()
    gradients = toy.dense_gradients(objective.encoder).values()
    if batch_negatives:
        expected = info_nce(plain()(pairs.query), plain()(pairs.key), None, 0.3)
        torch.testing.assert_close(loss, expected)
        assert any(gradient.abs().sum() > 0 for gradient in gradients)
    else:
        assert loss.item() == 0
        assert measures["accuracy"] == measures["mean_rank"] == 1
        assert all(gradient.eq(0).all() for gradient in gradients)
    objective.after_step()
    assert len(objective.queue) == 6


def test_noise_gives_the_first_step_that_the_reference_code_begins_with() -> None:
    """The positive against random vectors of length 1, and no key of the batch."""
    noise = KeyQueue(9, toy.DIMENSION, torch_stream(1, "noise"))
    start = noise.keys.clone()
    loss, _ = MoCo(plain(), INFO_NCE, noise).loss(toy.pairs(6))
    q, k = plain()(toy.pairs(6).query), plain()(toy.pairs(6).key)
    own = (q * k).sum(dim=1, keepdim=True)
    scores = torch.cat([own, q @ start.T], dim=1) / 0.3
    expected = nn.functional.cross_entropy(scores, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(loss, expected)


def states(objective: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in objective.state_dict().items()}


@pytest.mark.parametrize("kind", [InBatch, Queue, MoCo])
def test_evaluation_changes_nothing(kind) -> None:
    queue = [] if kind is InBatch else [KeyQueue(8, toy.DIMENSION)]
    objective = kind(toy.Dropping(), INFO_NCE, *queue)
    for step in range(2):
        objective.loss(toy.pairs(6, step=step))[0].backward()
        descend(objective.encoder)
        objective.after_step()
    before = states(objective)
    objective.eval()
    losses = []
    for _ in range(2):
        losses.append(objective.loss(toy.pairs(6, step=3))[0])
        objective.after_step()
    assert torch.equal(*losses), "no dropout either"
    objective.train()
    after = states(objective)
    assert all(torch.equal(before[name], after[name]) for name in before)
    if kind is not InBatch:
        objective.loss(toy.pairs(2, step=4))
        objective.eval().after_step()
        assert all(torch.equal(before[name], now) for name, now in states(objective).items())
        objective.train()
        objective.after_step()
        assert objective.queue.ages().tolist().count(1) == 2, "nothing was left over to push"


@pytest.mark.parametrize("kind", [Queue, MoCo])
def test_micro_batches_share_one_after_step(kind) -> None:
    """Three calls of loss, then one push of all their keys and one move of the slow encoder."""
    objective = kind(plain(), INFO_NCE, KeyQueue(12, toy.DIMENSION))
    before, parts = states(objective), [toy.pairs(6).part(rank, 3) for rank in range(3)]
    for part in parts:
        objective.loss(part)[0].backward()
    during = states(objective)
    assert all(torch.equal(before[name], during[name]) for name in before)
    objective.after_step()
    keys, documents = objective.queue.negatives()
    torch.testing.assert_close(keys, plain()(toy.pairs(6).key).detach())
    assert documents.tolist() == toy.pairs(6).documents.tolist()
    assert objective.queue.ages().tolist() == [1] * 6
    assert getattr(objective, "updates", 1) == 1
    objective.after_step()
    assert len(objective.queue) == 6, "nothing fresh: nothing pushed"


@pytest.mark.parametrize("kind", [Queue, MoCo])
def test_dropout_of_the_keys(kind) -> None:
    """On, as in the reference code: two forwards differ. Off: they do not, but queries do."""
    pairs = toy.pairs(6)
    for on in (True, False):
        choice = {} if on else {"key_dropout": False}
        objective = kind(toy.Dropping(), INFO_NCE, KeyQueue(8, toy.DIMENSION), **choice)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            (q, k), (other_q, other_k) = objective.encode(pairs), objective.encode(pairs)
        assert not torch.equal(q, other_q)
        assert torch.equal(k, other_k) != on
        if not on:
            torch.testing.assert_close(k, plain()(pairs.key).detach())
        assert all(module.training for module in objective.modules())


def test_a_part_of_the_encoder_that_rests_goes_on_resting() -> None:
    encoder = toy.Dropping()
    objective = Queue(encoder, INFO_NCE, KeyQueue(8, toy.DIMENSION), key_dropout=False)
    encoder.dropout.eval()
    objective.loss(toy.pairs(4))
    assert encoder.training
    assert not encoder.dropout.training


def test_the_slow_encoder_starts_equal_learns_nothing_and_may_follow_a_schedule() -> None:
    asked = []

    def momentum(update: int) -> float:
        asked.append(update)
        return [0.0, 1.0, 0.5][update]

    objective = MoCo(plain(), INFO_NCE, KeyQueue(8, toy.DIMENSION), momentum)
    weights = []
    for step in range(3):
        objective.loss(toy.pairs(6, step=step))[0].backward()
        assert all(weight.grad is None for weight in objective.slow.parameters())
        with torch.no_grad():
            objective.encoder.table.fill_(step + 1)
        objective.after_step()
        weights.append(objective.slow.table.mean().item())
    assert weights == [1, 1, 2]
    assert asked == [0, 1, 2]


def test_a_saved_moco_goes_on_identically() -> None:
    def schedule(update: int) -> float:
        return update / 10

    def new(seed: int) -> MoCo:
        return MoCo(toy.Dropping(seed, 0.0), INFO_NCE, KeyQueue(10, toy.DIMENSION), schedule)

    def run(objective: MoCo, steps: range) -> None:
        for step in steps:
            objective.loss(toy.pairs(6, step=step))[0].backward()
            descend(objective.encoder)
            objective.after_step()

    whole, half, resumed = new(0), new(0), new(5)
    run(whole, range(6))
    run(half, range(3))
    resumed.load_state_dict(states(half))
    run(resumed, range(3, 6))
    expected, found = states(whole), states(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_queue_of_another_dimension_is_refused() -> None:
    queue = KeyQueue(8, toy.DIMENSION + 1)
    queue.push(torch.ones(1, toy.DIMENSION + 1))
    with pytest.raises(ConfigError, match=r"negatives must be \(K, 6\)"):
        Queue(plain(), INFO_NCE, queue).loss(toy.pairs(4))
