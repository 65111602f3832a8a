"""Documents of every kind of source, streamed: nothing read before it is asked for."""

import gzip
import io
import json
import lzma
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import synthetic
from tqdm import tqdm

from contriever_lite.beir_writer import write_beir
from contriever_lite.collection import load_collection
from contriever_lite.documents import SUFFIXES, Fields, locate_documents, stream_documents
from contriever_lite.errors import ConfigError, DataError

PAIRS = [(d["title"], d["text"]) for d in synthetic.world().corpus.values()]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_beir(synthetic.world(), tmp_path / "world")
    return tmp_path / "world"


def test_a_folder_needs_no_more_than_its_corpus(world: Path) -> None:
    assert list(stream_documents(world)) == PAIRS
    assert list(stream_documents(str(world))) == PAIRS
    (world / "queries.jsonl").write_text("{broken")
    shutil.rmtree(world / "qrels")
    assert list(stream_documents(world)) == PAIRS
    assert list(stream_documents(world / "corpus.jsonl")) == PAIRS


@pytest.mark.parametrize("name", ["tiny", "wikipedia-vital-fr"])
def test_a_name_gives_the_documents_of_its_collection(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRIEVER_LITE_CACHE", str(tmp_path / "cache"))
    expected = load_collection(name).corpus.values()
    assert list(stream_documents(name)) == [(d["title"], d["text"]) for d in expected]
    assert not (tmp_path / "cache").exists()


def test_a_source_is_looked_up_at_once_and_read_later(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with pytest.raises(DataError, match="there is no file"):
        stream_documents(path)
    path.write_text('{"text": "first"}\n{broken\n{"text": 3}\n{"text": "second"}\n')
    stream = stream_documents(path)
    assert next(stream) == ("", "first")
    assert next(stream) == ("", "second"), "faults are gathered on the way"
    with pytest.raises(DataError, match="2 faults") as error:
        next(stream)
    assert f"{path}:2: not a line of JSON" in str(error.value)
    assert f"{path}:3: needs a string `text`" in str(error.value)


def test_what_is_no_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("some text")
    with pytest.raises(DataError, match=r"notes\.txt is neither JSON lines nor parquet .*zst"):
        locate_documents("notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no corpus\.jsonl"):
        locate_documents("empty")
    for place in ("./nowhere", "/nowhere", Path("nowhere"), Path("scifact")):
        with pytest.raises(DataError, match=r"no folder .*nowhere|no folder scifact"):
            locate_documents(place)
    with pytest.raises(ConfigError, match="Did you mean scifact"):
        locate_documents("scifac")
    with pytest.raises(ConfigError, match="no collection ''"):
        locate_documents("")
    for suffix in SUFFIXES:
        with pytest.raises(DataError, match="there is no file"):
            locate_documents(f"nowhere{suffix}")


def test_documents_without_a_word_are_kept_and_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    records = [{"text": ""}, {"title": " ", "text": "\n"}, {"title": "t", "text": ""}]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.warns(UserWarning, match="2 of 3 documents have neither title nor text"):
        assert list(stream_documents(path)) == [("", ""), (" ", "\n"), ("t", "")]
    path.write_text('{"text": "a word"}\n')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(stream_documents(path)) == [("", "a word")]


def table(path: Path, rows: list[dict], group: int = 7) -> Path:
    parquet = pytest.importorskip("pyarrow.parquet")
    from pyarrow import Table

    parquet.write_table(Table.from_pylist(rows), path, row_group_size=group)
    return path


ROWS = [{"title": title, "text": text, "id": n} for n, (title, text) in enumerate(PAIRS)]


def test_parquet_gives_what_json_lines_give(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", ROWS)
    bar = tqdm(disable=False, total=path.stat().st_size, file=io.StringIO())
    assert list(stream_documents(path, bar=bar)) == PAIRS
    assert round(bar.n) == path.stat().st_size
    untitled = table(tmp_path / "b.parquet", [{"text": text} for _, text in PAIRS])
    assert list(stream_documents(str(untitled))) == [("", text) for _, text in PAIRS]


def test_fields_of_other_names(tmp_path: Path) -> None:
    rows = [{"raw": text, "head": title, "text": 3} for title, text in PAIRS]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (lines, table(tmp_path / "a.parquet", rows)):
        assert list(stream_documents(path, Fields("raw", "head"))) == PAIRS
        assert list(stream_documents(path, Fields("raw"))) == [("", text) for _, text in PAIRS]
    with pytest.raises(DataError, match=r"no column 'body', only raw, head, text; .*--text-field"):
        list(stream_documents(tmp_path / "a.parquet", Fields("body")))
    with pytest.raises(DataError, match="needs a string `body`"):
        list(stream_documents(lines, Fields("body")))


def test_faults_of_parquet_name_the_row(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": None}, {"text": "three"}]
    with pytest.raises(DataError, match=r"a\.parquet:2: needs a string `text`"):
        list(stream_documents(table(tmp_path / "a.parquet", rows)))
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[:-9])
    with pytest.raises(DataError, match=r"cut\.parquet:1: the parquet file is cut short or dam"):
        list(stream_documents(tmp_path / "cut.parquet"))


def test_shards_of_a_folder_and_of_a_pattern_are_read_by_name(tmp_path: Path) -> None:
    shards = tmp_path / "web"
    shards.mkdir()
    (shards / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[10:20]))
    table(shards / "a.parquet", ROWS[:10])
    packed = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS[20:]).encode())
    (shards / "c.jsonl.gz").write_bytes(packed)
    (shards / "README.md").write_text("# a web corpus")
    assert list(stream_documents(shards)) == PAIRS
    assert [path.name for path in locate_documents(shards)] == [
        "a.parquet",
        "b.jsonl",
        "c.jsonl.gz",
    ]
    assert list(stream_documents(f"{tmp_path}/*/[bc].*")) == PAIRS[10:]
    with pytest.raises(DataError, match="neither JSON lines nor parquet"):
        stream_documents(f"{shards}/*")
    with pytest.raises(DataError, match=r"no file matches '.*none\*'"):
        stream_documents(f"{shards}/none*")


