"""The downloader against a server that misbehaves, and archives that nobody should trust."""

import hashlib
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contriever_lite import unpack as unpacking
from contriever_lite.download import fetch
from contriever_lite.errors import DataError
from contriever_lite.unpack import unpack

BODY = hashlib.sha256(b"seed").digest() * 40_000  # 1.28 MB
MD5 = "md5:" + hashlib.md5(BODY).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(BODY).hexdigest()


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *args: object) -> None:
        """A client that hangs up is part of the plan."""


class Server:
    """Serves BODY. `behave` answers one request; `ranges` lists the Range header of each."""

    def __init__(self) -> None:
        self.ranges: list[str | None] = []
        self.conditions: list[str | None] = []
        self.behave: Callable[[BaseHTTPRequestHandler, int], None] = honest
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.ranges.append(self.headers.get("Range"))
                server.conditions.append(self.headers.get("If-Range"))
                server.behave(self, len(server.ranges))

            def log_message(self, *args: object) -> None:
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/body.zip"


def begin(request: BaseHTTPRequestHandler, **headers: object) -> int:
    """Send status and headers as an honest server would; return where the body begins."""
    asked = request.headers.get("Range")
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
    if start >= len(BODY):
        request.send_error(416)
        return len(BODY)
    request.send_response(206 if asked else 200)
    if asked:
        request.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
    for name, value in {"Content-Length": len(BODY) - start, "ETag": '"one"', **headers}.items():
        request.send_header(name.replace("_", "-"), str(value))
    request.end_headers()
    return start


def honest(request: BaseHTTPRequestHandler, turn: int) -> None:
    request.wfile.write(BODY[begin(request) :])


def breaks_off(request: BaseHTTPRequestHandler, turn: int) -> None:
    """Half a megabyte at most each time, then the line goes dead."""
    start = begin(request)
    request.wfile.write(BODY[start : start + 500_000])


def ignores_range(request: BaseHTTPRequestHandler, turn: int) -> None:
    del request.headers["Range"]
    if turn == 1:
        breaks_off(request, turn)
    else:
        honest(request, turn)


def sends_all_as_a_part(request: BaseHTTPRequestHandler, turn: int) -> None:
    """Breaks off once; asked for the rest, it answers 206 with the whole."""
    if turn == 1:
        breaks_off(request, turn)
        return
    request.send_response(206)
    request.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
    request.send_header("Content-Length", str(len(BODY)))
    request.end_headers()
    request.wfile.write(BODY)


def wrong_bytes(request: BaseHTTPRequestHandler, turn: int) -> None:
    request.wfile.write(b"?" * (len(BODY) - begin(request)))


def promises_more(request: BaseHTTPRequestHandler, turn: int) -> None:
    start = begin(request, **{"Content-Length": len(BODY) + 10})
    request.wfile.write(BODY[start:])


def promises_less(request: BaseHTTPRequestHandler, turn: int) -> None:
    request.wfile.write(BODY[begin(request, **{"Content-Length": len(BODY) - 10}) :])


def says_nothing_of_length(request: BaseHTTPRequestHandler, turn: int) -> None:
    request.send_response(200)
    request.end_headers()
    request.wfile.write(BODY)


def answers(code: int, times: int = 100) -> Callable[[BaseHTTPRequestHandler, int], None]:
    def behave(request: BaseHTTPRequestHandler, turn: int) -> None:
        request.send_error(code) if turn <= times else honest(request, turn)

    return behave


def sleeps_once(request: BaseHTTPRequestHandler, turn: int) -> None:
    if turn == 1:
        time.sleep(1.0)
    else:
        honest(request, turn)


def changes_midway(request: BaseHTTPRequestHandler, turn: int) -> None:
    """After the first break the file at the address is another one; If-Range notices."""
    if turn == 1:
        breaks_off(request, turn)
    else:
        if request.headers.get("If-Range") == '"one"':
            del request.headers["Range"]
        start = begin(request, ETag='"two"')
        request.wfile.write(BODY[::-1][start:])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()


def get(server: Server, path: Path, digest: str | None = MD5, **options: object) -> Path:
    return fetch(server.url, path, digest, **{"pause": 0.01, "timeout": 5, **options})


@pytest.mark.parametrize("digest", [MD5, SHA256])
def test_an_honest_server(server: Server, tmp_path: Path, digest: str) -> None:
    path = get(server, tmp_path / "new" / "body.zip", digest, size=len(BODY))
    assert path.read_bytes() == BODY
    assert not path.with_name("body.zip.part").exists()


def test_a_broken_line_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.behave = breaks_off
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY
    assert server.ranges == [None, "bytes=500000-", "bytes=1000000-"]


