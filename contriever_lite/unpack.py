"""Open an archive from the network without trusting it.

Refused: a name that is absolute or climbs out with "..", links and devices, a name given twice,
more than `MEMBERS` files, more than `RATIO` times the archive's own size (a zip bomb).
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from tqdm import tqdm

from contriever_lite.errors import DataError

MEMBERS = 10_000
RATIO = 200
CHUNK = 1 << 18  # bytes
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a password is wanted, a method is unknown
    FileExistsError,  # a name is a file and a folder
    NotADirectoryError,
)


def unpack(archive: Path, folder: Path, strip: str = "") -> None:
    """Unpack a .zip or .tar.gz into an existing folder; a file of another kind is copied there.

    strip: a leading folder to leave out of every name. Raises DataError for an archive that is
    damaged or refused; what was unpacked by then stays in `folder`, which should be temporary.
    """
    if archive.name.endswith(".zip"):
        members = zip_members(archive)
    elif archive.name.endswith((".tar.gz", ".tgz")):
        members = tar_members(archive)
    else:
        shutil.copyfile(archive, folder / archive.name)
        return
    allowed = RATIO * archive.stat().st_size
    try:
        with tqdm(desc=f"unpacking {archive.name}", unit="B", unit_scale=True, delay=2) as bar:
            for count, (name, stream) in enumerate(members, start=1):
                if count > MEMBERS:
                    raise DataError(f"{archive} holds more than {MEMBERS:,} files: refused")
                copy(stream, safe_path(archive, folder, name, strip), allowed - bar.n, archive, bar)
    except DAMAGE as error:
        raise DataError(f"{archive} is damaged or not what its name says: {error}") from error


def zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, open stream) of every file of a zip; DataError for a link."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{archive} holds {info.filename!r}, a link or device: refused")
            if not info.is_dir():
                with file.open(info) as stream:
                    yield info.filename, stream


def tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, open stream) of every file of a .tar.gz; DataError for a link or device."""
    with tarfile.open(archive, "r:gz") as file:
        for member in file:
            stream = file.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield member.name, stream
            elif not member.isdir():
                raise DataError(f"{archive} holds {member.name!r}, a link or device: refused")


def safe_path(archive: Path, folder: Path, name: str, strip: str = "") -> Path:
    """Where a member goes, strictly inside `folder`; DataError for a name that would leave it."""
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    if parts[:1] == [strip]:
        parts = parts[1:]
    if not parts or name.startswith("/") or any(c in name for c in "\\:\0") or ".." in parts:
        raise DataError(f"{archive} holds {name!r}, a path that could leave its folder: refused")
    return folder.joinpath(*parts)


def copy(stream: IO[bytes], target: Path, allowed: int, archive: Path, bar: tqdm) -> None:
    """Copy one member, refusing to overwrite and to write more than `allowed` bytes."""
    if target.exists():
        raise DataError(f"{archive} holds {target.name!r} twice: refused")
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "wb") as file:
        while block := stream.read(CHUNK):
            allowed -= len(block)
            if allowed < 0:
                raise DataError(f"{archive} unpacks to over {RATIO} times its size: refused")
            file.write(block)
            bar.update(len(block))
