"""The corpus: flat arrays that mean what the documents were, on disk whole or not at all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import synthetic
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.corpus import (
    ARRAYS,
    Corpus,
    Ragged,
    build_corpus,
    ragged,
    slices,
    token_rows,
)
from contriever_lite.errors import DataError
from contriever_lite.tokens import train_tokenizer

ROWS = st.lists(st.lists(st.integers(0, 99), max_size=6), max_size=8)
DOCUMENTS = [
    ("The ferry", "The ferry crosses twice a day."),
    ("", "Fog seldom outlasts a night."),
    ("", ""),
    ("The lighthouse", ""),
    ("Ferry", "ferry ferry ferry"),
]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(DOCUMENTS, train_tokenizer([f"{a} {b}" for a, b in DOCUMENTS] * 4, 200))


def lists(rows: Ragged) -> list[list[int]]:
    return [row.tolist() for row in rows.rows()]


@given(ROWS)
def test_ragged_holds_its_rows(rows: list[list[int]]) -> None:
    batch = ragged(rows)
    assert lists(batch) == rows
    assert batch.tokens.tolist() == [token for row in rows for token in row]
    assert batch.starts().tolist() == [sum(map(len, rows[:i])) for i in range(len(rows))]
    assert batch.row_of_token().tolist() == [i for i, row in enumerate(rows) for _ in row]


@given(st.data())
def test_slices_equal_python_slices(data: st.DataObject) -> None:
    tokens = np.arange(data.draw(st.integers(0, 12)))
    ends = st.integers(0, len(tokens))
    spans = data.draw(st.lists(st.tuples(ends, ends).map(sorted), max_size=6))
    starts = np.array([start for start, _ in spans], dtype=np.int64)
    lengths = np.array([end - start for start, end in spans], dtype=np.int64)
    cut = slices(tokens, starts, lengths)
    assert lists(cut) == [tokens[start:end].tolist() for start, end in spans]


def test_documents_are_their_raw_tokens(corpus: Corpus) -> None:
    assert len(corpus) == len(DOCUMENTS)
    assert corpus.tokens.dtype == np.int32
    for i, (title, text) in enumerate(DOCUMENTS):
        head, body = (
            corpus.tokenizer.encode(part, add_special_tokens=False).ids for part in (title, text)
        )
        assert corpus.tokens[corpus.offsets[i] : corpus.offsets[i + 1]].tolist() == head + body
        assert corpus.titles[i] == len(head)
        assert corpus.lengths[i] == len(head + body)
    assert corpus.lengths[2] == 0, "an empty document is kept"


def test_documents_are_gathered_in_the_order_asked(corpus: Corpus) -> None:
    alone = [lists(corpus.documents(np.array([i])))[0] for i in range(len(corpus))]
    order = np.array([4, 0, 2, 4, 3])
    assert lists(corpus.documents(order)) == [alone[i] for i in order]


def test_some_documents_are_a_corpus_of_their_own(corpus: Corpus, tmp_path: Path) -> None:
    chosen = np.array([4, 2, 0])
    part = corpus.take(chosen)
    assert lists(part.documents(np.arange(3))) == lists(corpus.documents(chosen))
    assert part.titles.tolist() == corpus.titles[chosen].tolist()
    assert part.tokenizer is corpus.tokenizer
    assert part.tokens.dtype == np.int32
    ferry = corpus.tokenizer.token_to_id("ferry")
    assert corpus.document_frequency()[ferry] == part.document_frequency()[ferry] == 2
    assert part.take(np.arange(0)).tokens.size == 0
    opened = Corpus.open(corpus.save(tmp_path / "corpus")).take(chosen)
    assert opened.tokens.tolist() == part.tokens.tolist()


def test_many_documents_keep_their_order() -> None:
    """More than are tokenised at once."""
    tokenizer = train_tokenizer(["0 1 2 3 4 5 6 7 8 9"], 100)
    corpus = build_corpus(((str(i), "") for i in range(2050)), tokenizer)
    rows = corpus.documents(np.arange(2050)).rows()
    texts = tokenizer.decode_batch([row.tolist() for row in rows])
    assert texts == [str(i) for i in range(2050)]


def test_document_frequency_equals_a_loop(corpus: Corpus) -> None:
    rows = lists(corpus.documents(np.arange(len(corpus))))
    expected = [sum(i in row for row in rows) for i in range(corpus.tokenizer.get_vocab_size())]
    assert corpus.document_frequency().tolist() == expected
    ferry = corpus.tokenizer.token_to_id("ferry")
    assert expected[ferry] == 2, "documents, not occurrences"


def test_document_frequency_of_a_vocabulary_with_gaps_in_its_ids() -> None:
    corpus = synthetic.corpus_with_gaps()
    expected = np.zeros(41, dtype=int)
    expected[[7, 40]] = 1, 2
    assert corpus.document_frequency().tolist() == expected.tolist()


def test_token_rows_are_the_ids_of_each_text_alone(corpus: Corpus) -> None:
    texts = ["the ferry", "", "night ferry [CLS]"]
    alone = [corpus.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert lists(token_rows(texts, corpus.tokenizer)) == alone
    assert len(token_rows([], corpus.tokenizer).lengths) == 0


def test_no_document_is_refused(corpus: Corpus) -> None:
    with pytest.raises(DataError, match="no documents to tokenise"):
        build_corpus([], corpus.tokenizer)


def test_what_is_saved_is_opened(corpus: Corpus, tmp_path: Path) -> None:
    folder = corpus.save(tmp_path / "corpus")
    opened = Corpus.open(folder, verify=True)
    for name in ARRAYS:
        before, after = getattr(corpus, name), getattr(opened, name)
        assert before.dtype == after.dtype
        assert before.tolist() == after.tolist()
    assert opened.tokenizer.to_str() == corpus.tokenizer.to_str()
    assert isinstance(opened.tokens, np.memmap), "a corpus may be larger than memory"
    assert not opened.tokens.flags.writeable
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["documents"] == len(corpus)
    assert manifest["tokens"] == len(corpus.tokens)
    again = opened.save(tmp_path / "again")
    assert (again / "manifest.json").read_text() == (folder / "manifest.json").read_text()


def test_a_corpus_of_empty_documents_is_saved_and_opened(corpus: Corpus, tmp_path: Path) -> None:
    empty = build_corpus([("", ""), ("", "")], corpus.tokenizer)
    opened = Corpus.open(empty.save(tmp_path / "empty"))
    assert opened.lengths.tolist() == [0, 0]
    assert lists(opened.documents(np.array([1, 0]))) == [[], []]


def test_an_existing_folder_is_kept(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="mine exists already"):
        corpus.save(tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_an_interrupted_save_leaves_nothing(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = np.save

    def interrupted(file: Path, array: np.ndarray) -> None:
        if file.stem == "offsets":
            raise KeyboardInterrupt
        save(file, array)

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        corpus.save(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in ARRAYS), "tokenizer.json"])
def test_a_changed_file_is_noticed_by_its_hash(corpus: Corpus, tmp_path: Path, name: str) -> None:
    folder = corpus.save(tmp_path / "corpus")
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is missing or changed"):
        Corpus.open(folder, verify=True)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing or changed"):
        Corpus.open(folder)


def test_broken_folders_are_refused_in_words(corpus: Corpus, tmp_path: Path) -> None:
    folder = corpus.save(tmp_path / "corpus")
    manifest, tokens = folder / "manifest.json", folder / "tokens.npy"
    good, whole = json.loads(manifest.read_text()), tokens.read_bytes()

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            Corpus.open(folder)

    for content in (whole[:-8], whole[:20], b""):
        tokens.write_bytes(content)
        refused("tokens.npy: cannot be read")
    tokens.write_bytes(whole)
    for changes in ({"tokens": 1}, {"documents": 1}):
        manifest.write_text(json.dumps(good | changes))
        refused("arrays and manifest disagree")
    manifest.write_text(json.dumps(good | {"format": 99}))
    refused("format 99, this version reads 1; prepare the corpus again")
    manifest.write_text("[]")
    refused("format None")
    manifest.write_text("{")
    refused("broken JSON")
    manifest.unlink()
    refused("is not a prepared corpus: it has no manifest.json")
    shutil.rmtree(folder)
    refused("is not a prepared corpus")
