"""Files and folders: there whole or not at all, never in the place of another."""

import json
import os
from pathlib import Path

import pytest

from contriever_lite import files
from contriever_lite.errors import DataError
from contriever_lite.files import new_file, new_folder, refuse_to_overwrite, write_json


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_folder_appears_at_the_end_with_ordinary_rights(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with new_folder(target) as work:
        assert not target.exists()
        assert target.parent in work.parents, "a rename within one file system is atomic"
        (work / "a.txt").write_text("whole")
    assert everything(tmp_path / "deep") == {"target", "target/a.txt"}
    (tmp_path / "ordinary").mkdir()
    assert target.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_file_appears_at_the_end_with_ordinary_rights(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target.npz"
    with new_file(str(target)) as work:
        assert not target.exists()
        assert work.suffix == ".npz", "some writers add the suffix that they miss"
        work.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert everything(tmp_path / "deep") == {"target.npz"}
    (tmp_path / "ordinary").touch()
    assert target.stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("new", [new_folder, new_file])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interruption_leaves_nothing(tmp_path: Path, new, error: type) -> None:
    def write() -> None:
        with new(tmp_path / "target") as work:
            (work / "half" if work.is_dir() else work).write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert everything(tmp_path) == set()


@pytest.mark.parametrize("new", [new_folder, new_file])
@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_what_stands_there_is_kept(tmp_path: Path, new, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "elsewhere")
    entered = []

    def write() -> None:
        with new(target) as work:
            entered.append(work)

    with pytest.raises(DataError, match="target exists already; choose another name or move"):
        write()
    assert entered == []
    assert everything(tmp_path) == {"target"}
    assert (target.is_file(), target.is_dir(), target.is_symlink()) == tuple(
        kind == k for k in ("file", "folder", "dangling link")
    )


@pytest.mark.parametrize("new", [new_folder, new_file])
def test_what_another_process_made_meanwhile_is_kept(tmp_path: Path, new) -> None:
    target = tmp_path / "target"

    def write() -> None:
        with new(target) as work:
            (work / "a" if work.is_dir() else work).write_text("ours")
            target.write_text("theirs")

    with pytest.raises(DataError, match=r"exists already|made meanwhile"):
        write()
    assert target.read_text() == "theirs"
    assert everything(tmp_path) == {"target"}


def test_a_file_is_replaced_only_on_request_and_only_whole(tmp_path: Path) -> None:
    target = write_json({"a": 1}, tmp_path / "scores.json")

    def fail() -> None:
        with new_file(target, overwrite=True) as work:
            work.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(target.read_text()) == {"a": 1}
    with pytest.raises(DataError, match="exists already"):
        write_json({"a": 2}, target)
    assert json.loads(target.read_text()) == {"a": 1}
    write_json({"a": 2}, target, overwrite=True)
    assert json.loads(target.read_text()) == {"a": 2}
    assert everything(tmp_path) == {"scores.json"}


def test_json_is_readable_by_people(tmp_path: Path) -> None:
    path = write_json({"title": "Göttingen", "k": [1]}, tmp_path / "a.json")
    text = path.read_text(encoding="utf-8")
    assert "Göttingen" in text
    assert text.endswith("}\n")
    assert text.count("\n") > 3


def test_refusing_looks_at_the_very_path(tmp_path: Path) -> None:
    refuse_to_overwrite(tmp_path / "free")
    with pytest.raises(DataError):
        refuse_to_overwrite(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_is_used_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(files.FileLock, "acquire", unknown)
    with files.locked(tmp_path):
        (tmp_path / "made").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