def test_a_later_call_goes_on_with_the_piece(server: Server, tmp_path: Path) -> None:
    server.behave = breaks_off
    with pytest.raises(DataError, match=r"500,000 of 1,280,000 bytes"):
        get(server, tmp_path / "body.zip", tries=1)
    assert (tmp_path / "body.zip.part").stat().st_size == 500_000
    server.behave = honest
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY
    assert server.ranges[-1] == "bytes=500000-"


@pytest.mark.parametrize("piece", [b"?" * 1000, BODY + b"longer than the file"])
def test_a_piece_of_another_file_is_noticed(server: Server, tmp_path: Path, piece: bytes) -> None:
    (tmp_path / "body.zip.part").write_bytes(piece)
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY


def test_a_complete_piece_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "body.zip.part").write_bytes(BODY)
    path = fetch("http://127.0.0.1:9/body.zip", tmp_path / "body.zip", MD5, tries=1)
    assert path.read_bytes() == BODY


def test_a_server_that_ignores_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.behave = ignores_range
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY


def test_a_server_that_sends_another_part_begins_again(server: Server, tmp_path: Path) -> None:
    server.behave = sends_all_as_a_part
    assert get(server, tmp_path / "body.zip", None).read_bytes() == BODY


def test_wrong_bytes_never_take_the_name(server: Server, tmp_path: Path) -> None:
    server.behave = wrong_bytes
    with pytest.raises(DataError, match="md5:") as caught:
        get(server, tmp_path / "body.zip")
    assert MD5 in str(caught.value)
    assert str(tmp_path / "body.zip") in str(caught.value)
    assert sorted(p.suffix for p in tmp_path.iterdir()) in ([], [".lock"])


@pytest.mark.parametrize("lie", [promises_more, promises_less])
def test_a_lie_about_the_length(
    server: Server, tmp_path: Path, lie: Callable[[BaseHTTPRequestHandler, int], None]
) -> None:
    server.behave = lie
    with pytest.raises(DataError):
        get(server, tmp_path / "body.zip", tries=2)
    with pytest.raises(DataError, match="offers"):
        get(server, tmp_path / "body.zip", tries=2, size=len(BODY))
    assert not (tmp_path / "body.zip").exists()


def test_no_length_at_all(server: Server, tmp_path: Path) -> None:
    server.behave = says_nothing_of_length
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY


def test_another_size_than_published_is_refused_before_it_comes(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"offers 1,280,000 bytes, expected 5"):
        get(server, tmp_path / "body.zip", size=5)


def test_a_missing_file_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    server.behave = answers(404)
    with pytest.raises(DataError, match="HTTP 404"):
        get(server, tmp_path / "body.zip")
    assert len(server.ranges) == 1


def test_a_troubled_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.behave = answers(503, times=2)
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY
    server.behave = answers(500)
    with pytest.raises(DataError, match="HTTP 500"):
        get(server, tmp_path / "other.zip", tries=3)


def test_a_silent_server_is_left_and_asked_again(server: Server, tmp_path: Path) -> None:
    server.behave = sleeps_once
    assert get(server, tmp_path / "body.zip", timeout=0.3).read_bytes() == BODY
    assert len(server.ranges) == 2


def test_offline_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        fetch("http://127.0.0.1:9/x.zip", tmp_path / "x.zip", MD5, tries=2, pause=0.01)
    for part in ("http://127.0.0.1:9/x.zip", MD5, str(tmp_path / "x.zip")):
        assert part in str(caught.value)


def test_a_file_put_there_by_hand_is_used_if_it_is_right(tmp_path: Path) -> None:
    path = tmp_path / "body.zip"
    path.write_bytes(BODY)
    assert fetch("http://127.0.0.1:9/body.zip", path, MD5) == path
    path.write_bytes(b"not it")
    with pytest.raises(DataError, match="move it away"):
        fetch("http://127.0.0.1:9/body.zip", path, MD5)
    assert path.read_bytes() == b"not it"  # a user's file is never touched


