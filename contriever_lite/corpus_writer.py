"""A corpus folder in the making, which a killed process leaves in a state to go on from."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from contriever_lite.corpus import Tokenised, offsets_of, write_manifest
from contriever_lite.errors import DataError
from contriever_lite.files import write_json

HEADER = 128  # bytes of a .npy file's header, whatever the size


class CorpusWriter:
    """Documents appended one batch after another, in one sitting or several.

        folder/progress.json   documents and tokens that count; what the files hold beyond them was
                               on its way when a process died, and is cut off
        folder/tokens.npy      int32, its header without a size until the end
        folder/lengths         int64, tokens of each document
        folder/titles          int32, tokens of each title

    every: seconds between two saves of the progress. In memory: one batch, until `finish`.
    """

    def __init__(self, folder: Path, every: float = 10.0) -> None:
        self.folder, self.every, self.last = folder, every, time.monotonic()
        if (folder / "corpus" / "tokens.npy").exists():  # cut off in `finish`
            os.replace(folder / "corpus" / "tokens.npy", folder / "tokens.npy")
        saved = noted(folder / "progress.json")
        self.documents, self.tokens = saved.get("documents", 0), saved.get("tokens", 0)
        self.files = [
            cut(folder / "tokens.npy", HEADER + 4 * self.tokens if saved else 0),
            cut(folder / "lengths", 8 * self.documents),
            cut(folder / "titles", 4 * self.documents),
        ]
        if not saved:
            _write_header(self.files[0], 0)

    def __enter__(self) -> CorpusWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    def append(self, batch: Tokenised) -> None:
        """Write a batch behind the others."""
        for file, array in zip(self.files, batch, strict=True):
            file.write(array.data)
        self.documents, self.tokens = self.documents + len(batch[1]), self.tokens + len(batch[0])
        if time.monotonic() - self.last >= self.every:
            self.save()

    def save(self) -> None:
        """Make what was appended count."""
        for file in self.files:
            file.flush()
            os.fsync(file.fileno())
        progress = {"documents": self.documents, "tokens": self.tokens}
        write_json(progress, self.folder / "progress.json", overwrite=True)
        self.last = time.monotonic()

    def finish(self, tokenizer: Path) -> Path:
        """Put the corpus together in a folder of its own, to be moved to its place. May be cut off
        and done again."""
        self.save()
        done = self.folder / "corpus"
        shutil.rmtree(done, ignore_errors=True)
        done.mkdir()
        shutil.copyfile(tokenizer, done / "tokenizer.json")
        offsets = offsets_of(np.fromfile(self.folder / "lengths", np.int64))
        np.save(done / "offsets.npy", offsets)
        np.save(done / "titles.npy", np.fromfile(self.folder / "titles", np.int32))
        self.files[0].seek(0)
        _write_header(self.files[0], self.tokens)
        self.files[0].close()
        os.replace(self.folder / "tokens.npy", done / "tokens.npy")
        write_manifest(done, self.documents, self.tokens)
        return done


def noted(file: Path) -> dict[str, Any]:
    """What unfinished work says of itself; empty where it had not come to that. Raises DataError
    where the file is broken."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except (ValueError, TypeError) as error:
        raise DataError(f"{file} is broken: {error}; remove its folder to start anew") from error


def cut(path: Path, size: int) -> BinaryIO:
    """A file opened to be written on from `size` bytes. Raises DataError where it has not so
    many."""
    file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115 - closed in __exit__
    if file.seek(0, os.SEEK_END) < size:
        file.close()
        raise DataError(f"{path} is shorter than was noted; remove its folder to start anew")
    file.seek(size)
    file.truncate()
    return file


def _write_header(file: BinaryIO, size: int) -> None:
    """The header of an int32 array of this size in a .npy file."""
    kind = np.lib.format.dtype_to_descr(np.dtype(np.int32))
    header = {"descr": kind, "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)
