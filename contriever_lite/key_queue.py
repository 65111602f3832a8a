"""A ring buffer of past keys: negatives for nothing, but of an older encoder."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contriever_lite.errors import ConfigError


class KeyQueue(nn.Module):
    """The last `size` keys that were pushed, with the text each came from and how old it is.

        push t writes its n keys to places (p, p + 1, ..., p + n - 1) mod size,   p <- p + n

    keys (size, D) float32, documents (size,) int64 (batch.text_numbers), pushes (size,) int64: the
    push that brought each. Any size goes with any batch; of more keys than places the last stay.
    Only places that were written count as negatives. All of it is in the state_dict.

    noise: a generator fills the queue with random vectors of length 1 that do count, as MoCo (He et
    al. 2020) and the reference code (src/moco.py, lines 39-40) begin; for comparison only.
    """

    def __init__(self, size: int, dimension: int, noise: torch.Generator | None = None) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f"queue_size = {size}: must be at least 1")
        keys = torch.zeros(size, dimension)
        if noise is not None:
            keys = F.normalize(torch.randn(size, dimension, generator=noise), dim=1)
        self.register_buffer("keys", keys)
        self.register_buffer("documents", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("pushes", torch.zeros(size, dtype=torch.int64))
        self.filled = 0 if noise is None else size
        self.place = 0
        self.pushed = 0

    def __len__(self) -> int:
        """How many keys count as negatives."""
        return self.filled

    @property
    def size(self) -> int:
        return len(self.keys)

    @torch.no_grad()
    def push(self, keys: Tensor, documents: Tensor | None = None) -> None:
        """Write keys (n, D) over the oldest ones. documents: (n,) numbers of their texts."""
        self.pushed += 1
        if documents is None:
            documents = torch.full((len(keys),), -1, dtype=torch.int64, device=keys.device)
        first = max(0, len(keys) - self.size)
        places = torch.arange(self.place + first, self.place + len(keys), device=keys.device)
        places %= self.size
        self.keys[places] = keys[first:].to(self.keys.dtype)
        self.documents[places] = documents[first:]
        self.pushes[places] = self.pushed
        self.place = (self.place + len(keys)) % self.size
        self.filled = min(self.size, self.filled + len(keys))

    def negatives(self) -> tuple[Tensor, Tensor]:
        """(keys (n, D), documents (n,)) of the places that count; not copies: push after use."""
        return self.keys[: self.filled], self.documents[: self.filled]

    def ages(self) -> Tensor:
        """(n,) how many pushes ago each of them came: 1 for the last batch."""
        return self.pushed + 1 - self.pushes[: self.filled]

    def get_extra_state(self) -> Tensor:
        """The counters, for the state_dict."""
        return torch.tensor([self.filled, self.place, self.pushed])

    def set_extra_state(self, state: Tensor) -> None:
        """The counters, from the state_dict."""
        self.filled, self.place, self.pushed = state.tolist()
