"""Names: what they mean, where they are looked for, how they arrive, or why they do not."""

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contriever_lite import registry
from contriever_lite.catalogue import Entry
from contriever_lite.check import check
from contriever_lite.collection import load_collection
from contriever_lite.convert import CONVERTERS
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.registry import REGISTRY, find, get, info, locate, names_a_folder, overview
from contriever_lite.wikipedia import NAMES

PARTS = {
    "corpus.jsonl": '{"_id": "a", "title": "A", "text": "first"}\n',
    "queries.jsonl": '{"_id": "q", "text": "one"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\ta\t1\n",
}


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A public home of our own: a folder and its address."""
    folder = tmp_path / "home"
    folder.mkdir()
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder)))
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CONTRIEVER_LITE_DATA", raising=False)
    monkeypatch.setenv("CONTRIEVER_LITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zip_of(path: Path, *folders: str) -> str:
    with zipfile.ZipFile(path, "w") as file:
        for folder in folders:
            for name, text in PARTS.items():
                file.writestr(f"{folder}/{name}", text)
    return "md5:" + hashlib.md5(path.read_bytes()).hexdigest()


def pretend(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> Entry:
    entry = replace(REGISTRY[name], **changes)
    monkeypatch.setitem(REGISTRY, name, entry)
    return entry


def test_the_catalogue_is_whole() -> None:
    assert len(REGISTRY) == 6 + 1 + 4 + 14 + 12
    for name, entry in REGISTRY.items():
        assert entry.name == name
        assert min(entry.documents, entry.queries, entry.judgements) > 0
        assert all((entry.what, entry.licence, entry.citation))
        if entry.digest:
            kind, _, value = entry.digest.partition(":")
            assert len(bytes.fromhex(value)) == {"md5": 16, "sha256": 32}[kind]
        assert (entry.url is None) == (name in NAMES or name == "tiny")
        assert entry.converter is None or entry.converter in CONVERTERS
        assert all(len(bytes.fromhex(digest)) == 32 for digest in entry.content.values())
    assert REGISTRY["msmarco"].split == "dev"
    assert len({e.archive for e in REGISTRY.values() if e.unit == "cqadupstack"}) == 1


def test_the_readme_of_the_data_speaks_of_every_set() -> None:
    text = (Path(__file__).resolve().parents[1] / "data" / "README.md").read_text(encoding="utf-8")
    for entry in REGISTRY.values():
        assert entry.unit.removesuffix("-noyears").removesuffix("-fr").removesuffix("-es") in text


def test_embedded_counts_are_those_of_the_data() -> None:
    for name in ("wikipedia-vital", "wikipedia-vital-es-noyears"):
        collection = load_collection(name)
        assert len(collection.corpus) == REGISTRY[name].documents
        assert len(collection.queries) == REGISTRY[name].queries


@pytest.mark.parametrize(
    ("name", "hint"),
    [("scifat", "scifact"), ("wikipedia", "wikipedia-vital"), ("cqadupstack", "cqadupstack/"),
     ("cqadupstack/androd", "cqadupstack/android"), ("zzz", "data list"), ("", "data list")],
)  # fmt: skip
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        find(name)
    with pytest.raises(ConfigError):
        load_collection(name)


def test_a_beir_zip_arrives(
    home: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = home
    digest = zip_of(folder / "nfcorpus.zip", "nfcorpus")
    size = (folder / "nfcorpus.zip").stat().st_size
    pretend(monkeypatch, "nfcorpus", url=f"{address}/nfcorpus.zip", digest=digest, size=size)
    assert "to download" in info("nfcorpus")
    assert get("nfcorpus") == cache / "nfcorpus"
    assert load_collection("nfcorpus").texts() == ["A first"]
    assert load_collection("nfcorpus").name == "nfcorpus"
    (folder / "nfcorpus.zip").unlink()
    assert get("nfcorpus") == cache / "nfcorpus"  # not asked for again
    assert "1 documents" in info("nfcorpus")


def test_forums_share_one_archive(
    home: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = home
    digest = zip_of(folder / "cqadupstack.zip", "cqadupstack/android", "cqadupstack/gis")
    for name in ("android", "gis", "tex"):
        pretend(monkeypatch, f"cqadupstack/{name}", url=f"{address}/cqadupstack.zip",
                digest=digest, size=None)  # fmt: skip
    assert load_collection("cqadupstack/android").name == "cqadupstack/android"
    (folder / "cqadupstack.zip").unlink()
    assert get("cqadupstack/gis") == cache / "cqadupstack" / "gis"
    with pytest.raises(DataError, match="without cqadupstack/tex"):
        get("cqadupstack/tex")


def test_a_conversion_arrives_and_is_compared_with_the_record(
    home: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = home
    files = {"cran.all.1400": ".I 1\n.T\nkites\n.W\nkites fly\n.I 2\n.T\n.W\n",
             "cran.qry": ".I 9\n.W\nwhat flies\n", "cranqrel": "1 1 -1\n"}  # fmt: skip
    with tarfile.open(folder / "cran.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    pretend(monkeypatch, "cranfield", url=f"{address}/cran.tar.gz", digest=None, size=None)
    with pytest.warns(UserWarning, match=r"not to the content on record(.|\n)*corpus\.jsonl"):
        get("cranfield")
    with pytest.warns(UserWarning, match="1 of 2 documents"):
        collection = load_collection("cranfield")
    assert collection.queries == {"1": "what flies"}
    assert (cache / "downloads" / "cranfield.tar.gz.sha256").is_file()
    assert sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock")) == [
        "cranfield", "downloads"]  # fmt: skip


@pytest.mark.parametrize("broken", [b"", b"nonsense"])
def test_a_broken_archive_leaves_no_collection(
    home: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    folder, address = home
    (folder / "fiqa.zip").write_bytes(broken)
    pretend(monkeypatch, "fiqa", url=f"{address}/fiqa.zip", digest=None, size=None)
    with pytest.raises(DataError, match="damaged"):
        get("fiqa")
    assert not (cache / "fiqa").exists()


def test_offline_a_file_put_there_by_hand_is_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    digest = zip_of(tmp_path / "x.zip", "arguana")
    url = "http://127.0.0.1:9/arguana.zip"
    pretend(monkeypatch, "arguana", url=url, digest=digest, size=None)
    monkeypatch.setattr(registry, "fetch", partial(registry.fetch, tries=1))
    with pytest.raises(DataError) as caught:
        get("arguana")
    place = cache / "downloads" / "arguana.zip"
    assert all(word in str(caught.value) for word in (url, digest, str(place)))
    place.write_bytes((tmp_path / "x.zip").read_bytes())
    assert load_collection("arguana").queries == {"q": "one"}
    assert place.is_file()  # what a user put there stays


def test_two_processes_get_one_collection(
    home: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = home
    digest = zip_of(folder / "quora.zip", "quora")
    script = (
        "from dataclasses import replace; from contriever_lite.registry import *;"
        f"REGISTRY['quora'] = replace(REGISTRY['quora'], url='{address}/quora.zip',"
        f" digest='{digest}', size=None); print(get('quora'))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)
    ]
    assert {run.communicate(timeout=60)[0].decode().strip() for run in runs} == {
        str(cache / "quora")}  # fmt: skip
    assert check(cache / "quora").documents == 1


def test_the_users_data_folder_comes_first(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zip_of(tmp_path / "x.zip", "scifact")
    for place in (cache, tmp_path / "mine" / "collections"):
        with zipfile.ZipFile(tmp_path / "x.zip") as file:
            file.extractall(place)
    assert locate("scifact") == cache / "scifact"
    monkeypatch.setenv("CONTRIEVER_LITE_DATA", str(tmp_path / "mine"))
    assert locate("scifact") == tmp_path / "mine" / "collections" / "scifact"
    assert locate("fiqa") is None
    monkeypatch.setenv("CONTRIEVER_LITE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"CONTRIEVER_LITE_DATA is .*nowhere"):
        locate("scifact")


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert registry.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("CONTRIEVER_LITE_CACHE")
    checkout = registry.repository()
    assert checkout is not None
    assert registry.cache_folder() == checkout / "data" / "cache"
    monkeypatch.setattr(registry, "repository", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert registry.cache_folder() == tmp_path / "contriever-lite"


def test_tiny_outside_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "repository", lambda: None)
    with pytest.raises(DataError, match="clone"):
        get("tiny")
    assert "clone" in registry.state("tiny")


def test_an_embedded_collection_as_a_folder(cache: Path) -> None:
    folder = get("wikipedia-vital-es-noyears")
    report = check(folder)
    assert (report.documents, report.queries) == (6_101, 1_942 + 1_900)
    assert list(report.splits) == ["dev", "test"]
    assert locate("wikipedia-vital-es-noyears") == folder


def test_overview_and_info_speak_of_everything() -> None:
    lines = overview()
    for name in REGISTRY:
        assert name in lines
    for word in ("5,183", "md5:5f7d1de60b170fc8027bb7898e2efca1", "CC BY 4.0", "scifact.zip"):
        assert word in info("scifact")
    assert "embedded" in info("wikipedia-vital")
    assert "identical" not in info("tiny")


def test_importing_needs_no_heavy_library() -> None:
    heavy = [n for n in ("torch", "transformers", "pandas") if importlib.util.find_spec(n)]
    script = (
        "import contriever_lite.collection, sys;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert run.stdout.strip() == "[]"


def test_a_path_or_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of the registry stays one beside a folder called so, unless written as a path."""
    monkeypatch.chdir(tmp_path)
    for folder in ("scifact", "mine"):
        Path(folder).mkdir()
    for source in (Path("scifact"), Path("nowhere"), "./scifact", "/nowhere", "mine"):
        assert names_a_folder(source)
    for source in ("scifact", "scifakt", "", "tiny"):
        assert not names_a_folder(source)
