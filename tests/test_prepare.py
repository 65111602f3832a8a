"""Preparing a corpus: the same bytes however it is done, in little memory, whole or not at all."""

import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synthetic

from contriever_lite import corpus as corpus_module
from contriever_lite import prepare
from contriever_lite.beir_writer import write_beir
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.prepare import learn_tokenizer, prepare_corpus
from contriever_lite.tokens import train_tokenizer

WORLD = [(d["title"], d["text"]) for d in synthetic.world().corpus.values()]
TOKENIZER = synthetic.corpus().tokenizer


def lines(pairs: list[tuple[str, str]]) -> bytes:
    return b"".join(
        json.dumps({"title": title, "text": text}).encode() + b"\n" for title, text in pairs
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """The synthetic documents and an empty one, in a file of each kind and a folder."""
    packers = {".jsonl": bytes, ".jsonl.gz": gzip.compress, ".jsonl.xz": lzma.compress,
               ".jsonl.bz2": bz2.compress}  # fmt: skip
    for number, (ending, pack) in enumerate(packers.items()):
        (tmp_path / f"part{ending}").write_bytes(pack(lines(WORLD[number * 30 :][:30])))
    write_beir(synthetic.world(), tmp_path / "world")
    return [*(tmp_path / f"part{ending}" for ending in packers), tmp_path / "world"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [500, 1 << 20])
def test_the_folder_is_the_one_that_build_corpus_saves(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, size: int
) -> None:
    """Byte for byte, whatever the workers and the batches."""
    expected = build_corpus(WORLD + WORLD, TOKENIZER).save(tmp_path / "expected")
    monkeypatch.setattr(corpus_module, "BATCH", size)
    made = prepare_corpus(sources, tmp_path / "made", TOKENIZER, workers)
    assert content(tmp_path / "made") == content(expected)
    assert made.tokens.tolist() == Corpus.open(expected, verify=True).tokens.tolist()
    assert isinstance(made.tokens, np.memmap)


def test_a_vocabulary_learnt_from_a_stream_is_that_of_the_list(
    sources: list[Path], tmp_path: Path
) -> None:
    expected = train_tokenizer([f"{title} {text}" for title, text in WORLD], 400)
    assert learn_tokenizer(sources[-1:], 400).to_str() == expected.to_str()
    assert learn_tokenizer(sources[:-1], 400).to_str() == expected.to_str()


def test_a_vocabulary_is_learnt_from_an_equal_share_of_each_source(tmp_path: Path) -> None:
    texts = {"a": ["one", "two", "three"], "b": ["four", "five", "six"]}
    files = []
    for name, words in texts.items():
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_bytes(lines([("", word) for word in words]))
    some = learn_tokenizer(files, 100, characters=10)
    assert some.to_str() == train_tokenizer([" one", " two", " four", " five"], 100).to_str()
    with pytest.raises(ConfigError, match="learn from: 0; allowed: 1 or more"):
        learn_tokenizer(files, 100, characters=0)


def test_memory_holds_a_few_batches_however_many_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an endless stream, no more batches are taken than are waited for."""
    taken = 0

    def endless() -> Iterator[list[tuple[str, str]]]:
        nonlocal taken
        while True:
            taken += 1
            yield [("", f"{taken}")]

    file = tmp_path / "tokenizer.json"
    TOKENIZER.save(str(file))
    for workers, most in ((1, 1), (2, 5)):
        taken = 0
        parts = prepare._tokenised(endless(), file, workers)
        for number in range(1, 8):
            tokens, lengths, titles = next(parts)
            assert TOKENIZER.decode(tokens.tolist()).replace(" ", "") in ("", str(number))
            assert (len(lengths), titles.tolist()) == (1, [0])
            assert taken < number + most
        parts.close()


def test_nothing_is_left_of_a_source_with_a_bad_line(sources: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(lines(WORLD[:3]) + b'{"text": 3}\n{broken\n')
    before = set(tmp_path.iterdir())
    for workers in (1, 2):
        with pytest.raises(DataError, match="2 faults") as error:
            prepare_corpus([sources[0], bad], tmp_path / "made", TOKENIZER, workers)
        assert f"{bad}:4: needs a string `text`" in str(error.value)
        assert f"{bad}:5: not a line of JSON" in str(error.value)
    with pytest.raises(DataError, match="2 faults"):
        learn_tokenizer([bad])
    assert set(tmp_path.iterdir()) == before


def test_what_cannot_be_done_is_refused_before_reading(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contriever_lite.documents.json_objects", lambda *_: pytest.fail("read"))
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        prepare_corpus([sources[0], tmp_path / "none.jsonl"], tmp_path / "made", TOKENIZER)
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        learn_tokenizer([sources[0], tmp_path / "none.jsonl"])
    with pytest.raises(ConfigError, match="workers is 0; allowed: 1 or more"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, workers=0)
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="mine exists already"):
        prepare_corpus(sources, tmp_path / "mine", TOKENIZER)
    assert not (tmp_path / "made").exists()


def test_sources_without_a_document_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"there are no documents in .*empty\.jsonl"):
            prepare_corpus([tmp_path / "empty.jsonl"], tmp_path / "made", TOKENIZER, workers)
    assert not (tmp_path / "made").exists()


def test_documents_without_a_word_alone_make_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([("", ""), ("", " ")]))
    with pytest.warns(UserWarning, match="2 of 2 documents have neither"):
        made = prepare_corpus([tmp_path / "a.jsonl"], tmp_path / "made", TOKENIZER)
    assert made.lengths.tolist() == [0, 0]


def _die(*_: object) -> None:
    os._exit(1)


def test_a_worker_that_dies_is_told_of(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_tokenise", _die)
    with pytest.raises(ConfigError, match=r"one of 2 workers died.* --workers 1"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, workers=2)
    assert not (tmp_path / "made").exists()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


def heeding_interrupts() -> None:
    """A process that a shell starts in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_ending_it_ends_its_workers_and_leaves_no_corpus(tmp_path: Path, blow: int) -> None:
    source = tmp_path / "long.jsonl"
    source.write_bytes(lines(WORLD) * 1600)
    words = ["prepare", str(source), "--out", "made", "--workers", "2", "--vocab-characters", "1"]
    command = [sys.executable, "-m", "contriever_lite.cli", *words]
    errors = tmp_path / "errors"
    with open(errors, "wb") as file:
        process = subprocess.Popen(
            command, cwd=tmp_path, stderr=file, preexec_fn=heeding_interrupts
        )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: any(path.stat().st_size > 128 for path in tmp_path.glob(".made*/*/tokens.npy")))
    workers = [int(child) for child in children.read_text().split()]
    assert len(workers) >= 2
    process.send_signal(blow)
    assert process.wait(60) == (130 if blow == signal.SIGINT else -signal.SIGKILL)
    assert not (tmp_path / "made").exists()
    until(lambda: not any(map(alive, workers)))
    if blow == signal.SIGINT:
        assert errors.read_text() == "contriever-lite: stopped\n"
        assert {path.name for path in tmp_path.iterdir()} == {"long.jsonl", "errors"}
