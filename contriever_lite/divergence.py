"""When a run has gone wrong: a loss that is not a number, or far above where it began."""

import math
from typing import Any

from contriever_lite.config import QUEUED, TrainConfig

TIMES, PATIENCE = 3.0, 100


class Divergence:
    """watch(loss) -> what is wrong, or "".

    A run diverges when its loss is not finite, or stands above a limit for PATIENCE steps in a row:

        limit = TIMES max(first, log(1 + negatives))

    first: the first loss seen. log(1 + negatives) is what guessing costs, negatives = batch_size +
    queue_size: the queue begins empty, and so its first loss is no measure.
    """

    def __init__(self, config: TrainConfig) -> None:
        queue = config.queue_size if config.objective in QUEUED else 0
        self.guessing = math.log(1 + config.batch_size + queue)
        self.first, self.above = -math.inf, 0

    @property
    def limit(self) -> float:
        return TIMES * max(self.first, self.guessing)

    def watch(self, loss: float) -> str:
        """Call it with the loss of every step."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if self.first == -math.inf:
            self.first = loss
        self.above = self.above + 1 if loss > self.limit else 0
        if self.above < PATIENCE:
            return ""
        return f"the loss, {loss:.3g}, has been above {self.limit:.3g} for {PATIENCE} steps"

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on must know."""
        return {"first": self.first, "above": self.above}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state_dict."""
        self.first, self.above = state["first"], state["above"]
