"""Documents as a stream of (title, text) pairs, from whatever holds them; for training, so without
ids, queries or judgements.

A source is one of

- a collection's name, or a BEIR folder (its corpus file alone is read);
- a file of JSON lines, each an object with a string "text" and perhaps a string "title", plain or
  packed: .jsonl, .jsonl.gz, .jsonl.xz, .jsonl.bz2, .jsonl.zst (this one needs zstandard);
- a parquet file with such columns (needs pyarrow);
- a folder or a pattern ("web/*.parquet") of such files, read in the order of their names;
- a data set of the Hugging Face hub, "hub:wikimedia/wikipedia:20231101.en" (hub.py).

Other fields and columns are ignored; `Fields` says which ones to read instead of text and title.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from contriever_lite.beir import data_file
from contriever_lite.compressed import READERS
from contriever_lite.errors import DataError
from contriever_lite.hub import PREFIX, hub_rows
from contriever_lite.parquet import parquet_rows
from contriever_lite.records import Faults, json_objects
from contriever_lite.registry import get, names_a_folder
from contriever_lite.wikipedia import NAMES, load_wikipedia

PARQUET = ".parquet"
SUFFIXES = (".jsonl", *(f".jsonl{ending}" for ending in READERS), PARQUET)

Rows = Iterator[tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Fields:
    """Which field of a JSON object, or column of a table, holds what."""

    text: str = "text"
    title: str = "title"


TEXT_AND_TITLE = Fields()


def stream_documents(
    source: str | Path, fields: Fields = TEXT_AND_TITLE, bar: tqdm | None = None
) -> Iterator[tuple[str, str]]:
    """(title, text) of every document of a source, in order, one line of a file in memory.

    The source is looked up (and downloaded, for a name) at the call; reading then raises DataError
    with file and line, once up to twenty bad lines were found. Warns of documents without a word.
    bar: is told how many bytes of the files were read, in place of a bar a file.
    """
    if source in NAMES:
        documents = load_wikipedia(str(source)).corpus.values()
        return ((document["title"], document["text"]) for document in documents)
    if str(source).startswith(PREFIX):
        return _pairs(source, hub_rows(str(source)), fields, Faults())
    return chain.from_iterable(_file(path, fields, bar) for path in locate_documents(source))


def locate_documents(source: str | Path) -> list[Path]:
    """The files that a source stands for, one or several; none for a collection that a package
    brings along, and for a data set of the hub. Raises DataError where there is no such file, and
    ConfigError for a name that is not known."""
    path, name = Path(source), str(source)
    if source in NAMES or name.startswith(PREFIX):
        return []
    if path.is_file() or (name.endswith(SUFFIXES) and not has_magic(name) and not path.is_dir()):
        return [_readable(path)]
    if has_magic(name) and not path.is_dir():
        return [
            _readable(path) for path in _some(sorted(map(Path, glob(name, recursive=True))), name)
        ]
    if not names_a_folder(source):
        return [data_file(get(name), "corpus")]
    if not path.is_dir():
        raise DataError(f"no folder {path} (a BEIR folder holds corpus.jsonl)")
    shards = sorted(shard for shard in path.iterdir() if shard.name.endswith(SUFFIXES))
    if any(shard.name in ("corpus.jsonl", "corpus.jsonl.gz") for shard in shards) or not shards:
        return [data_file(path, "corpus")]
    return shards


def _readable(path: Path) -> Path:
    if path.name.endswith(SUFFIXES) and path.is_file():
        return path
    if path.is_file():
        raise DataError(
            f"{path} is neither JSON lines nor parquet by its name; allowed: {', '.join(SUFFIXES)}"
        )
    raise DataError(f"there is no file {path}; give a file, a folder, a pattern, or a name")


def _some(paths: list[Path], pattern: str) -> list[Path]:
    if not paths:
        raise DataError(f"no file matches {pattern!r}; give a file, a folder, a pattern, or a name")
    return paths


def _file(path: Path, fields: Fields, bar: tqdm | None) -> Iterator[tuple[str, str]]:
    faults = Faults()
    if path.suffix == PARQUET:
        rows = parquet_rows(path, (fields.text, fields.title), faults, bar)
    else:
        rows = json_objects(path, faults, bar)
    return _pairs(path, rows, fields, faults)


def _pairs(
    place: str | Path, rows: Rows, fields: Fields, faults: Faults
) -> Iterator[tuple[str, str]]:
    documents, empty = 0, 0
    for number, record in rows:
        title, text = record.get(fields.title) or "", record.get(fields.text)
        if not (isinstance(title, str) and isinstance(text, str)):
            wanted = f"needs a string `{fields.text}` (and `{fields.title}`, if any, a string)"
            faults.add(place, number, wanted)
            continue
        documents += 1
        empty += not (title.strip() or text.strip())
        yield title, text
    faults.settle()
    if empty:
        warnings.warn(
            f"{place}: {empty:,} of {documents:,} documents have neither title nor text; they are "
            "kept and can only be found by chance",
            stacklevel=2,
        )
