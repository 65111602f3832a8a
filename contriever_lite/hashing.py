"""Hashes of files, written ALGORITHM:HEX, and what to do where nobody published one."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from contriever_lite.errors import DataError

CHUNK = 1 << 18  # bytes


def hash_of(path: Path, algorithm: str = "sha256") -> str:
    """ALGORITHM:HEX of a file, read in pieces."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return f"{algorithm}:{digest.hexdigest()}"


def sha256(path: Path) -> str:
    """The bare HEX of a file's SHA-256."""
    return hash_of(path).partition(":")[2]


def found_hash(path: Path, digest: str | None) -> str | None:
    """The hash of a file by the algorithm of `digest`, to compare with it; None for None."""
    return hash_of(path, digest.split(":")[0]) if digest else None


def verify(path: Path, digest: str | None) -> None:
    """Check a finished file against its published hash, or the one noted when it came."""
    note = path.with_name(path.name + ".sha256")
    if digest is None and not note.exists():
        found = hash_of(path)
        print(f"{path.name}: no published hash; noted {found} in {note}", file=sys.stderr)
        note.write_text(found + "\n", encoding="utf-8")
        return
    expected = digest or note.read_text(encoding="utf-8").strip()
    if (found := found_hash(path, expected)) != expected:
        raise DataError(f"{path} has {found}, expected {expected}: move it away and try again")
