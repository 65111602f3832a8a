"""Keep large blocks of memory from one step to the next."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt(3), from malloc.h
_BLOCKS, _KEPT = (1 << 30, 32 << 20), (1 << 31) - 1  # before 2.35, glibc allows 32 MiB


def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed blocks of up to 1 GiB instead of handing them back to the system.

    A training step allocates and frees the same large arrays again and again. By default each comes
    back as fresh pages that the kernel must clear, which takes half of a step's time with a bag of
    30,000 x 512 (benchmarks/memory.py). At most 2 GiB are kept, until the process ends.
    Returns False, having done nothing, where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not mallopt(_TRIM_THRESHOLD, _KEPT):
        return False
    return any(mallopt(_MMAP_THRESHOLD, block) for block in _BLOCKS)
