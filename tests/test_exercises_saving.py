"""The check of chapter 09's save: a safe one passes, each unsafe one is told apart."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from contriever_lite.exercises_saving import check_save


def _save(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    work = path.with_name("work")
    write(work, data)
    os.replace(work, path)


def _delete_first(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    path.unlink()
    _save(path, data, write)


def _copy(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    write(path.with_name("work"), data)
    path.write_bytes(data)


def _mend(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    old = path.read_bytes()
    try:
        write(path, data)
    except BaseException:
        path.write_bytes(old)
        raise


def _rename_late(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    write(path.with_name("work"), data)
    path.unlink()
    path.with_name("work").rename(path)


def _elsewhere(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    with TemporaryDirectory() as folder:
        write(Path(folder) / "work", data)
        shutil.move(Path(folder) / "work", path)


def _litter(path: Path, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    _save(path, data, write)
    path.with_name("more").write_bytes(data)


def test_save_leaves_the_readers_profile_alone() -> None:
    check_save(_save)
    assert sys.getprofile() is None


def test_save_right() -> None:
    assert check_save(_save).startswith("Right")


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda path, data, write: write(path, data), "it leaves 49 of 99 bytes"),
        (_delete_first, "no state at all"),
        (_mend, "it leaves 49 of 99 bytes"),
        (_rename_late, "for a moment there is nothing"),
        (_copy, "for a moment there is 0 of 99 bytes"),
        (_elsewhere, "perhaps another disk"),
        (lambda path, data, write: None, "never calls write"),
        (lambda path, data, write: write(path.with_name("work"), data), "still the old state"),
        (lambda path, data, write: _save(path, data[:-1], write), "not the data"),
        (_litter, "more is left behind"),
    ],
)
def test_save_slips(function: Callable[..., None], hint: str) -> None:
    verdict = check_save(function)
    assert verdict.startswith("Not yet")
    assert hint in verdict


def test_save_that_dies_leaves_one_file_at_most() -> None:
    names = iter("ab")

    def another_name_each_time(path: Path, data: bytes, write: Callable) -> None:
        work = path.with_name(next(names))
        write(work, data)
        os.replace(work, path)

    assert "a, of the killed save, stays for ever" in check_save(another_name_each_time)
