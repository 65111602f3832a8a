"""The log of a run: one JSON line a step, on disk as soon as it is written."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contriever_lite.files import new_file


class Journal:
    """write(step, ...) adds a step's numbers, and an evaluation's where one is due.

    path: the file, None to keep no log; it is appended to. evaluate(step) -> numbers is called at
    step 0 (when the log is opened), at every `every`-th and at the `last`.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        evaluate: Callable[[int], dict[str, float]] | None = None,
        every: int = 0,
        last: int = 0,
    ) -> None:
        self.path, self.evaluate, self.every, self.last = path and Path(path), evaluate, every, last
        self.start = time.perf_counter()
        self.done = 0
        self.file = None

    def cut(self, done: int) -> None:
        """Go on after `done` steps, before the log is opened: lines that will come again go, and
        the seconds go on from the last that stays."""
        self.done = done
        if self.path is None or not self.path.exists():
            return
        lines = [line for line in self.path.read_text("utf-8").splitlines() if self._stays(line)]
        with new_file(self.path, overwrite=True) as work:
            work.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self.start -= json.loads(lines[-1])["seconds"] if lines else 0

    def _stays(self, line: str) -> bool:
        try:
            return 0 < self.done >= json.loads(line)["step"]
        except (ValueError, TypeError, KeyError):  # half a line, from a run that was killed
            return False

    def __enter__(self) -> "Journal":
        if self.path is not None:
            self.file = self.path.open("a", encoding="utf-8")
        if not self.done:
            self.write(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def write(self, step: int, **numbers: Any) -> None:
        """Add a step's numbers, with an evaluation where one is due."""
        seconds = round(time.perf_counter() - self.start, 3)
        due = step in (0, self.last) or (self.every and step % self.every == 0)
        if self.evaluate is not None and due:
            numbers |= self.evaluate(step)
        if self.file is not None and numbers:
            self.file.write(json.dumps({"step": step, "seconds": seconds, **numbers}) + "\n")
            self.file.flush()
