"""Losses: closed forms, and values and gradients equal to a loop over the formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from contriever_lite.errors import ConfigError
from contriever_lite.loss import decoupled, equation_1, info_nce, same_text, sigmoid
from contriever_lite.memory import LiveBytes
from contriever_lite.rng import torch_stream

# M views of each query, B keys, K negatives, D dimensions
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 4), st.integers(1, 4))
TEMPERATURES = st.sampled_from([0.05, 0.3, 1.0, 4.0])


def vectors(*shape: int, seed: int = 0, unit: bool = False) -> Tensor:
    x = torch.randn(*shape, generator=torch_stream(seed, "test"), dtype=torch.float64)
    return (F.normalize(x, dim=-1) if unit else x).requires_grad_()


def ignored(shape: tuple[int, int, int, int], seed: int) -> Tensor | None:
    """A random (M B, B + K) mask of keys that do not count; None for seed 0."""
    m, b, n, _ = shape
    chances = torch.rand(m * b, b + n, generator=torch_stream(seed, "ignore"))
    return chances < 0.4 if seed else None


def share(q: Tensor, keys: list[Tensor], positive: int, temperature: float) -> Tensor:
    """p = exp(q . k_+ / tau) / sum_j exp(q . k_j / tau)."""
    scores = [torch.dot(q, k) / temperature for k in keys]
    top = max(scores).detach()
    return (scores[positive] - top).exp() / sum((s - top).exp() for s in scores)


def counted(q, k, negatives, ignore) -> list[tuple[Tensor, list[Tensor]]]:
    """For each query its positive, and the list of the other keys that count.

    Row i mod B of k is the positive of row i of q; it always counts.
    """
    keys = [*k, *(negatives if negatives is not None else [])]
    return [
        (
            keys[i % len(k)],
            [
                keys[j]
                for j in range(len(keys))
                if j != i % len(k) and (ignore is None or not ignore[i, j])
            ],
        )
        for i in range(len(q))
    ]


def shares(q, k, negatives, temperature, ignore=None) -> list[Tensor]:
    """p of each query's positive."""
    rows = zip(q, counted(q, k, negatives, ignore), strict=True)
    return [share(row, [own, *rest], 0, temperature) for row, (own, rest) in rows]


def naive_info_nce(q, k, negatives, temperature, symmetric, ignore=None) -> Tensor:
    loss = -sum(p.log() for p in shares(q, k, negatives, temperature, ignore)) / len(q)
    if not symmetric:
        return loss
    b, backwards = len(k), []
    for m, view in enumerate(q.split(b)):
        mask = None if ignore is None else ignore[m * b : (m + 1) * b, :b].T
        backwards += shares(k, view, None, temperature, mask)
    return (loss - sum(p.log() for p in backwards) / len(q)) / 2


def naive_equation_1(q, k, negatives, temperature, ignore=None) -> Tensor:
    return -sum(shares(q, k, negatives, temperature, ignore)) / len(q)


def naive_decoupled(q, k, negatives, temperature, ignore=None) -> Tensor:
    losses = []
    for row, (own, rest) in zip(q, counted(q, k, negatives, ignore), strict=True):
        scores = [torch.dot(row, key) / temperature for key in rest]
        pushed = torch.stack(scores).logsumexp(0) if scores else 0
        losses.append(pushed - torch.dot(row, own) / temperature)
    return sum(losses) / len(q)


def naive_sigmoid(q, k, negatives, temperature, bias, ignore=None) -> Tensor:
    losses = []
    for row, (own, rest) in zip(q, counted(q, k, negatives, ignore), strict=True):
        yes = torch.dot(row, own) / temperature + bias
        no = [-(torch.dot(row, key) / temperature + bias) for key in rest]
        losses.append(-sum(F.logsigmoid(answer) for answer in [yes, *no]))
    return sum(losses) / len(q)


