"""Memory: keep large blocks from one step to the next, and count what a step holds."""

import ctypes
import sys
import weakref
from typing import Any

from torch import Tensor, strided
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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


class LiveBytes(TorchDispatchMode):
    """Count the bytes of the dense tensors born in a `with` block, on any device: `live` now, and
    `peak`, the most at once.

    It counts what the operations of PyTorch return, each storage once, and so gives the same number
    on every run, which the memory of a process does not. What an operation uses within itself is
    not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run one operation, and note what it returns that it was not given."""
        self._note((args, kwargs), born=False)
        returned = func(*args, **(kwargs or {}))
        self._note(returned, born=True)
        return returned

    def _note(self, tensors: Any, born: bool) -> None:
        for tensor in tree_leaves(tensors):
            if not isinstance(tensor, Tensor) or tensor.layout != strided:
                continue
            storage = tensor.untyped_storage()
            if id(storage) not in self._known:
                size = storage.nbytes() if born else 0
                self._known.add(id(storage))
                self.live += size
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._forget, id(storage), size)

    def _forget(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.live -= size
