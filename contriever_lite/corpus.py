"""Documents as one long array of tokens, with offsets, so that a view is a slice and not a loop.

    tokens   int32 (T,)     all documents, one after another
    offsets  int64 (N + 1,) document i is tokens[offsets[i] : offsets[i + 1]]
    titles   int32 (N,)     how many of its first tokens are its title

On disk: three .npy files, the tokenizer, and a manifest with their hashes. `Corpus.open` maps the
tokens, which may be more than memory holds; `prepare.prepare_corpus` never holds them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

from contriever_lite.errors import DataError
from contriever_lite.files import new_folder
from contriever_lite.hashing import sha256
from contriever_lite.tokens import load_tokenizer, table_size

ARRAYS = ("tokens", "offsets", "titles")
FORMAT = 1
AGAIN = "prepare the corpus again"
BATCH = 1 << 18  # characters tokenised at once
COUNTED = 1 << 14  # documents counted at once
Documents = list[tuple[str, str]]  # (title, text)
Tokenised = tuple[np.ndarray, np.ndarray, np.ndarray]  # tokens, lengths, titles


class Ragged(NamedTuple):
    """Rows of different lengths, stored end to end: row i is the i-th slice of `tokens`.

    tokens: (T,) token ids, lengths: (B,) with sum(lengths) = T. Zero lengths are allowed.
    """

    tokens: np.ndarray
    lengths: np.ndarray

    def starts(self) -> np.ndarray:
        """(B,) where each row begins in `tokens`."""
        return np.cumsum(self.lengths) - self.lengths

    def rows(self) -> list[np.ndarray]:
        """The rows as a list, for people and tests; the package itself never loops over them."""
        return np.split(self.tokens, np.cumsum(self.lengths))[:-1]

    def row_of_token(self) -> np.ndarray:
        """(T,) the number of the row that each token belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


def ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    """Put lists of token ids end to end."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    return Ragged(np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum()), lengths)


def token_rows(texts: Sequence[str], tokenizer: Tokenizer) -> Ragged:
    """The token ids of each text, a row a text, nothing added."""
    found = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return ragged([each.ids for each in found])


def slices(tokens: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> Ragged:
    """Row i = tokens[starts[i] : starts[i] + lengths[i]], all rows gathered at once."""
    shift = starts - (np.cumsum(lengths) - lengths)
    return Ragged(tokens[np.arange(lengths.sum()) + np.repeat(shift, lengths)], lengths)


@dataclass(frozen=True)
class Corpus:
    """Tokenised documents and the tokenizer that made them. sources: where, by number of document,
    each of the corpora begins that were mixed into this one (mixture.py)."""

    tokens: np.ndarray
    offsets: np.ndarray
    titles: np.ndarray
    tokenizer: Tokenizer
    sources: tuple[int, ...] = (0,)

    def __len__(self) -> int:
        return len(self.titles)

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens in each document."""
        return np.diff(self.offsets)

    def documents(self, indices: np.ndarray) -> Ragged:
        """The documents of these numbers, title first."""
        starts = self.offsets[indices]
        return slices(self.tokens, starts, self.offsets[indices + 1] - starts)

    def take(self, indices: np.ndarray) -> "Corpus":
        """The documents of these numbers as a corpus of their own, with the same tokenizer."""
        rows = self.documents(indices)
        return Corpus(rows.tokens, offsets_of(rows.lengths), self.titles[indices], self.tokenizer)

    def document_frequency(self) -> np.ndarray:
        """(V,) int64: in how many documents each word piece occurs."""
        size, every = table_size(self.tokenizer), self.lengths
        counts = np.zeros(size, np.int64)
        for start in range(0, len(self), COUNTED):  # the corpus may be larger than memory
            lengths, first = every[start : start + COUNTED], self.offsets[start]
            tokens = np.asarray(self.tokens[first : first + lengths.sum()], dtype=np.int64)
            pairs = np.unique(np.repeat(np.arange(len(lengths)), lengths) * size + tokens)
            counts += np.bincount(pairs % size, minlength=size)
        return counts

    def save(self, folder: str | Path) -> Path:
        """Write the corpus to a new folder, whole or not at all."""
        with new_folder(folder) as work:
            for name in ARRAYS:
                np.save(work / f"{name}.npy", getattr(self, name))
            self.tokenizer.save(str(work / "tokenizer.json"))
            write_manifest(work, len(self), len(self.tokens))
        return Path(folder)

    @staticmethod
    def open(folder: str | Path, verify: bool = False) -> "Corpus":
        """Map a saved corpus into memory; verify=True reads it whole and checks its hashes."""
        folder = Path(folder)
        manifest = _read_manifest(folder / "manifest.json")
        for name, digest in manifest["sha256"].items():
            if not (folder / name).exists() or (verify and sha256(folder / name) != digest):
                raise DataError(f"{folder / name} is missing or changed; {AGAIN}")
        tokens, offsets, titles = (_read_array(folder / f"{name}.npy") for name in ARRAYS)
        if len(tokens) != manifest["tokens"] or len(titles) != manifest["documents"]:
            raise DataError(f"{folder}: arrays and manifest disagree; {AGAIN}")
        return Corpus(tokens, offsets, titles, load_tokenizer(folder))