def check_value_and_gradient(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs)
    found = torch.autograd.grad(ours, inputs)
    expected = torch.autograd.grad(theirs, inputs, materialize_grads=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def inputs_of(shape) -> tuple[Tensor, Tensor, Tensor | None]:
    m, b, n, d = shape
    q, k = vectors(m * b, d, seed=1), vectors(b, d, seed=2)
    return q, k, vectors(n, d, seed=3) if n else None


def check_equal_to_a_loop(loss, naive, shape, ignore: Tensor | None, *settings) -> None:
    inputs = inputs_of(shape)
    check_value_and_gradient(
        loss(*inputs, *settings, ignore=ignore),
        naive(*inputs, *settings, ignore=ignore),
        [x for x in inputs if x is not None],
    )


@settings(max_examples=60)
@given(SHAPES, TEMPERATURES, st.booleans(), st.integers(0, 3))
def test_info_nce_equals_a_loop(shape, temperature, symmetric, seed) -> None:
    ignore = ignored(shape, seed)
    check_equal_to_a_loop(info_nce, naive_info_nce, shape, ignore, temperature, symmetric)


@settings(max_examples=60)
@given(SHAPES, TEMPERATURES, st.integers(0, 3))
def test_equation_1_equals_a_loop(shape, temperature, seed) -> None:
    check_equal_to_a_loop(equation_1, naive_equation_1, shape, ignored(shape, seed), temperature)


@settings(max_examples=60)
@given(SHAPES, TEMPERATURES, st.integers(0, 3))
def test_decoupled_equals_a_loop(shape, temperature, seed) -> None:
    check_equal_to_a_loop(decoupled, naive_decoupled, shape, ignored(shape, seed), temperature)


@settings(max_examples=60)
@given(SHAPES, TEMPERATURES, st.sampled_from([-10.0, 0.0, 3.0]), st.integers(0, 3))
def test_sigmoid_equals_a_loop(shape, temperature, bias, seed) -> None:
    check_equal_to_a_loop(sigmoid, naive_sigmoid, shape, ignored(shape, seed), temperature, bias)


LOSSES = [info_nce, equation_1, decoupled, sigmoid]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_positive_counts_even_where_it_is_ignored(loss) -> None:
    q, k, negatives = inputs_of((2, 3, 2, 4))
    mask = torch.zeros(6, 5, dtype=torch.bool)
    expected = loss(q, k, negatives, ignore=mask)
    for row in range(6):
        mask[row, row % 3] = True
    assert torch.equal(loss(q, k, negatives, ignore=mask), expected)
    everything = torch.ones(6, 5, dtype=torch.bool)
    own = (q * k.repeat(2, 1)).sum(dim=1)
    alone = {
        info_nce: torch.zeros(()),
        equation_1: -torch.ones(()),
        decoupled: -own.mean() / 0.05,
        sigmoid: -F.logsigmoid(own / 0.1 - 10).mean(),
    }
    found = loss(q, k, negatives, ignore=everything)
    torch.testing.assert_close(found, alone[loss].double())
    gradients = torch.autograd.grad(found, [q, k, negatives])
    assert all(gradient.isfinite().all() for gradient in gradients), "no 0 times infinity"
    assert gradients[2].eq(0).all()


def test_an_ignored_key_gets_no_gradient() -> None:
    q, k, negatives = inputs_of((1, 3, 4, 4))
    ignore = torch.zeros(3, 7, dtype=torch.bool)
    ignore[:, 5] = True
    for loss in LOSSES:
        (gradient,) = torch.autograd.grad(loss(q, k, negatives, ignore=ignore), negatives)
        assert gradient[2].eq(0).all()
        assert gradient[[0, 1, 3]].abs().sum() > 0


def test_same_text_names_the_keys_to_ignore() -> None:
    documents = torch.tensor([7, 8, 7, 9])
    assert same_text(documents).nonzero().tolist() == [[0, 2], [2, 0]], "not the positives"
    wider = same_text(documents, torch.tensor([9, -1, 7]))
    assert wider.shape == (4, 7)
    assert wider[:, 4:].nonzero().tolist() == [[0, 2], [2, 2], [3, 0]]
    assert torch.equal(wider[:, :4], same_text(documents))
    assert same_text(documents, documents[:0]).shape == (4, 4)


def test_masking_the_same_text_takes_these_keys_out_of_the_sum() -> None:
    """By hand: documents 0 and 2 have one text, and so has the first further negative."""
    q, k, negatives = inputs_of((1, 3, 2, 4))
    ignore = same_text(torch.tensor([5, 6, 5]), torch.tensor([5, 4]))
    scores = (torch.cat([k, negatives]) @ q.T / 0.3).exp()
    terms = [
        scores[0, 0] / (scores[0, 0] + scores[1, 0] + scores[4, 0]),
        scores[1, 1] / scores[:, 1].sum(),
        scores[2, 2] / (scores[1, 2] + scores[2, 2] + scores[4, 2]),
    ]
    expected = -sum(term.log() for term in terms) / 3
    check_value_and_gradient(
        info_nce(q, k, negatives, 0.3, ignore=ignore), expected, [q, k, negatives]
    )


def test_a_mask_of_another_shape_is_refused() -> None:
    q, k, negatives = inputs_of((2, 3, 2, 4))
    for shape in ((6, 3), (3, 5), (6, 6)):
        for loss in LOSSES:
            with pytest.raises(ConfigError, match=r"ignore must be \(6, 5\), got"):
                loss(q, k, negatives, ignore=torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("extra", [0, 7])
@pytest.mark.parametrize("temperature", [0.01, 0.05, 10.0])
def test_when_all_vectors_are_alike_the_loss_is_the_logarithm_of_their_number(
    extra: int, temperature: float
) -> None:
    same = vectors(1, 5, unit=True).detach().expand(6, 5)
    negatives = same[:1].expand(extra, 5) if extra else None
    assert info_nce(same, same, negatives, temperature).item() == pytest.approx(math.log(6 + extra))
    assert equation_1(same, same, negatives, temperature).item() == pytest.approx(-1 / (6 + extra))
    assert decoupled(same, same, negatives, temperature).item() == pytest.approx(
        math.log(5 + extra)
    )
    yes, no = (math.log1p(math.exp(-z * (1 / temperature - 3))) for z in (1, -1))
    assert sigmoid(same, same, negatives, temperature, -3.0).item() == pytest.approx(
        yes + (5 + extra) * no
    )


def test_orthogonal_pairs_have_a_closed_form() -> None:
    """B pairs with q_i = k_i = e_i: loss = log(1 + (B - 1) exp(-1 / tau))."""
    e = torch.eye(4, dtype=torch.float64)
    for temperature in (0.05, 0.5, 2.0):
        expected = math.log(1 + 3 * math.exp(-1 / temperature))
        for symmetric in (False, True):
            found = info_nce(e, e, temperature=temperature, symmetric=symmetric).item()
            assert found == pytest.approx(expected)
        assert equation_1(e, e, temperature=temperature).item() == pytest.approx(
            -math.exp(-expected)
        )


@settings(max_examples=40)
@given(SHAPES, st.sampled_from([0.01, 0.05, 1.0]))
def test_both_losses_stay_in_their_ranges(shape, temperature) -> None:
    m, b, n, d = shape
    q, k = vectors(m * b, d, seed=4, unit=True), vectors(b, d, seed=5, unit=True)
    negatives = vectors(n, d, seed=6, unit=True) if n else None
    assert -1 - 1e-12 <= equation_1(q, k, negatives, temperature).item() <= 0
    assert 0 <= info_nce(q, k, negatives, temperature).item() <= math.log(b + n) + 2 / temperature


@pytest.mark.parametrize("score", [-1.0, -0.2, 0.0, 0.3, 0.9])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_gradients_with_respect_to_the_score_of_the_positive(score, temperature) -> None:
    """(p - 1) / tau with the logarithm, -p (1 - p) / tau without.

    q is the first axis and the positive (s, 0): so d loss / d s stands in the gradient of the key's
    first number.
    """
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    negatives = torch.tensor([[0.1, 1.0], [-0.4, 0.0]], dtype=torch.float64)
    k = torch.tensor([[score, 0.0]], dtype=torch.float64, requires_grad=True)
    p = share(q[0], [k[0].detach(), *negatives], 0, temperature).item()
    for loss, expected in (
        (info_nce, (p - 1) / temperature),
        (equation_1, -p * (1 - p) / temperature),
    ):
        (gradient,) = torch.autograd.grad(loss(q, k, negatives, temperature), k)
        assert gradient[0, 0].item() == pytest.approx(expected)


def test_the_worst_ranked_positive_learns_most_with_the_logarithm_and_nothing_without() -> None:
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    k = torch.tensor([[-1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (log,) = torch.autograd.grad(info_nce(q, k, q), k)
    (bare,) = torch.autograd.grad(equation_1(q, k, q), k)
    assert log.norm().item() == pytest.approx(1 / 0.05)
    assert bare.norm().item() < 1e-14


def test_very_large_scores_do_not_overflow() -> None:
    q = torch.eye(3) * 1e3
    assert info_nce(q, q).item() == 0
    assert info_nce(q, -q).isfinite()
    assert equation_1(q, q).item() == -1
    assert decoupled(q, q).isfinite()
    assert sigmoid(q, -q).isfinite()


def test_a_decoupled_loss_that_is_not_finite_is_not_hidden() -> None:
    q = torch.tensor([[torch.inf]])
    assert decoupled(q, torch.ones(1, 1), torch.ones(1, 1)).isnan()
    assert decoupled(torch.ones(1, 1), torch.ones(1, 1), q).isposinf()


def test_an_easy_positive_shrinks_the_gradient_of_its_negatives_unless_decoupled() -> None:
    """The share of the negatives' gradient that the positive takes: 1 - p, and all of it."""
    q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    k = torch.tensor([[0.9, 0.0]], dtype=torch.float64)
    negatives = torch.tensor([[0.2, 0.0], [-0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    (coupled,) = torch.autograd.grad(info_nce(q, k, negatives, 0.1), negatives)
    (free,) = torch.autograd.grad(decoupled(q, k, negatives, 0.1), negatives)
    p = share(q[0], [k[0], *negatives.detach()], 0, 0.1).item()
    torch.testing.assert_close(coupled, free * (1 - p))
    assert p > 0.99


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("q", "k", "negatives", "temperature", "message"),
    [
        ((3, 2), (0, 2), None, 1.0, "q and k must be"),
        ((3, 2), (3, 4), None, 1.0, "q and k must be"),
        ((3, 2), (2, 2), None, 1.0, "q and k must be"),
        ((3, 2), (4, 2), None, 1.0, r"or \(M B, D\) and \(B, D\): got \(3, 2\) and \(4, 2\)"),
        ((3,), (3,), None, 1.0, "q and k must be"),
        ((3, 2), (3, 2), (5, 4), 1.0, r"negatives must be \(K, 2\) to match q, got \(5, 4\)"),
        ((3, 2), (3, 2), (2,), 1.0, r"negatives must be \(K, 2\)"),
        ((3, 2), (3, 2), None, 0.0, "temperature = 0.0: must be more than 0"),
        ((3, 2), (3, 2), None, -1.0, "temperature = -1.0"),
        ((3, 2), (3, 2), None, math.nan, "temperature = nan"),
    ],
)
def test_what_does_not_fit_is_refused(loss, q, k, negatives, temperature, message) -> None:
    with pytest.raises(ConfigError, match=message):
        loss(
            torch.ones(q),
            torch.ones(k),
            None if negatives is None else torch.ones(negatives),
            temperature,
        )


@pytest.mark.parametrize("symmetric", [False, True])
def test_several_views_of_each_document_average_their_losses(symmetric: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    first, second, k = torch.randn(3, 5, 4, generator=generator)
    both = info_nce(torch.cat([first, second]), k, symmetric=symmetric)
    apart = [info_nce(q, k, symmetric=symmetric) for q in (first, second)]
    torch.testing.assert_close(both, sum(apart) / 2)
    torch.testing.assert_close(
        equation_1(torch.cat([first, second]), k),
        (equation_1(first, k) + equation_1(second, k)) / 2,
    )


def test_the_queue_is_never_copied() -> None:
    """Past keys take part in the product where they lie: what a loss holds is scores."""
    q, k, queue = torch.randn(4, 64, requires_grad=True), torch.randn(4, 64), torch.randn(5000, 64)
    with LiveBytes() as held:
        info_nce(q, k, queue, temperature=0.05).backward()
    assert 2 * held.peak < queue.nbytes
