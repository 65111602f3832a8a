"""Look a BEIR folder through and say what is in it; the content's hashes, to compare copies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contriever_lite.beir import (
    Judgements,
    joined,
    read_judgements,
    read_queries,
    read_texts,
    splits,
)
from contriever_lite.beir_writer import serialise
from contriever_lite.catalogue import ENTRIES
from contriever_lite.records import Faults

RECORDED = {entry.name: entry.content for entry in ENTRIES if entry.content}


@dataclass(frozen=True)
class Split:
    """One split's judgements: queries judged, pairs judged, pairs relevant (grade above 0)."""

    queries: int
    judgements: int
    relevant: int
    without_relevant: int  # judged queries to which nothing is relevant: every score of theirs is 0


@dataclass(frozen=True)
class Report:
    """What `check` found; printed, a few lines for a person."""

    folder: Path
    documents: int
    queries: int
    splits: dict[str, Split]
    empty_documents: list[str]
    empty_queries: list[str]
    unjudged_queries: int
    other_tables: list[str]  # qrels/*.tsv without a score column: not splits
    content: dict[str, str] = field(repr=False)  # file -> sha256, see fingerprints

    def differing(self) -> list[str] | None:
        """Files unlike the record of the collection of the folder's name; None: no record."""
        recorded = RECORDED.get(self.folder.resolve().name)
        if recorded is None:
            return None
        return [name for name, digest in recorded.items() if self.content.get(name) != digest]

    def __str__(self) -> str:
        lines = [f"{self.folder}: {self.documents:,} documents, {self.queries:,} queries"]
        for name, split in self.splits.items():
            lines.append(f"  {name}: {split.queries:,} queries judged, {split.judgements:,} "
                         f"judgements, {split.relevant:,} of them relevant")  # fmt: skip
            if split.without_relevant:
                lines.append(f"    {split.without_relevant:,} of the queries have no relevant one")
        for count, what in (
            (len(self.empty_documents), f"empty documents: {some(self.empty_documents)}"),
            (len(self.empty_queries), f"empty queries: {some(self.empty_queries)}"),
            (self.unjudged_queries, "queries that no split judges"),
            (len(self.other_tables), f"other tables in qrels, ignored: {some(self.other_tables)}"),
        ):
            if count:
                lines.append(f"  {count:,} {what}")
        changed = self.differing()
        if changed is not None:
            found = f"differs in {', '.join(changed)}" if changed else "identical"
            lines.append(f"  compared with this project's record of {self.folder.name}: {found}")
        return "\n".join(lines)


def some(names: list[str], most: int = 5) -> str:
    """The first few names, and dots for the rest."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def check(folder: str | Path) -> Report:
    """Read every file of a BEIR folder, every split; count, and hash the content.

    Raises DataError naming file and line of up to twenty faults.
    """
    folder, faults = Path(folder), Faults()
    names = splits(folder)
    corpus = read_texts(folder, faults)
    queries = read_queries(folder, faults)
    qrels = {
        name: read_judgements(folder / "qrels" / f"{name}.tsv", queries, corpus, faults)
        for name in names
    }
    faults.settle()
    judged = {query for judgements in qrels.values() for query in judgements}
    tables = sorted(path.name for path in (folder / "qrels").glob("*.tsv"))
    return Report(
        folder,
        len(corpus),
        len(queries),
        {name: count(judgements) for name, judgements in qrels.items()},
        [id_ for id_, document in corpus.items() if not joined(document)],
        [id_ for id_, text in queries.items() if not text.strip()],
        len(queries) - len(judged),
        [name for name in tables if name.removesuffix(".tsv") not in names],
        fingerprints(serialise(corpus, queries, qrels)),
    )


def count(judgements: Judgements) -> Split:
    """The numbers of one split."""
    relevant = [sum(grade > 0 for grade in grades.values()) for grades in judgements.values()]
    pairs = sum(len(grades) for grades in judgements.values())
    return Split(len(judgements), pairs, sum(relevant), relevant.count(0))


def fingerprints(files: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """File name -> sha256 of the file as this package would write it (`beir.serialise`).

    Two folders with the same ids, titles, texts and judgements in the same order have the same
    fingerprints, whatever other fields, spacing or compression their files have.
    """
    found = {}
    for name, lines in files.items():
        digest = hashlib.sha256()
        for line in lines:
            digest.update(line.encode())
        found[name] = digest.hexdigest()
    return found
