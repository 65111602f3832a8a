"""Cached gradients are the gradients: any micro-batch, any encoder, dropout replayed."""

import pytest
import torch
import toy
from torch import Tensor, nn

from contriever_lite.batch import TokenBatch
from contriever_lite.cached import CachedGradients
from contriever_lite.loss import info_nce
from contriever_lite.objective import InBatch


def gradients_of(encoder: nn.Module, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The vectors, and the gradients of a loss that looks at all of them together."""
    vectors = encoder(batch)
    q, k = vectors.chunk(2)
    info_nce(q, k, temperature=0.3).backward()
    return vectors.detach(), toy.dense_gradients(encoder)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 10, 64])
@pytest.mark.parametrize("make", [toy.bag, lambda: toy.Dropping(dropout=0.0)])
def test_value_and_gradient_are_the_plain_encoders(make, rows: int) -> None:
    batch = toy.tokens(10)
    plain_vectors, plain = gradients_of(make(), batch)
    vectors, cached = gradients_of(CachedGradients(make(), rows), batch)
    torch.testing.assert_close(vectors, plain_vectors)
    for name, expected in plain.items():
        torch.testing.assert_close(cached[f"encoder.{name}"], expected)
        assert expected.abs().sum() > 0


def test_the_bags_gradients_stay_sparse() -> None:
    encoder = toy.bag()
    CachedGradients(encoder, 3)(toy.tokens(10)).sum().backward()
    assert encoder.vectors.grad.is_sparse


class InParts(nn.Module):
    """The same micro-batches, nothing cached: dropout draws what it draws there."""

    def __init__(self, encoder: nn.Module, rows: int) -> None:
        super().__init__()
        self.encoder, self.rows = encoder, rows

    def forward(self, batch: TokenBatch) -> Tensor:
        starts = range(0, len(batch), self.rows)
        parts = [batch.rows(s, min(s + self.rows, len(batch))) for s in starts]
        return torch.cat([self.encoder(part) for part in parts])


@pytest.mark.parametrize("rows", [1, 4, 10])
def test_dropout_is_replayed(rows: int) -> None:
    batch, results = toy.tokens(10), []
    for wrapper in (InParts, CachedGradients):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            results.append(gradients_of(wrapper(toy.Dropping(), rows), batch))
            results[-1] += (torch.rand(3),)
    (plain_vectors, plain, after), (vectors, cached, after_cached) = results
    assert torch.equal(vectors, plain_vectors)
    for name, expected in plain.items():
        torch.testing.assert_close(cached[name], expected)
    assert torch.equal(after, after_cached), "the replay gives the generator back as it was"
    with torch.random.fork_rng():
        torch.manual_seed(4)
        other = CachedGradients(toy.Dropping(), rows)(batch)
    assert not torch.allclose(other, vectors), "dropout was on"


def test_no_activation_is_kept_between_forward_and_backward() -> None:
    """Numbers that autograd saves in the forward: with the cache, token ids only."""

    def saved_by(encoder: nn.Module, batch: TokenBatch) -> int:
        floats = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal floats
            floats += tensor.numel() * tensor.is_floating_point()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            encoder(batch)
        return floats

    encoder = toy.Dropping()
    plain = [saved_by(encoder, toy.tokens(rows)) for rows in (20, 200)]
    cached = [saved_by(CachedGradients(encoder, 4), toy.tokens(rows)) for rows in (20, 200)]
    assert plain[1] > 5 * plain[0] > 0
    assert cached == [0, 0]


def test_backward_encodes_one_micro_batch_again_at_a_time() -> None:
    """The next is encoded again only after the gradient has passed through the one before."""
    events = []

    class Dropout(nn.Dropout):
        def forward(self, rows: Tensor) -> Tensor:
            events.append("encoded")
            if rows.requires_grad:
                rows.register_hook(lambda _: events.append("passed"))
            return super().forward(rows)

    encoder = toy.Dropping()
    encoder.dropout = Dropout()
    vectors = CachedGradients(encoder, 4)(toy.tokens(11))
    assert events == ["encoded"] * 3
    vectors.sum().backward()
    assert events[3:] == ["encoded", "passed"] * 3


def test_without_gradient_it_encodes_in_parts_too() -> None:
    seen = []

    class Watching(toy.Dropping):
        def forward(self, batch: TokenBatch) -> Tensor:
            seen.append(len(batch))
            return super().forward(batch)

    encoder = CachedGradients(Watching(dropout=0.0), 4)
    assert encoder.dimension == toy.DIMENSION
    with torch.no_grad():
        found = encoder(toy.tokens(10))
    assert seen == [4, 4, 2]
    torch.testing.assert_close(found, toy.Dropping(dropout=0.0)(toy.tokens(10)).detach())


def test_an_encoder_that_does_not_learn_can_be_wrapped() -> None:
    encoder = toy.Dropping().requires_grad_(False)
    assert not CachedGradients(encoder, 4)(toy.tokens(10)).requires_grad


def test_several_backward_passes_add_up() -> None:
    plain, cached = toy.bag(), toy.bag()
    for step in range(2):
        pairs = toy.pairs(6, views=2, step=step)
        InBatch(plain, info_nce)(pairs)[0].backward()
        InBatch(CachedGradients(cached, 5), info_nce)(pairs)[0].backward()
    expected, found = toy.dense_gradients(plain), toy.dense_gradients(cached)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name])
