"""Bring one file over the network whole, or not at all.

A download grows in NAME.part and takes its name when size and hash are right. Interrupted, it goes
on where it stopped, in a later call too if a published hash can prove the result. A lock file keeps
two processes from writing the same file.
"""

from __future__ import annotations

import errno
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from contriever_lite.errors import DataError
from contriever_lite.hashing import found_hash, verify

CHUNK = 1 << 18  # bytes
AGENT = {"User-Agent": "contriever-lite", "Accept-Encoding": "identity"}
WORTH_ANOTHER_TRY = {408, 416, 425, 429, 500, 502, 503, 504}


class Interrupted(Exception):
    """The transfer stopped early for a reason that may pass."""


@dataclass
class Piece:
    """What came so far. To continue it, a published hash or an entity tag must vouch for it."""

    path: Path
    provable: bool
    tag: str | None = None

    def length(self) -> int:
        """Bytes that may be continued."""
        usable = self.path.exists() and (self.provable or self.tag)
        return self.path.stat().st_size if usable else 0

    def request(self, url: str) -> urllib.request.Request:
        headers = dict(AGENT)
        if self.length():
            headers["Range"] = f"bytes={self.length()}-"
            if self.tag:
                headers["If-Range"] = self.tag
        return urllib.request.Request(url, headers=headers)


def fetch(
    url: str,
    path: Path,
    digest: str | None = None,
    size: int | None = None,
    tries: int = 4,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Path:
    """Download `url` to `path`, or use the file that is there already; return `path`.

    digest: "md5:HEX" or "sha256:HEX"; None if nobody published one: then the sha256 of what came is
    printed and kept in PATH.sha256, and the file must agree with it from then on. size: bytes, as
    published. timeout, pause: seconds; the pause doubles with every try.

    Raises DataError, naming the URL, the hash and the place for a hand-made copy, when the file
    cannot be had, and when what came (or was there) is not what was promised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            part = path.with_name(path.name + ".part")
            download(url, part, digest, size, tries, timeout, pause)
            os.replace(part, path)
        verify(path, digest)
    return path


def download(
    url: str, part: Path, digest: str | None, size: int | None, tries: int, timeout: float,
    pause: float,
) -> None:  # fmt: skip
    """Fill `part` in up to `tries` attempts, each going on from the last; check size and hash."""
    piece = Piece(part, provable=digest is not None)
    stale = piece.length() > 0  # left by an earlier call: it may not belong to this file
    if stale and found_hash(part, digest) == digest:
        return
    reason = ""
    for attempt in range(tries):
        if attempt and not stale:
            print(f"{part.stem}: {reason}; trying again", file=sys.stderr)
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            transfer(url, piece, size, timeout)
        except Interrupted as error:
            reason, stale = str(error), stale and piece.length() > 0
            continue
        found = found_hash(part, digest)
        if found == digest:
            return
        part.unlink()
        reason = f"what came has {found}"
        if not stale:
            break
        stale = False
    raise DataError(by_hand(url, part, digest, reason))


def transfer(url: str, piece: Piece, size: int | None, timeout: float) -> None:
    """One attempt: continue the piece if the server agrees, else begin it again.

    Raises Interrupted for what may pass, DataError for what will not.
    """
    have = piece.length()
    try:
        with urllib.request.urlopen(piece.request(url), timeout=timeout) as response:
            span = response.headers.get("Content-Range", "")
            if response.status != 206 or not span.startswith(f"bytes {have}-"):
                have = 0
            promised = response.headers.get("Content-Length", "")
            total = have + int(promised) if promised.isdigit() else size
            if size is not None and total != size:
                raise DataError(f"{url}: the server offers {total:,} bytes, expected {size:,}")
            tag = response.headers.get("ETag", "")
            piece.tag = tag if tag.startswith('"') else None
            receive(response, piece.path, have, total)
    except (http.client.HTTPException, OSError) as error:
        raise judged(error, url, piece.path) from error


def judged(error: Exception, url: str, part: Path) -> Exception:
    """The exception to raise for a failed connection: will it pass or not?"""
    if isinstance(error, urllib.error.HTTPError):
        reason = f"HTTP {error.code} {error.reason}"
        if error.code == 416:  # the piece is no beginning of this file
            part.unlink(missing_ok=True)
        passing = error.code in WORTH_ANOTHER_TRY
        return Interrupted(reason) if passing else DataError(by_hand(url, part, None, reason))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DataError(f"the disk is full: {part} could not grow")
    return Interrupted(str(getattr(error, "reason", "")) or str(error) or type(error).__name__)


def receive(response: http.client.HTTPResponse, part: Path, have: int, total: int | None) -> None:
    """Write the body to `part` from byte `have` on; Interrupted if it ends before `total`."""
    with (
        open(part, "r+b" if have else "wb") as file,
        tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, delay=1) as bar,
    ):
        file.seek(have)
        file.truncate()
        while block := response.read(CHUNK):
            file.write(block)
            bar.update(len(block))
            if total is not None and file.tell() > total:
                raise Interrupted(f"more than the promised {total:,} bytes came")
        came = file.tell()
    if total is not None and came < total:
        raise Interrupted(f"the connection closed after {came:,} of {total:,} bytes")


def by_hand(url: str, part: Path, digest: str | None, reason: str) -> str:
    """The message of a failed download: what to fetch, its hash, where to put it."""
    expected = f" (expected {digest})" if digest else ""
    return (
        f"cannot download {url}{expected}: {reason}.\n"
        f"Fetch it on another machine, put it at {part.with_suffix('')} and run this again."
    )