def test_a_bar_may_be_shared_by_files(tmp_path: Path) -> None:
    sizes = []
    for name in ("a", "b"):
        content = lzma.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode())
        (tmp_path / f"{name}.jsonl.xz").write_bytes(content)
        sizes.append(len(content))
    bar = tqdm(disable=False, total=sum(sizes), file=io.StringIO())
    assert len(list(stream_documents(tmp_path, bar=bar))) == 2 * len(PAIRS)
    assert bar.n == sum(sizes)


def test_a_hub_data_set_is_streamed(tmp_path: Path) -> None:
    """A folder stands in for the hub: `datasets` takes either by the same name."""
    pytest.importorskip("datasets")
    table(tmp_path / "train.parquet", ROWS)
    stream = stream_documents(f"hub:{tmp_path}")
    assert next(stream) == PAIRS[0]
    assert [PAIRS[0], *stream] == PAIRS
    assert locate_documents(f"hub:{tmp_path}") == []
    with pytest.raises(DataError, match=r"cannot open hub:.*::none: .*HF_HUB_OFFLINE"):
        stream_documents(f"hub:{tmp_path}::none")


def test_the_hub_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    opened = mock.Mock(side_effect=ConnectionError("no route"))
    monkeypatch.setattr(datasets, "load_dataset", opened)
    with pytest.raises(DataError, match=r"open hub:a/b:one:dev: no route\. .*needs a network"):
        stream_documents("hub:a/b:one:dev")
    opened.assert_called_once_with("a/b", "one", split="dev", streaming=True)

    def breaking(*_: object, **__: object) -> Iterator[dict]:
        yield {"text": "one"}
        raise TimeoutError("the line went dead")

    monkeypatch.setattr(datasets, "load_dataset", breaking)
    stream = stream_documents("hub:some/set")
    assert next(stream) == ("", "one")
    with pytest.raises(ConnectionError, match="hub:some/set broke off after row 1: the line"):
        next(stream)


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [("datasets", "hub:some/set", "hub"), ("pyarrow", "a.parquet", "parquet")],
)
def test_a_missing_package_is_named(
    package: str, source: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.parquet").touch()
    for module in (package, f"{package}.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=rf"pip install 'contriever-lite\[{extra}\]'"):
        list(stream_documents(source))


def test_a_folder_whose_name_looks_like_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "spark.parquet"
    folder.mkdir()
    table(folder / "part-0.parquet", ROWS)
    assert list(stream_documents(str(folder))) == PAIRS
