"""The state of a run that is under way: saved whole or not at all, so that a killed run goes on
where it was and ends with the same weights."""

import hashlib
import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import CheckpointError, ConfigError

# What torch.load and load_state_dict raise on a file that is cut short, or not a state at all.
UNREADABLE = (RuntimeError, EOFError, OSError, LookupError, TypeError, pickle.UnpicklingError)


class RunState:
    """Encoder, queue, slow encoder, optimizer and step, in one file.

    Batches, views and dropout are pure functions of (seed, step), so nothing else is needed. path:
    None keeps no state. every: seconds between two saves.
    """

    def __init__(
        self,
        path: str | Path | None,
        config: TrainConfig,
        corpus: Corpus,
        every: float = 60.0,
    ) -> None:
        self.path, self.every = path and Path(path), every
        self.config = config.to_dict()
        self.corpus = fingerprint(corpus) if path else ""
        self.last = time.monotonic()

    def save(self, step: int, objective: nn.Module, optimizer: Optimizer) -> None:
        """Replace the file by the state after `step` steps."""
        state = {
            "config": json.dumps(self.config),
            "corpus": self.corpus,
            "step": step,
            "objective": objective.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        # A name of its own, so that what a killed process leaves half-written is written over.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        work = self.path.with_name(f"{self.path.name}.part")
        torch.save(state, work)
        os.replace(work, self.path)
        self.last = time.monotonic()

    def save_if_due(self, step: int, objective: nn.Module, optimizer: Optimizer) -> None:
        """Save if the last time is `every` seconds ago."""
        if self.path is not None and time.monotonic() - self.last >= self.every:
            self.save(step, objective, optimizer)

    def restore(self, objective: nn.Module, optimizer: Optimizer) -> int:
        """Load the file, if it is there, into objective and optimizer; returns the steps done.

        Raises ConfigError if the file was made with other settings, naming each, or from another
        corpus, and CheckpointError if it cannot be read or holds another kind of encoder.
        """
        if self.path is None or not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            refuse_differences(json.loads(state["config"]), self.config, self.path)
            self._refuse_other_corpus(state["corpus"])
            objective.load_state_dict(state["objective"])
            optimizer.load_state_dict(state["optimizer"])
            return state["step"]
        except UNREADABLE as error:
            raise CheckpointError(
                f"{self.path}: cannot be read as this run's state: {error}. Remove the file to "
                "start this run again from step 0."
            ) from error

    def _refuse_other_corpus(self, corpus: str) -> None:
        if corpus != self.corpus:
            raise ConfigError(
                f"{self.path} was made from other documents or another tokenizer; go on with the "
                "same --data, or start anew with another --out"
            )


def refuse_differences(old: dict[str, Any], new: dict[str, Any], place: Path) -> None:
    """Raise ConfigError if two sets of settings differ, naming each with both values."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if names:
        pairs = "; ".join(f"{n} = {old.get(n)} there, {new.get(n)} now" for n in names)
        raise ConfigError(
            f"{place} was made with other settings: {pairs}. Go on with the same settings, or "
            "start anew with another --out"
        )


def fingerprint(corpus: Corpus) -> str:
    """A hash of a corpus's tokens, offsets and titles."""
    digest = hashlib.sha256()
    for array in (corpus.tokens, corpus.offsets, corpus.titles):
        for start in range(0, len(array), 1 << 20):
            digest.update(np.ascontiguousarray(array[start : start + (1 << 20)]))
    return digest.hexdigest()
