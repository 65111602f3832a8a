"""One seed, many named streams of random numbers.

Every random choice is a pure function of (seed, purpose, rank, worker, step), so that any batch of
any run can be drawn again without running the steps before it, and two processes never share draws
by accident. Nothing in the package draws from a global generator, and where PyTorch knows no other
(dropout), `torch_globals` lends it one and puts the old one back.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream(
    seed: int, purpose: str, *, rank: int = 0, worker: int = 0, step: int = 0
) -> np.random.Generator:
    """The generator for one purpose at one place in a run.

    Generator = Philox(SeedSequence(seed, crc32(purpose), rank, worker, step)); streams whose
    arguments differ are statistically independent (NumPy, "Parallel random number generation").

    Raises ValueError if a number is negative.
    """
    key = (seed, zlib.crc32(purpose.encode()), rank, worker, step)
    if min(key) < 0:
        raise ValueError(f"seed, rank, worker and step must be 0 or more, got {key}")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def torch_stream(seed: int, purpose: str, *, rank: int = 0, step: int = 0) -> torch.Generator:
    """The same idea for PyTorch: a CPU generator seeded from the named stream."""
    number = int(stream(seed, purpose, rank=rank, step=step).integers(2**63))
    return torch.Generator().manual_seed(number)


@contextmanager
def torch_globals(
    seed: int, purpose: str, device: torch.device, *, rank: int = 0, step: int = 0
) -> Iterator[None]:
    """Within the block, PyTorch's global generators (the CPU's and a GPU device's) are those of the
    named stream; afterwards they are as they were."""
    gpus = [device] if device.type == "cuda" else []
    number = torch_stream(seed, purpose, rank=rank, step=step).initial_seed()
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(number)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(number)
        yield
