"""Files that are unpacked while they are read, by the ending of their name: .gz .xz .bz2 .zst.

Python itself reads the first three; .zst needs the package `zstandard`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import BinaryIO

from contriever_lite.errors import SourceError

BLOCK = 1 << 17  # bytes of a .zst file read at once
# What reading a damaged file raises; an OSError with an errno is the disk's.
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)


def unpacked(file: BinaryIO, ending: str) -> BinaryIO:
    """The content of an open file, which may be larger than memory; the file itself if the ending
    is none of `READERS`. Raises DataError if a package is missing. Reading may raise `DAMAGE`."""
    return READERS[ending](file) if ending in READERS else file


class _ZstReader(io.RawIOBase):
    """The content of a .zst file. `zstandard` has a reader too, which overlooks a missing end."""

    def __init__(self, file: BinaryIO, zstandard: ModuleType) -> None:
        self.file, self.zstandard = file, zstandard
        self.frame, self.content = None, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self.content:
            block = self.file.read(BLOCK)
            if not block and self.frame is not None:
                raise EOFError("the last frame has no end")
            if not block:
                return 0
            self.content = self._unpack(block)
        size = min(len(buffer), len(self.content))
        buffer[:size], self.content = self.content[:size], self.content[size:]
        return size

    def _unpack(self, block: bytes) -> bytes:
        content = []
        while block:
            self.frame = self.frame or self.zstandard.ZstdDecompressor().decompressobj()
            try:
                content.append(self.frame.decompress(block))
            except self.zstandard.ZstdError as error:
                raise OSError(str(error)) from error
            block = self.frame.unused_data
            if self.frame.eof:
                self.frame = None
        return b"".join(content)


def _open_zst(file: BinaryIO) -> BinaryIO:
    try:
        import zstandard
    except ImportError as error:
        raise SourceError(
            f"{file.name}: reading .zst needs a package more: pip install zstandard"
        ) from error
    return io.BufferedReader(_ZstReader(file, zstandard), BLOCK)


READERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
    ".zst": _open_zst,
}
