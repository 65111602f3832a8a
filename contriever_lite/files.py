"""Files and folders that appear whole or not at all, and never replace what was there."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contriever_lite.errors import DataError


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
