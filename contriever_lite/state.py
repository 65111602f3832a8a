"""The states of a run that is under way: each saved whole or not at all, so that a killed run goes
on where it was and ends with the same weights."""

import hashlib
import json
import time
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from contriever_lite.circumstances import commit
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import CheckpointError, ConfigError, TrainingError
from contriever_lite.settings import refuse_differences
from contriever_lite.state_files import UNREADABLE, read_state, states_in, write_state


class Part(Protocol):
    """A module, an optimizer, a scaler: whatever has a state."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class RunState:
    """FOLDER/step-N.pt: all that a run is after N steps. None keeps nothing.

    A file holds the state of every part (encoder, queue and slow encoder, optimizer, scaler), the
    step, the settings, the tokenizer, the corpus's fingerprint and the commit. Batches, views and
    dropout are pure functions of (seed, step), and so is the learning rate: the step is the state
    of all of them.

    every: seconds between two saves. keep: so many of the last stay, and the best (score).
    """

    def __init__(
        self,
        folder: str | Path | None,
        config: TrainConfig,
        corpus: Corpus,
        every: float = 300.0,
        keep: int = 2,
    ) -> None:
        if keep < 1:
            raise ConfigError(f"keep = {keep}: must be at least 1")
        if not every >= 0:
            raise ConfigError(f"save_every = {every}: must be 0 seconds or more")
        self.folder, self.every, self.keep = folder and Path(folder), every, keep
        self.config = config.to_dict()
        self.head: dict[str, Any] = {}
        if self.folder:
            self.head = {"config": json.dumps(self.config), "corpus": fingerprint(corpus),
                         "tokenizer": corpus.tokenizer.to_str(), "commit": commit()}  # fmt: skip
        self.parts: dict[str, Part] = {}
        self.best: tuple[int, float] | None = None
        self.last = time.monotonic()

    def files(self) -> dict[int, Path]:
        """Step -> file, the oldest first."""
        return states_in(self.folder) if self.folder else {}

    def newest(self) -> Path | None:
        """The last state that was saved."""
        return next(reversed(self.files().values()), None)

    def save_if_due(self, step: int, score: float | None = None) -> None:
        """Save if the last time is `every` seconds ago, or if this score is the best so far."""
        if self.folder is None:
            return
        better = score is not None and (self.best is None or score > self.best[1])
        if better:
            self.best = (step, float(score))  # a NumPy number could not be read back
        if better or time.monotonic() - self.last >= self.every:
            self.save(step)

    def save(self, step: int) -> None:
        """Write the state after `step` steps, then remove what need not stay.

        Raises TrainingError, with the states before it untouched, if a weight is not finite or the
        file cannot be written.
        """
        states = {name: part.state_dict() for name, part in self.parts.items()}
        if not _finite(states["objective"]):
            raise TrainingError(
                f"the weights are not finite after step {step}; lower learning_rate, and start "
                f"again. The last good state is {self.newest()}"
            )
        self._write(self.folder / f"step-{step}.pt",
                    {**self.head, "step": step, "best": self.best, **states})  # fmt: skip
        self._prune(step)
        self.last = time.monotonic()

    def _write(self, path: Path, state: dict[str, Any]) -> None:
        try:
            write_state(path, state)
        except (OSError, RuntimeError) as error:
            raise TrainingError(
                f"{path} cannot be written: {error}. Is the disk full, or the folder read-only? "
                "Make room, or mend it, and go on with --resume; the last good state is "
                f"{self.newest()}"
            ) from error

    def _prune(self, step: int) -> None:
        """A file of a later step is one that could not be read: it is left to the eye."""
        done = [number for number in self.files() if number <= step]
        stay = {*done[-self.keep :], self.best and self.best[0]}
        for number in done:
            if number not in stay:
                self.files()[number].unlink()
        for left in self.folder.glob("step-*.pt.part"):
            left.unlink()

    def restore(self, **parts: Part | None) -> int:
        """Take charge of the parts and load the newest state into them; returns the steps done.

        A file that cannot be read is passed over, with a warning, for the one before. Raises
        ConfigError if the state was made with other settings, naming each, or from another corpus,
        and CheckpointError if no file can be read, or it holds another kind of encoder.
        """
        self.parts = {name: part for name, part in parts.items() if part is not None}
        files = list(self.files().values())
        for path in reversed(files):
            try:
                state = read_state(path)
            except CheckpointError as error:
                warnings.warn(f"{error} Trying the state before it.", stacklevel=2)
                continue
            refuse_differences(json.loads(state["config"]), self.config, path)
            self._refuse_other_corpus(path, state["corpus"])
            self._load(path, state)
            return state["step"]
        if files:
            raise CheckpointError(
                f"{self.folder}: no state there can be read. Remove the folder to start this run "
                "again from step 0."
            )
        return 0

    def _load(self, path: Path, state: dict[str, Any]) -> None:
        try:
            for name, part in self.parts.items():
                if name in state or name != "scaler":  # fp16's, where the last GPU ran bf16
                    part.load_state_dict(state[name])
        except (*UNREADABLE, ValueError) as error:
            raise CheckpointError(f"{path}: is of another kind of encoder: {error}") from error
        self.best = state["best"] and tuple(state["best"])

    def _refuse_other_corpus(self, path: Path, corpus: str) -> None:
        if corpus != self.head["corpus"]:
            raise ConfigError(
                f"{path} was made from other documents or another tokenizer; go on with the "
                "same --data, or start anew with another --out"
            )


def _finite(state: dict[str, Any]) -> bool:
    floats = (x for x in state.values() if isinstance(x, Tensor) and x.is_floating_point())
    return all(bool(x.isfinite().all()) for x in floats)


def fingerprint(corpus: Corpus) -> str:
    """A hash of a corpus's tokens, offsets and titles."""
    digest = hashlib.sha256()
    for array in (corpus.tokens, corpus.offsets, corpus.titles):
        for start in range(0, len(array), 1 << 20):
            digest.update(np.ascontiguousarray(array[start : start + (1 << 20)]))
    return digest.hexdigest()
