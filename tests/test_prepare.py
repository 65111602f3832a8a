"""Preparing a corpus: the same bytes however it is done, in little memory, whole or not at all."""

import bz2
import errno
import gzip
import itertools
import json
import lzma
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import synthetic
from filelock import FileLock
from tokenizers import Tokenizer

from contriever_lite import corpus as corpus_module
from contriever_lite import tokenising
from contriever_lite.beir_writer import write_beir
from contriever_lite.corpus import Corpus, build_corpus, tokenise
from contriever_lite.corpus_writer import CorpusWriter
from contriever_lite.documents import Fields, stream_documents
from contriever_lite.errors import ConfigError, DataError, SourceError
from contriever_lite.prepare import _bar, prepare_corpus
from contriever_lite.tokens import train_tokenizer
from contriever_lite.vocabulary import Vocabulary

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
    assert Vocabulary(400).learn(sources[-1:]).to_str() == expected.to_str()
    assert Vocabulary(400).learn(sources[:-1]).to_str() == expected.to_str()


def test_a_vocabulary_is_learnt_from_an_equal_share_of_each_source(tmp_path: Path) -> None:
    texts = {"a": ["one", "two", "three"], "b": ["four", "five", "six"]}
    files = []
    for name, words in texts.items():
        files.append(tmp_path / f"{name}.jsonl")
        files[-1].write_bytes(lines([("", word) for word in words]))
    some = Vocabulary(100, characters=10).learn(files)
    assert some.to_str() == train_tokenizer([" one", " two", " four", " five"], 100).to_str()
    with pytest.raises(ConfigError, match="characters = 0: must be at least 1"):
        Vocabulary(100, characters=0)


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
        parts = tokenising.tokenise_batches(endless(), file, workers)
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
        Vocabulary().learn([bad])
    assert set(tmp_path.iterdir()) == before


