"""Files and folders that appear whole or not at all, and never replace what was there."""

import json
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from contriever_lite.errors import ConfigError, DataError


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name when the block ends without an error.

    Raises DataError if `folder` exists, before the block or, made by another process, after it.
    """
    folder = Path(folder)
    refuse_to_overwrite(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        work = Path(scratch) / folder.name
        work.mkdir()
        yield work
        try:
            os.rename(work, folder)
        except OSError as error:
            raise DataError(f"{folder} was made meanwhile by another process: kept") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block this process alone writes to the folder: it holds FOLDER/lock, which the
    system frees when it is killed. Raises ConfigError if another process holds it."""
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            f"{folder} is being written by another process; wait for it, or choose another name"
        ) from error
    except NotImplementedError:  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()
        (folder / "lock").unlink(missing_ok=True)


@contextmanager
def new_file(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """The same for one file: write to the path given, which takes the name `path` at the end.

    Raises DataError if `path` exists, before or after the block, unless overwrite.
    """
    path = Path(path)
    if not overwrite:
        refuse_to_overwrite(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        work = Path(scratch) / path.name
        yield work
        if not overwrite:
            refuse_to_overwrite(path)
        os.replace(work, path)


def write_json(value: Any, path: str | Path, overwrite: bool = False) -> Path:
    """Write a value as indented JSON, atomically."""
    with new_file(path, overwrite) as work:
        work.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Path(path)


def refuse_to_overwrite(path: Path) -> None:
    """Raise DataError if something stands at this path."""
    if os.path.lexists(path):
        raise DataError(f"{path} exists already; choose another name or move it away first")


def refuse_to_replace(path: Path, *kinds: Collection[str]) -> None:
    """Raise DataError if something stands at this path but a JSON object with the keys of one of
    these kinds of record, which can be made again."""
    if not os.path.lexists(path):
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not (isinstance(found, dict) and set(found) in map(set, kinds)):
        raise DataError(
            f"{path} exists already and is not a record that this would write again; choose "
            "another name or move it away first"
        )


def refuse_strangers(folder: Path, first: str, others: Collection[str], what: str) -> None:
    """Raise ConfigError unless a folder holds unfinished work alone: `first`, the file it begins
    with, then files of the names `others`, each perhaps half-written by `new_file`, and a lock."""
    names = {path.name for path in folder.iterdir()}
    own = {first, "lock", *(others if first in names else ())}
    half = tuple(f".{name}." for name in own)
    strangers = sorted(name for name in names - own if not name.startswith(half))
    if strangers:
        raise ConfigError(
            f"{folder} is not {what}: it holds {strangers[0]}; move it away, or choose another name"
        )
