"""The transformer: a padded forward says what its vectors are; sorting and cutting change none."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contriever_lite.batch import TokenBatch, to_tensors
from contriever_lite.cached import CachedGradients
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import ragged
from contriever_lite.errors import ConfigError
from contriever_lite.rng import torch_globals
from contriever_lite.tokens import train_tokenizer
from contriever_lite.transformer import (
    FirstToken,
    Reading,
    TransformerEncoder,
    framed,
    new_model,
)
from contriever_lite.warm_start import new_transformer

PAD, CLS, SEP, LONGEST = 0, 2, 3, 12
ROWS = st.lists(st.lists(st.integers(5, 29), max_size=20), min_size=1, max_size=9)


def encoder(*, cut: int | None = None, dropout: float = 0.0, **reading: bool) -> TransformerEncoder:
    with torch_globals(1, "test", torch.device("cpu")):
        model = new_model(30, 16, 2, 2, dropout, longest=LONGEST)
    return TransformerEncoder(model, Reading(PAD, CLS, SEP, longest=LONGEST, **reading), cut)


def naive(encoder: TransformerEncoder, rows: list[list[int]]) -> torch.Tensor:
    """Every row alone, without padding."""
    vectors = []
    for row in rows:
        if encoder.reading.specials:
            row = [CLS, *row[: LONGEST - 2], SEP]
        if not row:
            vectors.append(torch.zeros(16))
            continue
        ids = torch.tensor([row[:LONGEST]])
        vectors.append(encoder.model(input_ids=ids).last_hidden_state[0].mean(0))
    return torch.stack(vectors)


@settings(max_examples=10, deadline=None)
@given(rows=ROWS, specials=st.booleans(), cut=st.sampled_from([1, 7, 30, 10_000]))
def test_sorted_cut_forwards_give_each_text_its_own_vector(rows, specials, cut) -> None:
    tested: TransformerEncoder = encoder(cut=cut, specials=specials)
    found = tested(to_tensors(ragged(rows)))
    torch.testing.assert_close(found, naive(tested, rows), atol=1e-5, rtol=1e-4)


def test_the_gradient_is_that_of_one_padded_forward() -> None:
    rows = [[5, 6, 7], [8] * 10, [9, 10], [11] * 6]
    weights = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    gradients = []
    for vectors_of in (lambda e: e(to_tensors(ragged(rows))), lambda e: naive(e, rows)):
        tested = encoder(cut=8)
        (vectors_of(tested) * weights).sum().backward()
        found = {n: p.grad for n, p in tested.named_parameters() if p.grad is not None}
        gradients.append(found)
    assert gradients[0].keys() == gradients[1].keys()
    for name in gradients[0]:
        torch.testing.assert_close(gradients[0][name], gradients[1][name], atol=1e-5, rtol=1e-3)


def test_first_token_gives_the_vector_of_cls_whatever_the_order_of_lengths() -> None:
    mean, rows = encoder(normalise=True).eval(), [[5, 6], [7, 8, 9, 10, 11], [12]]
    found = FirstToken(mean.model, mean.reading, tokens_a_forward=8)(to_tensors(ragged(rows)))
    ids = (torch.tensor([[CLS, *row, SEP]]) for row in rows)
    alone = torch.stack([mean.model(input_ids=i).last_hidden_state[0, 0] for i in ids])
    wanted = torch.nn.functional.normalize(alone, dim=1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_lengths_and_norms() -> None:
    batch = to_tensors(ragged([[5, 6], [7] * 20, []]))
    assert encoder(normalise=True)(batch).norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    bare = encoder(specials=False)(batch)
    assert bare[2].abs().sum() == 0
    assert bare.isfinite().all()


@given(rows=ROWS, specials=st.booleans())
def test_framing(rows, specials) -> None:
    found = framed(to_tensors(ragged(rows)), Reading(PAD, CLS, SEP, specials, longest=LONGEST))
    expected = [[CLS, *r[: LONGEST - 2], SEP] if specials else r[:LONGEST] for r in rows]
    assert found.tokens.tolist() == [token for row in expected for token in row]
    assert found.lengths.tolist() == [len(row) for row in expected]


@given(rows=ROWS, data=st.data())
def test_rows_are_taken_in_any_order(rows, data) -> None:
    numbers = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    found = to_tensors(ragged(rows)).take(torch.tensor(numbers, dtype=torch.int64))
    assert found.lengths.tolist() == [len(rows[n]) for n in numbers]
    assert found.tokens.tolist() == [token for n in numbers for token in rows[n]]


def test_cached_gradients_replay_dropout() -> None:
    """One micro-batch that holds all rows draws the same dropout twice: the plain gradient."""
    rows = to_tensors(ragged([[5, 6, 7], [8] * 9, [9, 10], [11] * 6]))
    weights = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    found = []
    for wrap in (lambda e: e, lambda e: CachedGradients(e, 4)):
        plain = encoder(dropout=0.3).train()
        with torch_globals(3, "dropout", torch.device("cpu")):
            (wrap(plain)(rows) * weights).sum().backward()
        found.append(plain.model.embeddings.word_embeddings.weight.grad)
    torch.testing.assert_close(*found)
    assert not torch.equal(*(encoder(dropout=0.3).train()(rows) for _ in range(2)))


def test_a_new_one_is_a_function_of_its_seed() -> None:
    tokenizer = train_tokenizer(["a few words"], 100)
    config = TrainConfig(encoder="transformer", dimension=16, layers=1, heads=2)
    before = torch.get_rng_state()
    weights = [
        new_transformer(config.replace(seed=s), tokenizer).model.embeddings.word_embeddings.weight
        for s in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), before), "no draw from the global generator"
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    with pytest.raises(ConfigError, match="dimension = 16 with heads = 3: the dimension must be a"):
        new_transformer(config.replace(heads=3), tokenizer)


def test_a_batch_may_be_empty() -> None:
    nothing = TokenBatch(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    assert encoder()(nothing).shape == (0, 16)
