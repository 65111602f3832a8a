"""The log of a run: one JSON line a step, on disk as soon as it is written, and what one watches
meanwhile: a progress bar, TensorBoard."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.files import new_file

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

ON_THE_BAR = ("loss", "accuracy")


class Journal:
    """write(step, ...) adds a step's numbers, and an evaluation's where one is due.

    path: the file, None to keep no log; it is appended to. evaluate(step) -> numbers is called at
    step 0 (when the log is opened), at every `every`-th and at the `last`. pairs: of a step, so
    that a line says pairs_per_second, evaluations apart. tensorboard: a folder that gets the same
    numbers. bar: show progress, with the time left.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        evaluate: Callable[[int], dict[str, float]] | None = None,
        every: int = 0,
        last: int = 0,
        *,
        pairs: int = 0,
        tensorboard: str | Path | None = None,
        bar: bool = False,
    ) -> None:
        if every < 0:
            raise ConfigError(f"evaluate_every = {every}: must be 0 steps or more")
        self.path, self.evaluate, self.every, self.last = path and Path(path), evaluate, every, last
        self.pairs, self.tensorboard = pairs, tensorboard
        self.start = self.mark = time.perf_counter()
        self.done = 0
        self.file = self.board = None
        self.words: dict[str, float] = {}  # beside the bar: the last of each
        self.bar = tqdm(desc="training", total=last, unit=" steps", leave=False) if bar else None

    def cut(self, done: int) -> None:
        """Go on after `done` steps, before the log is opened: lines that will come again go, and
        the seconds go on from the last that stays."""
        self.done = done
        if self.path is None or not self.path.exists():
            return
        lines = [line for line in self.path.read_text("utf-8").splitlines() if self._stays(line)]
        with new_file(self.path, overwrite=True) as work:
            work.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self.start -= last_seconds(self.path)

    def _stays(self, line: str) -> bool:
        try:
            return 0 < self.done >= json.loads(line)["step"]
        except (ValueError, TypeError, KeyError):  # half a line, from a run that was killed
            return False

    def __enter__(self) -> "Journal":
        if self.path is not None:
            self.file = self.path.open("a", encoding="utf-8")
        if self.tensorboard is not None:
            self.board = board(self.tensorboard, self.done + 1)
        if self.bar is not None:
            self.bar.update(self.done)
        if not self.done:
            self.write(0)
        self.mark = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        for sink in (self.file, self.board, self.bar):
            if sink is not None:
                sink.close()

    def write(self, step: int, **numbers: Any) -> dict[str, float]:
        """Add a step's numbers, with an evaluation where one is due; returns the evaluation's."""
        now = time.perf_counter()
        if self.pairs and step:
            numbers["pairs_per_second"] = round(self.pairs / (now - self.mark), 1)
        found, due = {}, step in (0, self.last) or (self.every and step % self.every == 0)
        if self.evaluate is not None and due:
            found = self.evaluate(step)
        if numbers or found:
            self._put({"step": step, "seconds": round(now - self.start, 3), **numbers, **found})
        self.mark = time.perf_counter()
        return found

    def _put(self, line: dict[str, Any]) -> None:
        try:
            if self.file is not None:
                self.file.write(json.dumps(line) + "\n")
                self.file.flush()
        except OSError as error:
            raise TrainingError(
                f"{self.path} cannot be written: {error.strerror}. Make room, and go on with "
                "--resume"
            ) from error
        for name in line.keys() - {"step"} if self.board is not None else ():
            self.board.add_scalar(name, line[name], line["step"])
        if self.bar is not None and line["step"]:
            self.words |= {name: line[name] for name in ON_THE_BAR if name in line}
            self.words["pairs/s"] = line.get("pairs_per_second", 0)
            self.bar.set_postfix(self.words, refresh=False)
            self.bar.update()


def last_seconds(path: Path) -> float:
    """The clock of a log at its last line; 0 where there is none."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return json.loads(lines[-1])["seconds"] if lines else 0.0


def board(folder: str | Path, first: int) -> "SummaryWriter":
    """TensorBoard's writer, from step `first` on. Raises ConfigError where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            "--tensorboard needs the package tensorboard, which is not installed: "
            "pip install tensorboard"
        ) from error
    return SummaryWriter(str(folder), purge_step=first)
