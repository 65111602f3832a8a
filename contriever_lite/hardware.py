"""GPUs that one is likely to meet: how fast, how much memory; and which are here.

Peaks are NVIDIA's data sheets', for dense matrix products with 16-bit inputs summed in 32 bits, on
tensor cores. Where a sheet counts "with sparsity", as those of the H100 and H200 do, it is half.
"""

from dataclasses import dataclass

import torch

from contriever_lite.errors import ConfigError


@dataclass(frozen=True)
class Card:
    """name: as in the name that CUDA gives. peak: 10^12 operations a second. memory: 10^9 bytes.
    bf16: whether its tensor cores have that format; without it, fp16 is meant."""

    name: str
    peak: float
    memory: float
    bf16: bool = True


CARDS = (
    Card("T4", 65, 16, bf16=False),
    Card("V100", 125, 32, bf16=False),
    Card("L4", 121, 24),
    Card("L40S", 362, 48),
    Card("A100", 312, 80),
    Card("H100 PCIe", 756, 80),
    Card("H100", 989, 80),
    Card("H200", 989, 141),
)


def card(device: str) -> Card | None:
    """The card of a device's name, such as "NVIDIA H100 80GB HBM3"; None if it is not listed."""
    words = f" {device.replace('-', ' ')} "
    found = [known for known in CARDS if f" {known.name} " in words]
    return max(found, key=lambda known: len(known.name), default=None)


def hours(operations: float, card: Card, share: float, cards: int = 1) -> float:
    """How long a computation takes on GPUs that reach a share of their peak.

        t = operations / (cards share peak 10^12) / 3600

    operations: floating-point operations, as estimate.operations counts those of a step.
    """
    return operations / (cards * share * card.peak * 1e12) / 3600


def found_device(name: str) -> torch.device:
    """The device of PyTorch's name for it: cpu, cuda, cuda:1, mps. Raises ConfigError for one that
    is not there, or does not compute."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # each backend has its own
        here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        here += ["mps"] * torch.backends.mps.is_available()
        raise ConfigError(
            f"device = {name!r} is not to be had here; choose one of {', '.join(here)} "
            f"({str(error).partition(chr(10))[0]})"
        ) from error
    return device
