"""Files and folders that appear whole or not at all, and never replace what was there."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contriever_lite.errors import DataError


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary sibling to write into, renamed to `folder` when the block ends well.

    Raises DataError if the folder exists already.
    """
    folder = Path(folder)
    refuse_to_overwrite(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield work
        work.chmod(0o777 & ~_umask())
        refuse_to_overwrite(folder)
        os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def new_file(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """The same for one file: write to the path given, which becomes `path` at the end.

    Raises DataError if the file exists already, unless overwrite.
    """
    path = Path(path)
    if not overwrite:
        refuse_to_overwrite(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    work = Path(name)
    try:
        yield work
        work.chmod(0o666 & ~_umask())
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


def write_json(value: Any, path: str | Path, overwrite: bool = False) -> Path:
    """Write a value as indented JSON, atomically."""
    with new_file(path, overwrite) as work:
        work.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Path(path)


def refuse_to_overwrite(path: Path) -> None:
    """Raise DataError if something stands at this path."""
    if path.exists():
        raise DataError(f"{path} exists already; choose another name or move it away first")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
