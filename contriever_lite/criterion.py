"""A loss with its settings bound, and its temperature fixed or learnt."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from contriever_lite.errors import ConfigError

COLDEST = 0.01  # a learnt temperature never falls below this, as in CLIP (Radford et al. 2021)


class Criterion(nn.Module):
    """function(q, k, negatives, temperature=..., ignore=..., **settings) -> scalar, from loss.py.

    learnt=True makes the temperature a parameter, kept positive by its logarithm (CLIP), and with
    it `bias`, for a loss that has one (SigLIP).
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        temperature: float = 0.05,
        learnt: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ConfigError(f"temperature = {temperature}: must be more than 0")
        self.function, self.settings, self.learnt = function, settings, learnt
        self.fixed = {"temperature": float(temperature)}
        if "bias" in settings:
            self.fixed["bias"] = float(settings.pop("bias"))
        if learnt:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
            if "bias" in self.fixed:
                self.bias = nn.Parameter(torch.tensor(self.fixed["bias"]))

    def numbers(self) -> dict[str, float | Tensor]:
        """The temperature (and the bias): fixed numbers, or learnt tensors with gradient."""
        if not self.learnt:
            return self.fixed
        with torch.no_grad():
            self.log_temperature.clamp_(min=math.log(COLDEST))
        learnt = {"temperature": self.log_temperature.exp()}
        return learnt | ({"bias": self.bias} if "bias" in self.fixed else {})

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        negatives: Tensor | None = None,
        ignore: Tensor | None = None,
    ) -> Tensor:
        """The loss of q (M B, D) and k (B, D), a scalar; arguments as in loss.py."""
        return self.function(q, k, negatives, ignore=ignore, **self.numbers(), **self.settings)