def test_what_cannot_be_done_is_refused_before_reading(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contriever_lite.documents.json_objects", lambda *_: pytest.fail("read"))
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        prepare_corpus([sources[0], tmp_path / "none.jsonl"], tmp_path / "made", TOKENIZER)
    with pytest.raises(DataError, match=r"there is no file .*none\.jsonl"):
        Vocabulary().learn([sources[0], tmp_path / "none.jsonl"])
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
    monkeypatch.setattr(tokenising, "_tokenise", _die)
    with pytest.raises(ConfigError, match=r"one of 2 workers died.* --workers 1"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, workers=2)
    assert not (tmp_path / "made").exists()
    monkeypatch.undo()
    made = prepare_corpus(sources, tmp_path / "made", TOKENIZER, resume=True)
    assert made.tokens.tolist() == build_corpus(WORLD * 2, TOKENIZER).tokens.tolist()


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
    until(lambda: any(path.stat().st_size > 128 for path in tmp_path.glob("made.part/tokens.npy")))
    workers = [int(child) for child in children.read_text().split()]
    assert len(workers) >= 2
    process.send_signal(blow)
    assert process.wait(60) == (130 if blow == signal.SIGINT else -signal.SIGKILL)
    until(lambda: not any(map(alive, workers)))
    if blow == signal.SIGINT:
        assert errors.read_text() == "contriever-lite: stopped\n"
    assert {path.name for path in tmp_path.iterdir()} == {"long.jsonl", "errors", "made.part"}


def in_a_process(do: Callable[[], object]) -> int:
    """Start doing it in a process of its own; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        finally:
            os._exit(0)
    return pid


def killing(function: Callable, number: int, after: bool) -> Callable:
    """The function, at whose call of this number the process is killed, before or after it."""
    calls = itertools.count(1)

    def wrapped(*arguments: object, **settings: object) -> object:
        call = next(calls)
        if call == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **settings)
        if call == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("where", "number", "after", "workers"),
    [
        ("os.fsync", 1, False, 1),
        ("os.fsync", 8, False, 1),
        ("os.replace", 3, True, 1),
        ("os.replace", 9, False, 1),
        ("os.replace", 30, True, 2),
        ("contriever_lite.corpus_writer.write_json", 12, False, 1),
        ("shutil.copyfile", 1, False, 1),
        ("contriever_lite.corpus_writer.write_manifest", 1, False, 1),
        ("os.rename", 1, False, 1),
        ("os.rename", 1, True, 1),
    ],
)
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    sources: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    number: int,
    after: bool,
    workers: int,
) -> None:
    expected = build_corpus(WORLD + WORLD, TOKENIZER).save(tmp_path / "expected")
    made, part = tmp_path / "made", tmp_path / "made.part"
    monkeypatch.setattr(corpus_module, "BATCH", 400)
    place = sources, made, TOKENIZER

    def first() -> None:
        module, _, name = where.rpartition(".")
        function = killing(getattr(sys.modules[module], name), number, after)
        setattr(sys.modules[module], name, function)
        prepare_corpus(*place, workers, resume=True, save_every=0)

    assert os.waitpid(in_a_process(first), 0)[1] == signal.SIGKILL
    if made.exists():
        assert (where, after) == ("os.rename", True), "the corpus appears whole, at last"
        with pytest.raises(ConfigError, match="made is finished: there is nothing to resume"):
            prepare_corpus(*place, resume=True)
    else:
        with pytest.raises(ConfigError, match=r"made\.part holds .* --resume, or remove it"):
            prepare_corpus(*place)
        progress = part / "progress.json"
        done = json.loads(progress.read_text())["documents"] if progress.exists() else 0
        counts = []
        monkeypatch.setattr(
            tokenising, "tokenise", lambda d, t: counts.append(len(d)) or tokenise(d, t)
        )
        prepare_corpus(*place, resume=True)
        assert sum(counts) == 2 * len(WORLD) - done, "what is done is not done again"
        assert done > 0 or number == 1
    assert content(made) == content(expected)
    assert not part.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_times_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vocabulary, tokens and the end: whenever the blow falls."""
    source, made = tmp_path / "a.jsonl", tmp_path / "made"
    source.write_bytes(lines(WORLD) * 20)
    tokenizer = Vocabulary(400).learn([source])
    expected = build_corpus(WORLD * 20, tokenizer).save(tmp_path / "expected")
    monkeypatch.setattr(corpus_module, "BATCH", 4000)
    place, draws, kills = ([source], made, Vocabulary(400)), random.Random(0), 0
    for _ in range(20):
        pid = in_a_process(lambda: prepare_corpus(*place, resume=True, save_every=0))
        time.sleep(draws.uniform(0, 0.4))
        os.kill(pid, signal.SIGKILL)
        kills += os.waitpid(pid, 0)[1] == signal.SIGKILL
        if made.exists():
            break
    if not made.exists():
        prepare_corpus(*place, resume=True)
    assert kills > 0
    assert content(made) == content(expected)


def test_going_on_with_others_is_refused_and_named(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, out_of_space = tmp_path / "made", OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(CorpusWriter, "finish", mock.Mock(side_effect=out_of_space))
        with pytest.raises(OSError, match="No space left"):
            prepare_corpus(sources, made, TOKENIZER)
    part = {path.name for path in (tmp_path / "made.part").iterdir()}
    other = Tokenizer.from_str(TOKENIZER.to_str())
    other.add_tokens(["another"])
    for changed, message in (
        ((sources[1:], made, TOKENIZER), r"source 1 = .*part\.jsonl \(1 file.s., .* there, .*gz"),
        ((sources, made, other), r"tokenizer = .* pieces, \w+ there, .* pieces, \w+ now"),
        ((sources, made, Vocabulary(400)), r"tokenizer = .* there, learnt: .*400.* now"),
    ):
        with pytest.raises(ConfigError, match=f"was made with other settings: .*{message}"):
            prepare_corpus(*changed, resume=True)
    with pytest.raises(ConfigError, match="fields = text, title there, body, title now"):
        prepare_corpus(sources, made, TOKENIZER, fields=Fields("body"), resume=True)
    sources[0].write_bytes(lines(WORLD[:29]))
    with pytest.raises(
        ConfigError, match=r"source 1 = .*5,670 b.* there, .*5,4\d\d b.* now\. Go on"
    ):
        prepare_corpus(sources, made, TOKENIZER, resume=True)
    assert {path.name for path in (tmp_path / "made.part").iterdir()} == part


def test_a_file_that_lost_its_end_is_told(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CorpusWriter, "finish", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare_corpus(sources, tmp_path / "made", TOKENIZER, save_every=0)
    part = tmp_path / "made.part"
    before = {path.name for path in part.iterdir()}
    for name, damage, message in (
        ("tokens.npy", b"", "is shorter than was noted; remove"),
        ("progress.json", b'{"docu', "is broken: .*; remove its folder"),
        ("settings.json", b"[1]", "is broken: .*; remove its folder"),
    ):
        (part / name).write_bytes(damage)
        with pytest.raises(DataError, match=message):
            prepare_corpus(sources, tmp_path / "made", TOKENIZER, resume=True)
        assert {path.name for path in part.iterdir()} >= before, "nothing is removed"


def test_two_at_once_and_a_folder_of_something_else_are_refused(
    sources: list[Path], tmp_path: Path
) -> None:
    part = tmp_path / "made.part"
    part.mkdir()
    with FileLock(part / "lock"), pytest.raises(ConfigError, match="written by another process"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, resume=True)
    (part / "letters.txt").write_text("of value")
    with pytest.raises(ConfigError, match="not an unfinished corpus: it holds letters"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, resume=True)
    (part / "settings.json").write_text("{}")
    with pytest.raises(ConfigError, match="not an unfinished corpus: it holds letters"):
        prepare_corpus(sources, tmp_path / "made", TOKENIZER, resume=True)
    assert (part / "letters.txt").read_text() == "of value"


def test_a_bar_knows_how_far_it_is(sources: list[Path], tmp_path: Path) -> None:
    bar = _bar(sources)
    files = [*sources[:-1], sources[-1] / "corpus.jsonl"]
    assert bar.total == sum(path.stat().st_size for path in files)
    for source in sources:
        list(stream_documents(source, bar=bar))
    assert bar.disable or bar.n == bar.total
    assert _bar([*sources, "wikipedia-vital"]).total is None


def test_a_hub_out_of_reach_costs_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"title": title, "text": text} for title, text in WORLD] * 20

    def breaking(*_: object, **__: object) -> Iterator[dict]:
        yield from rows[:1500]
        raise TimeoutError("the line went dead")

    monkeypatch.setattr(corpus_module, "BATCH", 1 << 12)
    monkeypatch.setattr(datasets, "load_dataset", breaking)
    out = tmp_path / "corpus"
    with pytest.raises(ConnectionError, match="broke off after row 1,500"):
        prepare_corpus(["hub:some/set"], out, TOKENIZER, save_every=0)
    (part,) = tmp_path.glob("corpus*")
    kept = json.loads((part / "progress.json").read_text())["documents"]
    assert kept > 1000
    away = mock.Mock(side_effect=ConnectionError("no route"))
    monkeypatch.setattr(datasets, "load_dataset", away)
    with pytest.raises(SourceError, match="cannot open"):
        prepare_corpus(["hub:some/set"], out, TOKENIZER, resume=True)
    assert json.loads((part / "progress.json").read_text())["documents"] == kept
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: iter(rows))
    prepare_corpus(["hub:some/set"], out, TOKENIZER, resume=True)
    assert len(Corpus.open(out)) == len(rows)
    monkeypatch.setattr(datasets, "load_dataset", away)
    with pytest.raises(SourceError, match="cannot open"):
        prepare_corpus(["hub:mis/spelt"], tmp_path / "other", TOKENIZER)
    assert not list(tmp_path.glob("other*")), "nothing was begun"


def test_another_tokenizer_of_the_same_name_is_read_anew(
    sources: list[Path], tmp_path: Path
) -> None:
    for size in (120, 300):
        out = tmp_path / "corpus"
        other = train_tokenizer([text for _, text in WORLD], size)
        prepare_corpus(sources, out, other)
        found, expected = Corpus.open(out), build_corpus(stream_documents(sources[-1]), other)
        np.testing.assert_array_equal(found.tokens[-len(expected.tokens) :], expected.tokens)
        out.rename(tmp_path / f"moved{size}")
