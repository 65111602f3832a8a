"""A corpus made from sources of any size, in the memory that a few batches take.

One process reads the documents as a stream and appends their tokens to a file; the tokenising in
between, which takes most of the time, is done by as many processes as asked for.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tokenizers import Tokenizer

from contriever_lite.corpus import (
    Corpus,
    Documents,
    Tokenised,
    batches,
    offsets_of,
    tokenise,
    write_manifest,
)
from contriever_lite.documents import stream_documents
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.files import new_folder
from contriever_lite.tokens import SPECIAL_TOKENS, load_tokenizer, train_tokenizer

SAMPLE = 200_000_000  # characters


def prepare_corpus(
    sources: Sequence[str | Path], out: str | Path, tokenizer: Tokenizer, workers: int = 1
) -> Corpus:
    """Tokenise the documents of `sources` (see documents.py), one source after another, into the
    corpus folder `out`, whole or not at all, and open it.

    The folder is the one that `build_corpus(...).save(out)` writes, byte for byte, whatever the
    number of workers: processes that tokenise (1: this one, with the threads of `tokenizers`). In
    memory at a time: about three batches of `corpus.BATCH` characters a worker, and 12 bytes a
    document.

    Raises DataError for bad lines, for no document at all and where `out` exists, ConfigError for
    workers below 1 and where a worker dies.
    """
    if workers < 1:
        raise ConfigError(f"workers is {workers}; allowed: 1 or more")
    with new_folder(out) as work:
        tokenizer.save(str(work / "tokenizer.json"))
        documents = chain.from_iterable([stream_documents(source) for source in sources])
        with closing(_tokenised(batches(documents), work / "tokenizer.json", workers)) as parts:
            lengths, titles = _write_tokens(parts, work / "tokens.npy")
        if not lengths:
            raise DataError(f"there are no documents in {', '.join(map(str, sources))}")
        offsets = offsets_of(np.concatenate(lengths))
        np.save(work / "offsets.npy", offsets)
        np.save(work / "titles.npy", np.concatenate(titles))
        write_manifest(work, len(offsets) - 1, int(offsets[-1]))
    return Corpus.open(out)


def learn_tokenizer(
    sources: Sequence[str | Path],
    vocab_size: int = 30_000,
    characters: int = SAMPLE,
    fewest: int = 1,
) -> Tokenizer:
    """A vocabulary learnt from the beginning of each source: `characters` in all, an equal share
    each. They are read twice and never held, only the counts of their words. fewest: as in
    `train_tokenizer`. Raises DataError for bad lines, ConfigError for numbers that make no
    sense."""
    if vocab_size <= len(SPECIAL_TOKENS):
        raise ConfigError(f"vocab_size is {vocab_size}; allowed: more than {len(SPECIAL_TOKENS)}, "
                          "the special tokens")  # fmt: skip
    if characters < 1:
        raise ConfigError(f"characters to learn from: {characters}; allowed: 1 or more")
    return train_tokenizer(_Sample(sources, characters // len(sources)), vocab_size, fewest)


@dataclass(frozen=True)
class _Sample:
    sources: Sequence[str | Path]
    characters: int  # of each source

    def __iter__(self) -> Iterator[str]:
        for stream in [stream_documents(source) for source in self.sources]:
            seen = 0
            for title, text in stream:
                yield f"{title} {text}"
                seen += len(title) + len(text)
                if seen >= self.characters:
                    break


def _write_tokens(
    parts: Iterable[Tokenised], file: Path
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Write the tokens as they come; the lengths and the titles of each batch."""
    lengths, titles, size = [], [], 0
    with open(file, "wb") as opened:
        _write_header(opened, 0)
        for tokens, batch_lengths, batch_titles in parts:
            opened.write(tokens.data)
            size += len(tokens)
            lengths.append(batch_lengths)
            titles.append(batch_titles)
        opened.seek(0)
        _write_header(opened, size)
    return lengths, titles


def _write_header(file: BinaryIO, size: int) -> None:
    """The header of an int32 array in a .npy file: 128 bytes, whatever the size."""
    kind = np.lib.format.dtype_to_descr(np.dtype(np.int32))
    header = {"descr": kind, "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)


def _tokenised(
    documents: Iterable[Documents], tokenizer: Path, workers: int
) -> Iterator[Tokenised]:
    """Each batch tokenised, in order. No more than two batches a worker are waiting at a time."""
    if workers == 1:
        yield from (_tokenise(batch, tokenizer) for batch in documents)
        return
    waiting: deque[Future[Tokenised]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool:
        try:
            for batch in documents:
                waiting.append(pool.submit(_tokenise, batch, tokenizer))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ConfigError(
                f"one of {workers} workers died, perhaps for want of memory; try --workers 1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent ends, and its workers with it
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _tokenise(documents: Documents, tokenizer: Path) -> Tokenised:
    return tokenise(documents, _loaded(tokenizer))


@lru_cache(maxsize=1)
def _loaded(tokenizer: Path) -> Tokenizer:
    return load_tokenizer(tokenizer)
