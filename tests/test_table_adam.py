"""TableAdam, given sparse gradients, is torch.optim.Adam given the same gradients dense."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from contriever_lite.rng import torch_stream
from contriever_lite.table_adam import TableAdam

SHAPES = ((30, 4), (30, 1))
SETTINGS = {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6}


def tables() -> list[nn.Parameter]:
    return [
        nn.Parameter(torch.randn(shape, generator=torch_stream(i, "test"), dtype=torch.float64))
        for i, shape in enumerate(SHAPES)
    ]


def gradient(shape: tuple[int, int], kind: str, step: int) -> Tensor:
    """Random rows: "sorted" and distinct, "repeated" in any order, "coalesced", or "none"."""
    generator = torch_stream(shape[1], kind, step=step)
    if "repeated" in kind:
        rows = torch.randint(shape[0], (9,), generator=generator)
    else:
        rows = torch.randperm(shape[0], generator=generator)[: 0 if kind == "none" else 6]
    rows = rows.sort().values if "sorted" in kind else rows
    values = torch.randn(len(rows), shape[1], generator=generator, dtype=torch.float64)
    sparse = torch.sparse_coo_tensor(rows[None], values, shape, check_invariants=True)
    return sparse.coalesce() if kind == "coalesced" else sparse


def step(parameters: list[nn.Parameter], optimizer, kind: str, number: int, dense: bool) -> None:
    for parameter, shape in zip(parameters, SHAPES, strict=True):
        grad = gradient(shape, kind, number)
        parameter.grad = grad.to_dense() if dense else grad
    optimizer.step()


@pytest.mark.parametrize("kind", ["sorted", "repeated", "coalesced", "none", "mixed"])
def test_it_is_adam_on_the_dense_gradients(kind: str) -> None:
    ours, theirs = tables(), tables()
    table_adam = TableAdam(ours, **SETTINGS)
    adam = torch.optim.Adam(theirs, **SETTINGS, foreach=False, fused=False)
    kinds = ["sorted", "sorted repeated", "coalesced", "none"] if kind == "mixed" else [kind]
    for number in range(30):
        for parameters, optimizer, dense in ((ours, table_adam, False), (theirs, adam, True)):
            step(parameters, optimizer, kinds[number % len(kinds)], number, dense)
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    changed = not torch.equal(ours[0], tables()[0])
    assert changed == (kind != "none")


def test_the_gradient_stays_the_sparse_one_it_was() -> None:
    parameters = tables()
    optimizer = TableAdam(parameters, **SETTINGS)
    grads = [gradient(shape, "repeated", 0) for shape in SHAPES]
    before = [g.to_dense() for g in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad
    optimizer.step()
    for parameter, grad, dense in zip(parameters, grads, before, strict=True):
        assert parameter.grad is grad
        assert torch.equal(grad.to_dense(), dense)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in parameters)


def test_a_table_without_a_gradient_rests() -> None:
    parameters = tables()
    optimizer = TableAdam(parameters, **SETTINGS)
    parameters[0].grad = gradient(SHAPES[0], "sorted", 0)
    optimizer.step()
    assert torch.equal(parameters[1], tables()[1])
    assert not torch.equal(parameters[0], tables()[0])


def test_dense_gradients_are_updated_as_usual_beside_sparse_ones() -> None:
    results = []
    for optimizer_class, settings in ((TableAdam, {}), (torch.optim.Adam, {"fused": False})):
        parameters = tables()
        optimizer = optimizer_class(parameters, **SETTINGS, **settings)
        for number in range(10):
            table = gradient(SHAPES[0], "repeated", number)
            parameters[0].grad = table if optimizer_class is TableAdam else table.to_dense()
            parameters[1].grad = gradient(SHAPES[1], "repeated", number).to_dense()
            optimizer.step()
        results.append(parameters)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    whole, halves = tables(), tables()
    through, first = TableAdam(whole, **SETTINGS), TableAdam(halves, **SETTINGS)
    for number in range(10):
        step(whole, through, "repeated", number, dense=False)
        step(halves, first, "repeated", number, dense=False)
    state = copy.deepcopy(first.state_dict())
    resumed = [nn.Parameter(table.detach().clone()) for table in halves]
    second = TableAdam(resumed, lr=1.0)
    second.load_state_dict(state)
    for number in range(10, 20):
        step(whole, through, "repeated", number, dense=False)
        step(resumed, second, "repeated", number, dense=False)
    assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))
    assert through.state_dict()["param_groups"] == second.state_dict()["param_groups"]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_like_the_original(copied) -> None:
    parameters = tables()
    optimizer = TableAdam(parameters, **SETTINGS)
    for number in range(3):
        step(parameters, optimizer, "repeated", number, dense=False)
    for parameter in parameters:
        parameter.grad = None  # sparse gradients cannot be copied so
    twins, twin = copied((parameters, optimizer))
    for number in range(3, 6):
        step(parameters, optimizer, "repeated", number, dense=False)
        step(twins, twin, "repeated", number, dense=False)
    assert all(torch.equal(one, other) for one, other in zip(parameters, twins, strict=True))
    assert not torch.equal(twins[0], tables()[0])


def test_the_learning_rate_of_each_group_is_obeyed() -> None:
    parameters = tables()
    optimizer = TableAdam([{"params": [parameters[0]], "lr": 0.0}, {"params": [parameters[1]]}])
    step(parameters, optimizer, "sorted", 0, dense=False)
    assert torch.equal(parameters[0], tables()[0])
    assert not torch.equal(parameters[1], tables()[1])
