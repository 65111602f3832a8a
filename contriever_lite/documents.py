"""Documents as a stream of (title, text) pairs, from whatever holds them; for training, so without
ids, queries or judgements.

A source is a collection's name, a BEIR folder (its corpus file alone is read), or a file of JSON
lines, each an object with a string "text" and perhaps a string "title"; other fields are ignored.
The file may be packed: .jsonl, .jsonl.gz, .jsonl.xz, .jsonl.bz2, .jsonl.zst (this one needs the
package zstandard).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

from contriever_lite.beir import data_file
from contriever_lite.compressed import READERS
from contriever_lite.errors import DataError
from contriever_lite.records import Faults, json_objects
from contriever_lite.registry import REGISTRY, get
from contriever_lite.wikipedia import NAMES, load_wikipedia

SUFFIXES = (".jsonl", *(f".jsonl{ending}" for ending in READERS))


def stream_documents(source: str | Path) -> Iterator[tuple[str, str]]:
    """(title, text) of every document of a source, in order, one line of a file in memory.

    The source is looked up (and downloaded, for a name) at the call; reading then raises DataError
    with file and line, once up to twenty bad lines were found. Warns of documents without a word.
    """
    if source in NAMES:
        documents = load_wikipedia(str(source)).corpus.values()
        return ((document["title"], document["text"]) for document in documents)
    return _pairs(locate_documents(source))


def locate_documents(source: str | Path) -> Path:
    """The file of JSON lines that a source stands for. Raises DataError where there is none, and
    ConfigError for a name that is not known."""
    path, name = Path(source), str(source)
    if name.endswith(SUFFIXES):
        if not path.is_file():
            raise DataError(f"there is no file {path}; give a JSON-lines file, a folder, or a name")
        return path
    if path.is_file():
        raise DataError(f"{path} is not JSON lines by its name; allowed: {', '.join(SUFFIXES)}")
    by_path = isinstance(source, Path) or name.startswith((".", "/"))
    if not by_path and (name in REGISTRY or name == "" or not path.is_dir()):
        return data_file(get(name), "corpus")
    if not path.is_dir():
        raise DataError(f"no folder {path} (a BEIR folder holds corpus.jsonl)")
    return data_file(path, "corpus")


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    faults, documents, empty = Faults(), 0, 0
    for number, record in json_objects(path, faults):
        title, text = record.get("title") or "", record.get("text")
        if not (isinstance(title, str) and isinstance(text, str)):
            faults.add(path, number, "needs a string `text` (and `title`, if any, a string)")
            continue
        documents += 1
        empty += not (title.strip() or text.strip())
        yield title, text
    faults.settle()
    if empty:
        warnings.warn(
            f"{path}: {empty:,} of {documents:,} documents have neither title nor text; they are "
            "kept and can only be found by chance",
            stacklevel=2,
        )
