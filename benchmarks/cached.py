"""Memory and time of a step with and without cached gradients, against the batch size.

    python benchmarks/cached.py [--batches 32 128 512] [--rows 32] [--repeats 3]

Each figure comes from a fresh process: a small transformer (2 layers of 128 dimensions, rows of 64
tokens, dropout on) takes InfoNCE steps over pairs. Printed: the peak of memory above what the
process held before (the GPU's, if there is one) and the median step, plain and cached, with their
ratios from this one run.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor, nn

from contriever_lite.batch import PairBatch, TokenBatch
from contriever_lite.cached import CachedGradients
from contriever_lite.loss import info_nce
from contriever_lite.objective import InBatch

PIECES, WIDTH, TOKENS = 5000, 128, 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Small(nn.Module):
    """Two layers of attention over padded rows, then their mean."""

    dimension = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(PIECES, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, batch: TokenBatch) -> Tensor:
        ids, mask = batch.padded(0)
        hidden = self.layers(self.table(ids), src_key_padding_mask=mask == 0)
        return (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def tokens(rows: int, generator: torch.Generator) -> TokenBatch:
    lengths = torch.full((rows,), TOKENS)
    return TokenBatch(torch.randint(1, PIECES, (rows * TOKENS,), generator=generator), lengths)


def held() -> int:
    """The most bytes held so far: on the GPU, or else by this process."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(size: int, rows: int, repeats: int) -> dict[str, float]:
    """Peak bytes and median seconds of a step of `size` pairs; rows = 0 caches nothing."""
    generator = torch.Generator().manual_seed(0)
    encoder = Small().to(DEVICE)
    objective = InBatch(CachedGradients(encoder, rows) if rows else encoder, info_nce)
    step(objective, 2, generator)  # what the libraries themselves need is there from now on
    before, seconds = held(), []
    for _ in range(repeats):
        start = time.perf_counter()
        step(objective, size, generator)
        seconds.append(time.perf_counter() - start)
    return {"bytes": held() - before, "seconds": statistics.median(seconds)}


def step(objective: InBatch, size: int, generator: torch.Generator) -> None:
    pairs = PairBatch(tokens(size, generator), tokens(size, generator), torch.arange(size))
    objective.loss(pairs.to(DEVICE), measure=False)[0].backward()
    objective.zero_grad()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512])
    parser.add_argument("--rows", type=int, default=32, help="of a micro-batch")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        print(json.dumps(measure(*a.child, a.repeats)))
        return
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    print(f"micro-batches of {a.rows} rows, {where}, {torch.get_num_threads()} threads")
    print("pairs    plain MB   cached MB   ratio     plain s    cached s   ratio")
    for size in a.batches:
        plain, cached = (child(a, size, rows) for rows in (0, a.rows))
        memory, seconds = ((plain[key], cached[key]) for key in ("bytes", "seconds"))
        print(f"{size:5}  {memory[0] / 1e6:10.0f}  {memory[1] / 1e6:10.0f}  "
              f"{memory[0] / max(memory[1], 1):6.1f}  {seconds[0]:10.2f}  {seconds[1]:10.2f}  "
              f"{seconds[1] / seconds[0]:6.2f}")  # fmt: skip


def child(a: argparse.Namespace, size: int, rows: int) -> dict[str, float]:
    """The figures of a fresh process."""
    command = [sys.executable, __file__, "--repeats", str(a.repeats), "--child", str(size)]
    done = subprocess.run([*command, str(rows)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
