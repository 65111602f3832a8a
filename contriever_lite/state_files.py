"""The files of a run's states: step-N.pt, written whole or not at all."""

import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from contriever_lite.errors import CheckpointError

# What torch.load and load_state_dict raise on a file that is cut short, or not a state at all.
UNREADABLE = (RuntimeError, EOFError, OSError, LookupError, TypeError, pickle.UnpicklingError)
NEEDED = ("config", "corpus", "step", "best")


def states_in(folder: str | Path) -> dict[int, Path]:
    """Step -> file of the states in a folder, the oldest first."""
    numbers = {path.stem.removeprefix("step-"): path for path in Path(folder).glob("step-*.pt")}
    return {int(n): numbers[n] for n in sorted(filter(str.isdecimal, numbers), key=int)}


def read_state(path: Path) -> dict[str, Any]:
    """A file of a RunState. Raises CheckpointError if it is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        missing = [name for name in NEEDED if name not in state]
    except UNREADABLE as error:
        raise CheckpointError(f"{path} cannot be read as a run's state: {error}.") from error
    if missing:
        raise CheckpointError(f"{path} cannot be read as a run's state: no {missing[0]}.")
    return state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state under another name, to the disk, and give it its own. Raises what the system
    raises where that fails, and leaves no half of a file."""
    work = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with work.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # before it gets its name: a power cut leaves no empty file
        os.replace(work, path)
    except (OSError, RuntimeError):
        with suppress(OSError):
            work.unlink(missing_ok=True)
        raise
