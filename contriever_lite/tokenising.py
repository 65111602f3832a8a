"""Batches of documents to tokens, in order, in as many processes as asked for."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path

from tokenizers import Tokenizer

from contriever_lite.corpus import Documents, Tokenised, tokenise
from contriever_lite.errors import ConfigError
from contriever_lite.tokens import load_tokenizer


def tokenise_batches(
    documents: Iterable[Documents], tokenizer: Path, workers: int
) -> Iterator[Tokenised]:
    """Each batch tokenised, in order, by the tokenizer in a file. workers: processes; 1: this one,
    with the threads of `tokenizers`. No more than two batches a worker are waiting at a time.
    Raises ConfigError where a worker dies."""
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
    return tokenise(documents, _loaded(tokenizer, tokenizer.stat().st_mtime_ns))


@lru_cache(maxsize=1)
def _loaded(tokenizer: Path, written: int) -> Tokenizer:
    """written: when; a file of the same name may be another's."""
    return load_tokenizer(tokenizer)
