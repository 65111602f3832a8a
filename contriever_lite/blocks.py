"""A corpus of any size encoded and searched a block at a time, at constant memory.

While it is being written, FOLDER stands as FOLDER.part; its manifest says what counts, and what
the files hold beyond that was on its way when the process died, and is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from contriever_lite.corpus_writer import cut
from contriever_lite.encoded import (
    FORMAT,
    Documents,
    EncodedCorpus,
    Part,
    parts,
    read_manifest,
    refuse_other_model,
)
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.files import locked, refuse_strangers, refuse_to_overwrite, write_json
from contriever_lite.metrics import Run, ranking
from contriever_lite.models import TextEncoder
from contriever_lite.search import DenseIndex, as_matrix, check_k

FILES = ("vectors.f32", "ids.jsonl")  # of an unfinished encoding, behind its manifest
ENCODED, SEARCHED = 1 << 13, 1 << 16  # documents in memory at a time


def encode_blocks(
    encoder: TextEncoder,
    documents: Documents,
    folder: str | Path,
    block: int = ENCODED,
    resume: bool = False,
) -> EncodedCorpus:
    """Encode documents into a new folder, `block` of them in memory at a time, and open it.

    documents: pairs (id, text) with different ids, as a stream, or a prepared corpus. If the
    process is killed, resume=True goes on behind the last whole block, in blocks as large as they
    were, and makes the same bytes: what was done is read again, to compare it, but not encoded.

    Raises DataError where `folder` exists, where there is no document, and for vectors that are not
    finite; ConfigError where FOLDER.part is there without resume, is anything but an unfinished
    encoding, is written by another process, or was begun with other documents or another model.
    """
    folder = Path(folder)
    work = folder.with_name(f"{folder.name}.part")
    if block < 1:
        raise ConfigError(f"block is {block}; allowed: 1 document or more")
    _refuse_unfit(folder, work, resume)
    work.mkdir(parents=True, exist_ok=True)
    with locked(work), _Writer(work, block) as writer:
        starts = parts(documents, writer.block)
        for part in tqdm(starts, "encoding", unit=" blocks", leave=False, delay=2):
            writer.add(part, encoder)
        writer.finish()
    os.rename(work, folder)
    return EncodedCorpus.open(folder)


def search_blocks(
    encoded: EncodedCorpus,
    vectors: np.ndarray,
    ids: Sequence[str],
    k: int = 100,
    block: int = SEARCHED,
) -> Run:
    """Exact search, ties included, as DenseIndex does it, with `block` documents in memory at a
    time: query vectors (Q, D) and their Q ids in; query id -> the k best documents out. The k best
    of all are among the k best of each block. Raises as DenseIndex does."""
    check_k(k)
    check_k(block)
    best: Run = {query: {} for query in ids}
    total = -(-encoded.documents // block)
    found = encoded.blocks(block)
    for names, rows in tqdm(found, "searching", total, unit=" blocks", leave=False, delay=2):
        for query, scores in DenseIndex(rows, names).search(vectors, ids, k).items():
            both = best[query] | scores
            best[query] = {document: both[document] for document in ranking(both)[:k]}
    return best


def _refuse_unfit(folder: Path, work: Path, resume: bool) -> None:
    if resume and folder.exists():
        raise ConfigError(f"{folder} is finished: there is nothing to resume")
    refuse_to_overwrite(folder)
    if work.exists():
        refuse_strangers(work, "manifest.json", FILES, "an unfinished encoding")
    if work.exists() and not resume:
        raise ConfigError(
            f"{work} holds what was encoded before an interruption; go on with it: --resume, or "
            "remove it to start anew"
        )


class _Writer:
    """A folder of vectors in the making, after what it held when the last process died."""

    def __init__(self, folder: Path, block: int) -> None:
        self.folder, self.digest, self.seen = folder, hashlib.sha256(), 0
        self.head: Part | None = None
        self.manifest = {"documents": 0, "dimension": 0, "block": block, "texts": ""}
        if (folder / "manifest.json").exists():
            self.manifest = read_manifest(folder / "manifest.json")
        else:
            self._note()
        self.done, self.block = self.manifest["documents"], self.manifest["block"]
        self.vectors = cut(folder / "vectors.f32", 4 * self.done * self.manifest["dimension"])
        self.ids = cut(folder / "ids.jsonl", _length(folder / "ids.jsonl", self.done))

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.vectors.close()
        self.ids.close()

    def add(self, part: Part, encoder: TextEncoder) -> None:
        """Encode and write the next documents, or compare them with those that were done."""
        before, self.seen = self.seen, self.seen + len(part.ids)
        self.head = self.head or part.head()
        part.hash_into(self.digest)
        if before >= self.done:
            self._write(part, as_matrix(part.encode(encoder)))
        elif self.seen > self.done:
            self._refuse_documents()
        elif self.seen == self.done:
            if self.digest.hexdigest() != self.manifest["texts"]:
                self._refuse_documents()
            size = len(self.head.ids), self.manifest["dimension"]
            rows = np.fromfile(self.vectors.name, np.float32, size[0] * size[1]).reshape(size)
            refuse_other_model(self.folder, rows, encoder, self.head)

    def _write(self, part: Part, vectors: np.ndarray) -> None:
        self.vectors.write(vectors.data)
        self.ids.write("".join(json.dumps(id_) + "\n" for id_ in part.ids).encode("ascii"))
        for file in (self.vectors, self.ids):
            file.flush()
            os.fsync(file.fileno())
        self.manifest |= {"documents": self.seen, "dimension": vectors.shape[1]}
        self.manifest["texts"] = self.digest.hexdigest()
        self._note()

    def _note(self) -> None:
        manifest = {"format": FORMAT, **self.manifest}
        write_json(manifest, self.folder / "manifest.json", overwrite=True)

    def finish(self) -> None:
        """Raise where there was no document, or fewer than before."""
        if not self.seen:
            raise DataError("there are no documents to encode; give at least one")
        if self.seen < self.done:
            self._refuse_documents()

    def _refuse_documents(self) -> NoReturn:
        raise ConfigError(
            f"{self.folder} was begun with other documents: give those, or remove it to start anew"
        )


def _length(file: Path, lines: int) -> int:
    """The bytes of the first lines of a file."""
    if not lines:
        return 0
    with open(file, "rb") as found:
        return sum(len(line) for line in islice(found, lines))
