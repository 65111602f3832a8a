"""Test collections by name or by folder: documents, queries, judgements.

    collection = load_collection("wikipedia-vital", "dev")
    collection = load_collection("path/to/a/beir/folder")

A name of the registry is looked up, and downloaded if need be (contriever_lite.registry); anything
else is the path of a BEIR folder (contriever_lite.beir), which is read as it stands.
"""

from __future__ import annotations

from pathlib import Path

from contriever_lite.beir import Collection, read_beir, write_beir, write_folder
from contriever_lite.wikipedia import NAMES, load_wikipedia

__all__ = ["Collection", "load_collection", "read_beir", "write_beir", "write_folder"]


def load_collection(name_or_path: str | Path, split: str | None = None) -> Collection:
    """Load one split (default: "test") of a registered collection or of a BEIR folder.

    A string that is a registered name means that collection; write ./NAME for a folder called so.
    Raises ConfigError for an unknown name or split and DataError for broken or missing data.
    """
    if name_or_path in NAMES:
        return load_wikipedia(str(name_or_path), split or "test")
    return read_beir(name_or_path, split or "test")
