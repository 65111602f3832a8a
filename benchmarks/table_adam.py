"""One update of the bag's table: TableAdam against PyTorch's own ways, as ratios from one run.

    python benchmarks/table_adam.py [--pieces 30000] [--dimension 512] [--rows 9000] [--repeats 20]

All move the same table with the same sparse gradient; the order is mixed and the median counts.
"""

import argparse
import random
import statistics
import time

import torch

from contriever_lite.table_adam import TableAdam


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=30_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--rows", type=int, default=9_000, help="rows that a batch touches")
    parser.add_argument("--repeats", type=int, default=20)
    a = parser.parse_args()
    rows = torch.randperm(a.pieces)[: a.rows].sort().values
    values = torch.randn(a.rows, a.dimension)
    sparse = torch.sparse_coo_tensor(rows[None], values, (a.pieces, a.dimension))
    ways = {
        "TableAdam (fused, from sparse gradients)": (TableAdam, {}, True),
        "torch.optim.SparseAdam": (torch.optim.SparseAdam, {}, True),
        "torch.optim.Adam, as it comes": (torch.optim.Adam, {}, False),
        "torch.optim.Adam(fused=True)": (torch.optim.Adam, {"fused": True}, False),
    }
    steps = {name: step(a, sparse, *way) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(a.repeats):
        for name in random.sample(list(ways), len(ways)):
            start = time.perf_counter()
            steps[name]()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = next(iter(medians.values()))
    print(f"{a.rows:,} of {a.pieces:,} rows, {a.dimension} dimensions, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    for name, median in medians.items():
        print(f"{median * 1e3:8.1f} ms  {median / ours:5.1f} x  {name}")


def step(a: argparse.Namespace, sparse: torch.Tensor, kind: type, options: dict, keep: bool):
    """A function that does one step; a dense optimizer must first get its dense gradient."""
    table = torch.nn.Parameter(torch.randn(a.pieces, a.dimension))
    optimizer = kind([table], lr=1e-3, **options)

    def run() -> None:
        table.grad = sparse if keep else sparse.to_dense()
        optimizer.step()

    run()
    return run


if __name__ == "__main__":
    main()
