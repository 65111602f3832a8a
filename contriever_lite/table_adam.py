"""Adam for embedding tables whose gradients are sparse."""

from typing import Any

import torch
from torch import Tensor


class TableAdam(torch.optim.Adam):
    """Plain Adam (Kingma and Ba 2015) on tables with sparse gradients, in one fused pass.

    A batch touches a fraction of a table's rows, and autograd hands over just those. PyTorch's
    fused Adam takes dense gradients only, so the rows are laid into a buffer that is kept from
    step to step, and only they are cleared again. The result is Adam's own: the moments of all
    rows decay, and move them, at every step. `torch.optim.SparseAdam` leaves the rows that are not
    in the batch alone, and is slower all the same (benchmarks/table_adam.py).

    Tables with dense gradients are updated as usual. Arguments are torch.optim.Adam's.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **{"fused": True, **kwargs})
        self._buffers: dict[Tensor, Tensor] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or a loaded state, begins with no buffers; they hold nothing between steps."""
        super().__setstate__(state)
        self._buffers = {}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update. Afterwards each table's `grad` is its sparse gradient again."""
        tables = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        sparse = {table: table.grad for table in tables if table.grad.is_sparse}
        rows = {table: _rows(grad) for table, grad in sparse.items()}
        for table, (indices, values) in rows.items():
            if table not in self._buffers:
                self._buffers[table] = torch.zeros_like(table)
            table.grad = self._buffers[table].index_copy_(0, indices, values)
        super().step()
        for table, (indices, _) in rows.items():
            self._buffers[table].index_fill_(0, indices, 0)
            table.grad = sparse[table]


def _rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, values), each row once. Rows that come sorted and distinct, as from one forward of
    the bag, need no summing."""
    indices = grad._indices()[0]
    if grad.is_coalesced() or bool((indices[1:] > indices[:-1]).all()):
        return indices, grad._values()
    grad = grad.coalesce()
    return grad.indices()[0], grad.values()
