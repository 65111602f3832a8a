"""The log of a run: one JSON line a step, on disk as soon as it is written."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


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

    def after(self, done: int) -> "Journal":
        """The log of a run that goes on after `done` steps: lines of later ones, which will come
        again, are cut off."""
        self.done = done
        return self

    def __enter__(self) -> "Journal":
        if self.path is not None:
            if self.done and self.path.exists():
                lines = self.path.read_text("utf-8").splitlines()
                kept = "".join(f"{line}\n" for line in lines if self._done(line))
                self.path.write_text(kept, "utf-8")
            self.file = self.path.open("a", encoding="utf-8")
        if not self.done:
            self.write(0)
        return self

    def _done(self, line: str) -> bool:
        try:
            return json.loads(line)["step"] <= self.done
        except (ValueError, KeyError):  # half a line, from a run that was killed
            return False

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
