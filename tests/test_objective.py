"""The in-batch objective: one forward of both views, the loss it was given, and the accuracy."""

from functools import partial

import torch

from contriever_lite.batch import PairBatch, concatenate, to_tensors
from contriever_lite.corpus import ragged
from contriever_lite.diagnostics import accuracy
from contriever_lite.encoder import BagEncoder
from contriever_lite.loss import info_nce
from contriever_lite.objective import InBatch
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
