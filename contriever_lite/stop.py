"""Stopping in good order: a signal lets the step end, so that its state can be written."""

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType

from contriever_lite.errors import UserError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(UserError):
    """Somebody asked the run to stop. status: 128 + the signal's number, as a shell counts."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.status = 128 + number


class Signals:
    """Within a `with` block SIGTERM and Ctrl-C only note that they came: `number`, 0 if none.

    place: where a state can be saved; without one, as in any thread but the main one, signals stay
    what they are. alone: a second Ctrl-C interrupts at once; not so where a launcher of several
    processes passes on what each has got already.
    """

    def __init__(self, place: Path | None, alone: bool = True) -> None:
        self.wanted = place is not None and threading.current_thread() is threading.main_thread()
        self.alone = alone
        self.number = 0

    def __enter__(self) -> "Signals":
        if self.wanted:
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items() if self.wanted else ():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.alone and number == self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number
