"""A loss with its settings bound, and its temperature fixed or learnt."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from contriever_lite.errors import ConfigError

COLDEST = 0.01  # a learnt temperature never falls below this, as in CLIP (Radford et al. 2021)


class Criterion(nn.Module):
    """A function of loss.py that knows its settings: a scalar for any (q, k, negatives).

        L = function(q, k, negatives, tau, ignore, settings)

    learnt=True makes the temperature a parameter, kept positive by its logarithm (CLIP), and with
    it `bias`, for a loss that has one (SigLIP). Raises ConfigError if temperature <= 0 or, learnt,
    below COLDEST.
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
        if learnt and temperature < COLDEST:
            raise ConfigError(
                f"temperature = {temperature}: a learnt one stays at {COLDEST} or more; begin "
                "there, or set learn_temperature=false"
            )
        self.function, self.settings = function, settings
        self.learnt, self.start = learnt, float(temperature)
        if learnt:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        if learnt and "bias" in settings:
            self.bias = settings["bias"] = nn.Parameter(torch.tensor(float(settings["bias"])))

    @property
    def temperature(self) -> float | Tensor:
        """tau: a fixed number, or a learnt scalar with gradient."""
        return self.log_temperature.exp() if self.learnt else self.start

    def forward(
        self,
        q: Tensor,
        k: Tensor,
        negatives: Tensor | None = None,
        ignore: Tensor | None = None,
    ) -> Tensor:
        """The loss of q (M B, D) and k (B, D), a scalar; arguments as in loss.py."""
        if self.learnt:
            with torch.no_grad():  # not in the graph: at the floor, the gradient can still raise it
                self.log_temperature.clamp_(min=math.log(COLDEST))
        settings = {"temperature": self.temperature, **self.settings}
        return self.function(q, k, negatives, ignore=ignore, **settings)
