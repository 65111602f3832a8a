"""Documents of every kind of source, streamed: nothing read before it is asked for."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import synthetic

from contriever_lite.beir_writer import write_beir
from contriever_lite.collection import load_collection
from contriever_lite.documents import SUFFIXES, locate_documents, stream_documents
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
    with pytest.raises(DataError, match=r"notes.txt is not JSON lines by its name; allowed: .*zst"):
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
