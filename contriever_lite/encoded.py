"""The vectors of a corpus on disk, with the ids they belong to and a hash of the texts they stand
for.

    FOLDER/vectors.f32     float32 (N, D), row by row
    FOLDER/ids.jsonl       the documents' ids, a JSON string a line
    FOLDER/manifest.json   N, D, documents in a block, the hash of ids and texts

`blocks.encode_blocks` writes such a folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from contriever_lite.corpus import Corpus
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.models import TextEncoder
from contriever_lite.retriever import Retriever

FORMAT = 1
PROBES = 8  # documents encoded again, to see whether a model is the one it was
TOLERANCE = 1e-3  # of the largest number: other processors and batches round otherwise
Documents = Iterable[tuple[str, str]] | Corpus  # (id, text) of each, or prepared, ids from 1


class Part(NamedTuple):
    """Some documents that follow each other."""

    ids: list[str]
    content: list[str] | Corpus

    def head(self) -> Part:
        """The first few of them."""
        few = min(PROBES, len(self.ids))
        content = self.content
        some = content.take(np.arange(few)) if isinstance(content, Corpus) else content[:few]
        return Part(self.ids[:few], some)

    def encode(self, encoder: TextEncoder) -> np.ndarray:
        """(N, D). Raises ConfigError where the documents are tokens and the model takes none."""
        if not isinstance(self.content, Corpus):
            return encoder.encode(self.content)
        if not isinstance(encoder, Retriever):
            raise ConfigError("this model cannot read a prepared corpus; give it the documents")
        return encoder.encode_corpus(self.content)

    def hash_into(self, digest: Any) -> None:
        """Add ids and texts, or tokens, to a hash."""
        if isinstance(self.content, Corpus):
            digest.update(np.ascontiguousarray(self.content.lengths, np.int64).tobytes())
            digest.update(np.ascontiguousarray(self.content.tokens, np.int32).tobytes())
            return
        for pair in zip(self.ids, self.content, strict=True):
            for text in pair:
                digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))


def parts(documents: Documents, size: int) -> Iterator[Part]:
    """The documents in order, `size` of them at a time."""
    if isinstance(documents, Corpus):
        for start in range(0, len(documents), size):
            rows = np.arange(start, min(start + size, len(documents)))
            yield Part([str(row + 1) for row in rows], documents.take(rows))
        return
    stream = iter(documents)
    while found := list(islice(stream, size)):
        yield Part([id_ for id_, _ in found], [text for _, text in found])


@dataclass(frozen=True)
class EncodedCorpus:
    """A folder of vectors, opened: N documents of D numbers, encoded `block` at a time."""

    folder: Path
    documents: int
    dimension: int
    block: int
    texts: str

    @staticmethod
    def open(folder: str | Path) -> EncodedCorpus:
        """Raises DataError where there is no such folder, or its files do not fit together."""
        folder = Path(folder)
        found = EncodedCorpus(folder, **read_manifest(folder / "manifest.json"))
        size = found.documents * found.dimension * 4
        file = folder / "vectors.f32"
        if not file.is_file() or file.stat().st_size != size:
            raise DataError(f"{file} has not the {size:,} bytes of the manifest; encode again")
        return found

    @property
    def vectors(self) -> np.ndarray:
        """(N, D) float32, mapped from disk."""
        shape = (self.documents, self.dimension)
        return np.memmap(self.folder / "vectors.f32", np.float32, "r", shape=shape)

    @cached_property
    def ids(self) -> list[str]:
        """All N ids, in memory."""
        with open(self.folder / "ids.jsonl", encoding="ascii") as lines:
            return self._ids(lines, self.documents)

    def blocks(self, size: int) -> Iterator[tuple[list[str], np.ndarray]]:
        """(ids, vectors (size, D)), read from disk a block at a time."""
        with (
            open(self.folder / "ids.jsonl", encoding="ascii") as lines,
            open(self.folder / "vectors.f32", "rb") as numbers,
        ):
            for start in range(0, self.documents, size):
                ids = self._ids(lines, min(size, self.documents - start))
                flat = np.fromfile(numbers, np.float32, len(ids) * self.dimension)
                yield ids, flat.reshape(len(ids), self.dimension)

    def _ids(self, lines: Iterable[str], count: int) -> list[str]:
        ids = [json.loads(line) for line in islice(lines, count)]
        if len(ids) != count:
            raise DataError(f"{self.folder}: fewer ids than vectors; encode again")
        return ids

    def check(self, encoder: TextEncoder, documents: Documents) -> None:
        """Raise DataError if these are not the vectors of these documents, by their hash, and
        ConfigError if they are not of this model, by the first few encoded again."""
        digest, head = hashlib.sha256(), None
        for part in parts(documents, self.block):
            part.hash_into(digest)
            head = head or part.head()
        if head is None or digest.hexdigest() != self.texts:
            raise DataError(f"{self.folder} holds the vectors of other documents: encode these")
        refuse_other_model(self.folder, self.vectors, encoder, head)


def refuse_other_model(folder: Path, vectors: np.ndarray, encoder: TextEncoder, head: Part) -> None:
    """Raise ConfigError unless the model gives the first documents the vectors they have."""
    then, now = vectors[: len(head.ids)], head.encode(encoder)
    if now.shape[1] != then.shape[1]:
        raise ConfigError(
            f"{folder} holds vectors of {then.shape[1]} numbers, this model makes {now.shape[1]}: "
            "give the model they were encoded with, or encode again"
        )
    if np.abs(now - then).max() > TOLERANCE * np.abs(then).max():
        raise ConfigError(
            f"{folder} holds the vectors of another model: this one gives its first documents "
            "others. Give the model they were encoded with, or encode again"
        )


def read_manifest(file: Path) -> dict[str, Any]:
    """What a manifest says. Raises DataError where there is none, or a broken one."""
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        version = manifest.pop("format")
        if version != FORMAT or set(manifest) != {"documents", "dimension", "block", "texts"}:
            raise DataError(f"{file}: format {version}, this version reads {FORMAT}; encode again")
    except FileNotFoundError as error:
        raise DataError(
            f"{file.parent} holds no vectors: it has no {file.name}. Make them with `encode "
            "--block`, or go on with --resume if that was cut off"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is broken ({error}); encode again") from error
    return manifest
