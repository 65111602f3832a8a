"""Which optimizer moves what, and how gradients are clipped, sparse ones too."""

import pytest
import synthetic
import tiny
import torch
from torch import nn

from contriever_lite.build import new_encoder, new_objective
from contriever_lite.optimizer import clip_gradients, new_optimizer
from contriever_lite.table_adam import TableAdam

CORPUS = synthetic.corpus()


def test_the_bag_keeps_its_table_adam() -> None:
    config = synthetic.SMALL
    optimizer = new_optimizer(config, new_objective(config, new_encoder(config, CORPUS)))
    assert isinstance(optimizer, TableAdam)
    assert optimizer.defaults["weight_decay"] == 0


def test_a_transformers_matrices_decay_and_nothing_else() -> None:
    objective = new_objective(tiny.MOCO, new_encoder(tiny.MOCO, CORPUS))
    optimizer = new_optimizer(tiny.MOCO, objective)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["eps"], optimizer.defaults["betas"]) == (1e-6, tiny.MOCO.betas)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in objective.named_parameters():
        if name.startswith("slow"):
            assert id(parameter) not in decay, "the slow encoder does not learn"
        else:
            plain = name.endswith("bias") or "LayerNorm" in name
            assert decay[id(parameter)] == (0 if plain else 0.01), name


@pytest.mark.parametrize("most", [0.5, 1e3])
def test_clipping_equals_its_formula(most: float) -> None:
    table, layer, still = (nn.Parameter(torch.randn(6, 3)) for _ in range(3))
    rows = torch.tensor([4, 1, 4])
    (nn.functional.embedding(rows, table, sparse=True) @ layer.T).square().sum().backward()
    assert table.grad.is_sparse
    before = [table.grad.to_dense(), layer.grad.clone()]
    length = torch.cat([g.flatten() for g in before]).norm()
    found = clip_gradients([table, layer, still], most)
    torch.testing.assert_close(found, length)
    for parameter, gradient in zip((table, layer), before, strict=True):
        expected = gradient * min(1, most / (length.item() + 1e-6))
        torch.testing.assert_close(parameter.grad.to_dense(), expected)
    assert still.grad is None