def build_corpus(documents: Iterable[tuple[str, str]], tokenizer: Tokenizer) -> Corpus:
    """Tokenise (title, text) pairs. Nothing is added to the text; an empty one has length 0."""
    bar = tqdm(documents, "tokenising", unit=" documents", leave=False, delay=2)
    parts = [tokenise(batch, tokenizer) for batch in batches(bar)]
    if not parts:
        raise DataError("there are no documents to tokenise; give at least one")
    tokens, lengths, titles = map(np.concatenate, zip(*parts, strict=True))
    return Corpus(tokens, offsets_of(lengths), titles, tokenizer)


def tokenise(documents: Documents, tokenizer: Tokenizer) -> Tokenised:
    """(title, text) pairs to (tokens int32 (T,), lengths int64 (N,), titles int32 (N,))."""
    rows = token_rows([part for document in documents for part in document], tokenizer)
    counts = rows.lengths.reshape(-1, 2)
    return rows.tokens.astype(np.int32), counts.sum(axis=1), counts[:, 0].astype(np.int32)


def batches(documents: Iterable[tuple[str, str]]) -> Iterator[Documents]:
    """The documents in order, in lists that are full when they hold `BATCH` characters."""
    batch, size = [], 0
    for title, text in documents:
        batch.append((title, text))
        size += len(title) + len(text) + 1
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """(N,) lengths to (N + 1,) int64 offsets."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def write_manifest(work: Path, documents: int, tokens: int) -> None:
    """Write the manifest of a folder that holds all else: sizes, and every file's hash."""
    hashes = {path.name: sha256(path) for path in sorted(work.iterdir())}
    manifest = {"format": FORMAT, "documents": documents, "tokens": tokens, "sha256": hashes}
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _read_manifest(file: Path) -> dict[str, Any]:
    if not file.exists():
        raise DataError(f"{file.parent} is not a prepared corpus: it has no {file.name}")
    try:
        manifest = json.loads(file.read_text())
    except ValueError as error:
        raise DataError(f"{file}: broken JSON: {error}; {AGAIN}") from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    found = "of vectors" if found == FORMAT and "sha256" not in manifest else found
    if found != FORMAT:
        raise DataError(f"{file}: format {found!r}, this version reads {FORMAT}; {AGAIN}")
    return manifest


def _read_array(file: Path) -> np.ndarray:
    try:
        return np.load(file, mmap_mode="r" if file.stem == "tokens" else None)
    except (ValueError, EOFError) as error:
        raise DataError(f"{file}: cannot be read: {error}; {AGAIN}") from error
