"""A corpus encoded and searched in blocks: the same bytes however often it dies, the same answers
as all at once, nothing that grows with it, and no other model's or corpus's vectors."""

import json
import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from tokenizers import Tokenizer

from contriever_lite.blocks import encode_blocks, search_blocks
from contriever_lite.build import new_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.retriever import Retriever
from contriever_lite.search import DenseIndex
from contriever_lite.tokens import train_tokenizer

D = 6


class Letters:
    """Counts of letters, in whole numbers, so that scores are exact and often tie. Kills its
    process when it is asked for the blocks that `fatal` names."""

    def __init__(self, letters: str = "abcdef", fatal: int = -1) -> None:
        self.letters, self.fatal, self.texts = letters, fatal, 0

    def encode(self, texts: list[str]) -> np.ndarray:
        self.texts += len(texts)
        if 0 <= self.fatal < self.texts:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = [[text.count(letter) for letter in self.letters] for text in texts]
        return np.array(rows, dtype=np.float32)


def documents(count: int = 100, seed: int = 0) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    return [(f"d{i}", "".join(rng.choice(list("abcdef"), 8))) for i in range(count)]


def killed(work: Callable[[], object]) -> None:
    """Do it in a process that dies of it."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("block", [7, 50, 100, 1000])
def test_vectors_are_those_of_all_at_once(tmp_path: Path, block: int) -> None:
    encoded = encode_blocks(Letters(), iter(documents()), tmp_path / "v", block)
    ids, texts = zip(*documents(), strict=True)
    assert encoded.ids == list(ids)
    assert isinstance(encoded.vectors, np.memmap)
    np.testing.assert_array_equal(encoded.vectors, Letters().encode(list(texts)))
    assert sorted(contents(tmp_path / "v")) == ["ids.jsonl", "manifest.json", "vectors.f32"]
    assert list(tmp_path.iterdir()) == [tmp_path / "v"]


def test_killed_again_and_again_it_makes_the_same_bytes(tmp_path: Path) -> None:
    whole = encode_blocks(Letters(), documents(), tmp_path / "whole", 8).folder
    folder, part = tmp_path / "v", tmp_path / "v.part"
    killed(lambda: encode_blocks(Letters(fatal=5), documents(), folder, 8))
    assert json.loads((part / "manifest.json").read_text())["documents"] == 0
    for fatal, done in ((20, 16), (20, 24), (60, 72)):
        killed(lambda fatal=fatal: encode_blocks(
            Letters(fatal=fatal), documents(), folder, 8, resume=True))  # fmt: skip
        assert json.loads((part / "manifest.json").read_text())["documents"] == done
    for name in ("vectors.f32", "ids.jsonl"):  # what was on its way when it died
        with open(part / name, "ab") as file:
            file.write(b"\x00half a row")
    encoder = Letters()
    encoded = encode_blocks(encoder, documents(), folder, 50, resume=True)
    assert encoder.texts == 100 - 72 + 8  # the rest, and the first few to compare
    assert contents(folder) == contents(whole)
    assert encoded.block == 8
    with pytest.raises(ConfigError, match="is finished: there is nothing to resume"):
        encode_blocks(encoder, documents(), folder, resume=True)
    with pytest.raises(DataError, match="exists already"):
        encode_blocks(encoder, documents(), folder)


def test_killed_after_the_last_block_it_only_compares(tmp_path: Path) -> None:
    whole = encode_blocks(Letters(), documents(20), tmp_path / "whole", 8).folder

    def and_then_die() -> Iterator[tuple[str, str]]:
        yield from documents(20)
        os.kill(os.getpid(), signal.SIGKILL)

    killed(lambda: encode_blocks(Letters(), and_then_die(), tmp_path / "v", 10))
    killed(lambda: encode_blocks(Letters(), and_then_die(), tmp_path / "v", 10, resume=True))
    encode_blocks(Letters(), documents(20), tmp_path / "v", resume=True)
    assert (tmp_path / "v/vectors.f32").read_bytes() == (whole / "vectors.f32").read_bytes()


@pytest.mark.parametrize(
    ("encoder", "other", "message"),
    [
        (Letters("fedcba"), documents(), "vectors of another model"),
        (Letters("abc"), documents(), "vectors of 6 numbers, this model makes 3"),
        (Letters(), documents(seed=1), "begun with other documents"),
        (Letters(), documents(15), "begun with other documents"),
        (Letters(), [("x", t) for _, t in documents()], "begun with other documents"),
    ],
)
def test_another_model_or_corpus_does_not_go_on(
    tmp_path: Path, encoder: Letters, other: list[tuple[str, str]], message: str
) -> None:
    killed(lambda: encode_blocks(Letters(fatal=30), documents(), tmp_path / "v", 8))
    before = contents(tmp_path / "v.part")
    assert before.pop("lock") == b"", "of the one that was killed"
    with pytest.raises(ConfigError, match=message):
        encode_blocks(encoder, other, tmp_path / "v", resume=True)
    assert contents(tmp_path / "v.part") == before
    with pytest.raises(ConfigError, match="go on with it: --resume"):
        encode_blocks(Letters(), documents(), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_a_longer_corpus_does_not_go_on_behind_a_last_half_block(tmp_path: Path) -> None:
    def dies() -> Iterator[tuple[str, str]]:
        yield from documents(5)
        os.kill(os.getpid(), signal.SIGKILL)

    killed(lambda: encode_blocks(Letters(), dies(), tmp_path / "v", 5))
    manifest = tmp_path / "v.part/manifest.json"
    manifest.write_text(manifest.read_text().replace('"block": 5', '"block": 8'))
    with pytest.raises(ConfigError, match="begun with other documents"):
        encode_blocks(Letters(), documents(), tmp_path / "v", resume=True)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "v.part").mkdir()
    with (
        FileLock(tmp_path / "v.part/lock"),
        pytest.raises(ConfigError, match="is being written by another process"),
    ):
        encode_blocks(Letters(), documents(), tmp_path / "v", resume=True)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "v.part"
    part.mkdir()
    (part / "ids.jsonl").write_text("mine")
    for resume in (True, False):
        with pytest.raises(ConfigError, match="not an unfinished encoding: it holds ids"):
            encode_blocks(Letters(), documents(), tmp_path / "v", resume=resume)
    assert contents(part) == {"ids.jsonl": b"mine"}


def test_a_stranger_among_unfinished_work_is_refused(tmp_path: Path) -> None:
    killed(lambda: encode_blocks(Letters(fatal=5), documents(), tmp_path / "v", 8))
    (tmp_path / "v.part" / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"it holds letter\.txt; move it away"):
        encode_blocks(Letters(), documents(), tmp_path / "v", resume=True)
    (tmp_path / "v.part" / "letter.txt").unlink()
    assert encode_blocks(Letters(), documents(), tmp_path / "v", resume=True).documents == 100


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no documents to encode"):
        encode_blocks(Letters(), [], tmp_path / "nothing")
    with pytest.raises(ConfigError, match="block is 0; allowed: 1 document or more"):
        encode_blocks(Letters(), documents(), tmp_path / "v", 0)

    class Diverged(Letters):
        def encode(self, texts: list[str]) -> np.ndarray:
            return super().encode(texts) * np.nan

    with pytest.raises(DataError, match="vector 0 of 8 is not finite"):
        encode_blocks(Diverged(), documents(), tmp_path / "v", 8)


@pytest.mark.parametrize("block", [1, 9, 64, 500])
@pytest.mark.parametrize("k", [1, 10, 400])
def test_search_in_blocks_is_exact_search_ties_included(tmp_path: Path, block: int, k: int) -> None:
    few = [(name, text[:3]) for name, text in documents(150)]  # 56 different vectors at most
    shuffled = [few[i] for i in np.random.default_rng(3).permutation(150)]
    encoded = encode_blocks(Letters(), shuffled, tmp_path / "v", 40)
    queries, asked = Letters().encode(["abc", "ddd", "", "fa"]), list("wxyz")
    everything = DenseIndex(encoded.vectors, encoded.ids).search(queries, asked, k)
    found = search_blocks(encoded, queries, asked, k, block)
    assert found == everything
    assert [list(scores) for scores in found.values()] == [
        list(scores) for scores in everything.values()
    ]


def test_queries_of_another_dimension_are_refused(tmp_path: Path) -> None:
    encoded = encode_blocks(Letters(), documents(), tmp_path / "v")
    with pytest.raises(DataError, match="queries have 5 dimensions, documents 6"):
        search_blocks(encoded, np.ones((1, 5)), ["q"])
    with pytest.raises(ConfigError, match="k is 0"):
        search_blocks(encoded, np.ones((1, 6)), ["q"], 0)


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """Fifteen times as many documents: the peak of what Python and NumPy hold is much the same."""

    def stream(count: int) -> Iterator[tuple[str, str]]:
        return ((f"d{i:05}", "abcdef" * (1 + i % 3)) for i in range(count))

    def peak(work: Callable[[], object]) -> int:
        tracemalloc.start()
        work()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peaks = []
    queries = np.ones((2, D), np.float32)
    peak(lambda: encode_blocks(Letters(), stream(1000), tmp_path / "warm", 400))
    for count in (800, 12_000):
        folder = tmp_path / str(count)
        writing = peak(lambda f=folder, c=count: encode_blocks(Letters(), stream(c), f, 400))
        encoded = EncodedCorpus.open(folder)
        reading = peak(lambda e=encoded: search_blocks(e, queries, ["a", "b"], 10, 400))
        peaks.append((writing, reading))
    (writing, reading), larger = peaks
    assert larger[0] < 1.5 * writing
    assert larger[1] < 1.5 * reading
    assert encoded.vectors.nbytes > max(larger)


def test_vectors_of_another_model_or_corpus_are_refused(tmp_path: Path) -> None:
    encoded = encode_blocks(Letters(), documents(), tmp_path / "v", 8)
    encoded.check(Letters(), documents())
    changed = documents()
    changed[99] = ("d99", "abcdefff")
    for other in (changed, documents(99), documents(seed=1), []):
        with pytest.raises(DataError, match="holds the vectors of other documents"):
            encoded.check(Letters(), other)
    with pytest.raises(ConfigError, match="holds the vectors of another model"):
        encoded.check(Letters("bacdef"), documents())
    with pytest.raises(ConfigError, match="vectors of 6 numbers, this model makes 2"):
        encoded.check(Letters("ab"), documents())


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("manifest.json", None, "holds no vectors: it has no manifest.json"),
        ("manifest.json", "{", "is broken"),
        ("manifest.json", "[]", "is broken"),
        ("manifest.json", '{"format": 7}', "format 7, this version reads 1"),
        ("vectors.f32", "abc", "has not the 2,400 bytes of the manifest"),
        ("vectors.f32", None, "has not the 2,400 bytes"),
        ("ids.jsonl", '"d0"\n', "fewer ids than vectors"),
    ],
)
def test_a_broken_folder_is_refused(
    tmp_path: Path, file: str, text: str | None, message: str
) -> None:
    folder = encode_blocks(Letters(), documents(), tmp_path / "v").folder
    (folder / file).unlink()
    if text is not None:
        (folder / file).write_text(text)
    with pytest.raises(DataError, match=message):
        EncodedCorpus.open(folder).ids  # noqa: B018 - reading is what fails


def corpus() -> tuple[Corpus, Tokenizer]:
    texts = [("", " ".join(text)) for _, text in documents()]
    tokenizer = train_tokenizer([text for _, text in texts], 60)
    return build_corpus(texts, tokenizer), tokenizer


def test_a_prepared_corpus_is_encoded_in_blocks(tmp_path: Path) -> None:
    prepared, tokenizer = corpus()
    config = TrainConfig(dimension=8, vocab_size=100)
    retriever = Retriever(new_encoder(config, prepared), tokenizer)
    encoded = encode_blocks(retriever, prepared, tmp_path / "v", 30)
    np.testing.assert_allclose(encoded.vectors, retriever.encode_corpus(prepared), atol=1e-6)
    assert encoded.ids == [str(number) for number in range(1, 101)]
    encoded.check(retriever, prepared)
    with pytest.raises(DataError, match="other documents"):
        encoded.check(retriever, prepared.take(np.arange(1, 100)))
    with pytest.raises(ConfigError, match="cannot read a prepared corpus"):
        encode_blocks(Letters(), prepared, tmp_path / "w")


def test_search_needs_a_block_of_one_document(tmp_path: Path) -> None:
    encoded = encode_blocks(Letters(), documents(3), tmp_path / "folder", block=1)
    with pytest.raises(ConfigError, match="k is 0"):
        search_blocks(encoded, np.ones((1, D), np.float32), ["q"], block=0)
    assert len(search_blocks(encoded, np.ones((1, D), np.float32), ["q"], block=1)["q"]) == 3


def test_vectors_and_ids_are_on_the_disk_before_the_manifest_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, manifest = [], tmp_path / "folder.part/manifest.json"

    def look(file: int) -> None:
        assert json.loads(manifest.read_text())["documents"] == 0
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", look)
    folder = encode_blocks(Letters(), documents(9), tmp_path / "folder").folder
    assert sizes == [(folder / name).stat().st_size for name in ("vectors.f32", "ids.jsonl")]
