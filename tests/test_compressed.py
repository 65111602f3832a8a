"""Packed files read like plain ones, and a damaged one is reported with its line."""

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from contriever_lite.compressed import BLOCK, READERS, unpacked
from contriever_lite.errors import DataError
from contriever_lite.records import Faults, numbered_lines

needs_zstandard = pytest.mark.skipif(not find_spec("zstandard"), reason="no zstandard")


def zst(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(content)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zst,
}
every_kind = pytest.mark.parametrize(
    "ending", [pytest.param(e, marks=needs_zstandard if e == ".zst" else ()) for e in PACKERS]
)
LINES = [f"line {number}, {number * number}" for number in range(20_000)]
CONTENT = "\n".join(LINES).encode()


def read(path: Path) -> list[tuple[int, str]]:
    faults = Faults()
    found = list(numbered_lines(path, faults))
    faults.settle()
    return found


def test_every_kind_is_tested() -> None:
    assert list(PACKERS) == list(READERS)


@every_kind
def test_lines_of_a_packed_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(PACKERS[ending](CONTENT))
    assert read(path) == list(enumerate(LINES, start=1))
    path.write_bytes(PACKERS[ending](b""))
    assert read(path) == []


@every_kind
def test_packed_files_put_end_to_end_are_one(ending: str, tmp_path: Path) -> None:
    path, half = tmp_path / f"a{ending}", len(CONTENT) // 2
    path.write_bytes(PACKERS[ending](CONTENT[:half]) + PACKERS[ending](CONTENT[half:]))
    assert read(path) == list(enumerate(LINES, start=1))


@every_kind
def test_a_packed_file_that_is_cut_short_or_damaged(ending: str, tmp_path: Path) -> None:
    path, whole = tmp_path / f"a{ending}", PACKERS[ending](CONTENT)
    kind = "gzip" if ending == ".gz" else ending
    for broken in (whole[:-9], whole[: len(whole) // 2], whole[:7], b"not packed at all"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=rf"a{ending}:\d+: the {kind} file is cut short or dam"):
            read(path)


@needs_zstandard
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 1])
def test_a_zst_file_of_any_size_is_read_in_pieces(size: int) -> None:
    content = bytes(i * i % 251 for i in range(size))
    reader = unpacked(io.BytesIO(zst(content)), ".zst")
    pieces = iter(lambda: reader.read(1000), b"")
    assert b"".join(pieces) == content


def test_zst_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "a.zst").touch()
    with pytest.raises(DataError, match=r"a\.zst: .* pip install zstandard"):
        read(tmp_path / "a.zst")


def test_a_failing_disk_is_not_taken_for_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def __next__(self) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("contriever_lite.records.unpacked", lambda file, ending: Failing())
    (tmp_path / "a.gz").touch()
    with pytest.raises(OSError, match="Input/output error"):
        read(tmp_path / "a.gz")
