"""Test collections by name or by folder: documents, queries, judgements.

    collection = load_collection("wikipedia-vital", "dev")
    collection = load_collection("path/to/a/beir/folder")

A name of the registry is looked up, and downloaded if need be (contriever_lite.registry); anything
else is the path of a BEIR folder (contriever_lite.beir), which is read as it stands.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from contriever_lite.beir import Collection, read_beir, read_beir_documents
from contriever_lite.beir_writer import write_beir, write_folder
from contriever_lite.check import Report, check
from contriever_lite.registry import Entry, find, get, names_a_folder
from contriever_lite.wikipedia import NAMES, load_wikipedia

__all__ = [
    "Collection",
    "Report",
    "check",
    "load_collection",
    "load_documents",
    "read_beir",
    "write_beir",
    "write_folder",
]


def load_collection(name_or_path: str | Path, split: str | None = None) -> Collection:
    """Load one split of a registered collection or of a BEIR folder.

    A string that is a registered name means that collection; write ./NAME for a folder called so.
    split: by default "test", but "dev" for msmarco, as BEIR has it.

    Raises ConfigError for an unknown name or split and DataError for broken or missing data.
    """
    if names_a_folder(name_or_path):
        return read_beir(name_or_path, split or "test")
    entry = find(str(name_or_path))
    split = split or entry.split
    if entry.name in NAMES:
        return load_wikipedia(entry.name, split)
    return _named(entry, read_beir(get(entry.name), split))


def load_documents(name_or_path: str | Path) -> Collection:
    """The documents of a collection, found as above; queries and judgements need not be there."""
    if names_a_folder(name_or_path):
        return read_beir_documents(name_or_path)
    entry = find(str(name_or_path))
    if entry.name in NAMES:
        return load_wikipedia(entry.name, entry.split)
    return _named(entry, read_beir_documents(get(entry.name)))


def _named(entry: Entry, collection: Collection) -> Collection:
    about = {"name": entry.name, "language": entry.language, "same_ids": entry.same_ids}
    return dataclasses.replace(collection, **about)