def test_without_a_published_hash_the_first_one_is_kept(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = get(server, tmp_path / "body.zip", None)
    assert SHA256 in capsys.readouterr().err
    assert (tmp_path / "body.zip.sha256").read_text().strip() == SHA256
    get(server, path, None)
    path.write_bytes(BODY[:-1])
    with pytest.raises(DataError, match="move it away"):
        get(server, path, None)


def test_without_a_published_hash_an_old_piece_is_not_trusted(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "body.zip.part").write_bytes(b"?" * 1000)
    assert get(server, tmp_path / "body.zip", None).read_bytes() == BODY
    assert server.ranges == [None]


def test_without_a_published_hash_a_changed_file_is_not_mixed(
    server: Server, tmp_path: Path
) -> None:
    server.behave = changes_midway
    assert get(server, tmp_path / "body.zip", None).read_bytes() == BODY[::-1]
    assert server.conditions[:2] == [None, '"one"']


def test_two_processes_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    def takes_its_time(request: BaseHTTPRequestHandler, turn: int) -> None:
        time.sleep(1.0)
        honest(request, turn)

    server.behave = takes_its_time
    script = (
        "import sys; from pathlib import Path; from contriever_lite.download import fetch;"
        "fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    )
    command = [sys.executable, "-c", script, server.url, str(tmp_path / "body.zip"), MD5]
    runs = [subprocess.Popen(command) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]
    assert (tmp_path / "body.zip").read_bytes() == BODY
    assert len(server.ranges) == 1


def test_killed_in_the_middle_and_resumed(server: Server, tmp_path: Path) -> None:
    def stalls(request: BaseHTTPRequestHandler, turn: int) -> None:
        start = begin(request)
        request.wfile.write(BODY[start : start + 600_000])
        request.wfile.flush()
        time.sleep(5 if turn == 1 else 0)
        request.wfile.write(BODY[start + 600_000 :])

    server.behave = stalls
    script = (
        "import sys; from pathlib import Path; from contriever_lite.download import fetch;"
        "fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3])"
    )
    part = tmp_path / "body.zip.part"
    run = subprocess.Popen(
        [sys.executable, "-c", script, server.url, str(tmp_path / "body.zip"), MD5]
    )
    end = time.monotonic() + 30
    while time.monotonic() < end and not (part.exists() and part.stat().st_size >= 262_144):
        time.sleep(0.02)
    run.kill()
    run.wait(10)
    got = part.stat().st_size
    assert got >= 262_144
    assert not (tmp_path / "body.zip").exists()
    assert get(server, tmp_path / "body.zip").read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={got}-"


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def make_tar(path: Path, *members: tarfile.TarInfo, data: bytes = b"text") -> Path:
    with tarfile.open(path, "w:gz") as file:
        for member in members:
            member.size = len(data) if member.isreg() else 0
            file.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_zip_and_tar_come_out_alike(tmp_path: Path, folder: Path) -> None:
    unpack(make_zip(tmp_path / "a.zip", {"a/b.txt": b"text", "a/": b""}), folder, strip="a")
    unpack(make_tar(tmp_path / "c.tar.gz", tarfile.TarInfo("./c/d.txt")), folder)
    assert (folder / "b.txt").read_bytes() == (folder / "c/d.txt").read_bytes() == b"text"
    (tmp_path / "one.json").write_text("{}")
    unpack(tmp_path / "one.json", folder)
    assert (folder / "one.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "a\\..\\x", "C:x", ".."])
def test_paths_that_leave_the_folder(tmp_path: Path, folder: Path, name: str) -> None:
    with pytest.raises(DataError, match="leave its folder"):
        unpack(make_zip(tmp_path / "a.zip", {name: b"x"}), folder)
    with pytest.raises(DataError, match="leave its folder"):
        unpack(make_tar(tmp_path / "a.tar.gz", tarfile.TarInfo(name)), folder)
    assert [p.name for p in tmp_path.iterdir() if p.name == "x"] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, folder: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match="link or device"):
        unpack(make_tar(tmp_path / "a.tar.gz", member), folder)
    assert not any(folder.iterdir())


def test_a_link_in_a_zip(tmp_path: Path, folder: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link or device"):
        unpack(tmp_path / "a.zip", folder)


def test_bombs(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = b"\0" * 30_000_000
    bomb = make_zip(tmp_path / "bomb.zip", {"zeros": zeros}, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="200 times"):
        unpack(bomb, folder)
    assert (folder / "zeros").stat().st_size <= 200 * bomb.stat().st_size
    with pytest.raises(DataError, match="200 times"):
        unpack(make_tar(tmp_path / "b.tar.gz", tarfile.TarInfo("z"), data=zeros), folder)
    monkeypatch.setattr(unpacking, "MEMBERS", 3)
    with pytest.raises(DataError, match="more than 3 files"):
        unpack(make_zip(tmp_path / "many.zip", {f"m{i}": b"x" for i in range(4)}), folder)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a", "1")
        file.writestr("./a", "2")
    with pytest.raises(DataError, match="twice"):
        unpack(tmp_path / "a.zip", folder)
    make_zip(tmp_path / "b.zip", {"f": b"1", "f/g": b"2"})
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path / "b.zip", folder)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archives(tmp_path: Path, folder: Path, name: str) -> None:
    path, data = tmp_path / name, os.urandom(100_000)
    if name == "a.zip":
        make_zip(path, {"a": data})
    else:
        make_tar(path, tarfile.TarInfo("a"), data=data)
    whole = path.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="damaged"):
            unpack(path, folder)
        for left in folder.iterdir():
            left.unlink()
