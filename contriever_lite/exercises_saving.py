"""The check of chapter 09's save that survives: it answers "Right" or "Not yet", and says why."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

OLD, NEW = b"old state" * 9, b"new state" * 11
Write = Callable[[Path, bytes], None]
Save = Callable[[Path, bytes, Write], None]


def check_save(function: Save) -> str:
    """A reader's safe save, called as function(path, data, write): write(file, data) puts data in a
    file, and may die half-way. Whatever happens, `path` must hold all of the old or all of the new.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder).resolve() / "state"
        path.write_bytes(OLD)
        fault = _killed_fault(function, path) or _living_fault(function, path)
    if fault:
        return f"Not yet: {fault}"
    return "Right: killed in the write, the old state is whole; else the new one is."


class Killed(BaseException):
    """As little can be done about it as about kill -9: not an Exception."""


def _killed_fault(function: Save, path: Path) -> str:
    """What `path` holds counts at the kill itself: nothing runs after it that could mend it."""
    files, states = [], []

    def die(file: Path, data: bytes) -> None:
        Path(file).write_bytes(data[: len(data) // 2])
        files.append(Path(file).resolve())
        states.append(_held(path))
        raise Killed

    with suppress(Killed):
        function(path, NEW, die)
    if not files:
        return "it never calls write, which alone may write the data."
    for state in (states[0], _held(path)):
        if state is None:
            return "killed in the write, it leaves no state at all: the old one is gone."
        if state != OLD:
            return f"killed in the write, it leaves {len(state)} of {len(NEW)} bytes."
    if path.parent not in files[0].parents:
        return f"it writes in {files[0].parent}, perhaps another disk: work beside the path."
    return ""


def _living_fault(function: Save, path: Path) -> str:
    litter = set(path.parent.iterdir())
    with _moments(path) as states:
        function(path, NEW, lambda file, data: Path(file).write_bytes(data))
    if _held(path) == OLD:
        return "nothing dies, and still the old state is there."
    if _held(path) != NEW:
        return "nothing dies, but what is there is not the data."
    for state in states - {OLD, NEW}:
        found = f"{len(state)} of {len(NEW)} bytes" if state is not None else "nothing"
        return f"for a moment there is {found} at the path. Only os.replace renames at one stroke."
    for file in sorted(set(path.parent.iterdir()) - {path}):
        if file in litter:
            return f"{file.name}, of the killed save, stays for ever: use one name for the work."
        return f"{file.name} is left behind by a save that went well."
    return ""


def _held(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@contextmanager
def _moments(path: Path) -> Iterator[set[bytes | None]]:
    """All that `path` holds after any call of a built-in function: nothing else touches a disk."""
    states: set[bytes | None] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, arg: event == "c_return" and states.add(_held(path)))
    try:
        yield states
    finally:
        sys.setprofile(before)
