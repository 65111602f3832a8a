"""BEIR's folder layout, read: the form in which every test collection is kept.

    corpus.jsonl      {"_id": ..., "title": ..., "text": ...}   a document a line
    queries.jsonl     {"_id": ..., "text": ...}                 a query a line, all splits together
    qrels/SPLIT.tsv   query-id <tab> corpus-id <tab> score      a header, then a judgement a line

Layout: Thakur et al. 2021, "BEIR: A Heterogeneous Benchmark for Zero-shot Evaluation of Information
Retrieval Models". The two .jsonl files may be gzipped (.jsonl.gz); `title` may be missing; other
fields are ignored; a score is a whole number, relevant above 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.records import INTEGER, Faults, identified, table_rows

COLUMNS = ("query-id", "corpus-id", "score")

Corpus = dict[str, dict[str, str]]
Judgements = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Collection:
    """Documents, one split's judged queries, and the judgements: all that an evaluation needs.

    corpus: document id -> {"title": str, "text": str}, in file order
    queries: query id -> text, the split's judged queries only, in file order
    qrels: query id -> document id -> grade (relevant above 0)
    same_ids: is a document with a query's id that query itself (ArguAna, Quora)? None: not known
    """

    name: str
    split: str
    corpus: Corpus
    queries: dict[str, str]
    qrels: Judgements
    language: str = "en"
    same_ids: bool | None = None

    def document_ids(self) -> list[str]:
        return list(self.corpus)

    def texts(self) -> list[str]:
        """What is searched: title + " " + text of each document, in the order of `corpus`."""
        return [joined(document) for document in self.corpus.values()]

    def empty_documents(self) -> list[str]:
        """Ids of documents with neither title nor text: kept, for judgements may name them."""
        return [id_ for id_, document in self.corpus.items() if not joined(document)]

    def self_matches(self) -> set[str]:
        """Ids of queries that stand among the documents and are no answer to themselves, as BEIR
        has it. Where `same_ids` is not known: none, if such a document was judged relevant to its
        query, for then queries and documents were numbered apart."""
        if self.same_ids is False:
            return set()
        same = {query for query in self.queries if query in self.corpus}
        if self.same_ids is None and any(self.qrels.get(q, {}).get(q, 0) > 0 for q in same):
            return set()
        return same

    def without_titles(self) -> Collection:
        """The same documents without their titles, under a name that says so."""
        bare = {id_: {"title": "", "text": d["text"]} for id_, d in self.corpus.items()}
        return replace(self, name=f"{self.name}, no titles", corpus=bare)


def joined(document: Mapping[str, str]) -> str:
    """A document as it is searched: title + " " + text, stripped."""
    return (document["title"] + " " + document["text"]).strip()


def read_beir(folder: str | Path, split: str = "test") -> Collection:
    """Read one split of a BEIR folder.

    Raises DataError with file and line for what is broken (up to twenty faults at once), and
    ConfigError for a split that is not there. Documents without text are kept, with one warning.
    """
    folder = Path(folder)
    there = splits(folder)
    if split not in there:
        raise ConfigError(f"no split {split!r} in {folder}: it has {', '.join(there)}")
    faults = Faults()
    corpus = read_texts(folder, faults)
    queries = read_queries(folder, faults)
    qrels = read_judgements(folder / "qrels" / f"{split}.tsv", queries, corpus, faults)
    faults.settle()
    judged = {id_: text for id_, text in queries.items() if id_ in qrels}
    qrels = {id_: qrels[id_] for id_ in judged}
    collection = Collection(folder.resolve().name, split, corpus, judged, qrels)
    warn_of_empty(collection)
    return collection


def read_beir_documents(folder: str | Path) -> Collection:
    """The documents alone, as a collection without a query: corpus.jsonl is enough."""
    if not Path(folder).is_dir():
        raise DataError(f"no folder {folder} (a BEIR folder holds corpus.jsonl)")
    faults = Faults()
    corpus = read_texts(Path(folder), faults)
    faults.settle()
    collection = Collection(Path(folder).resolve().name, "", corpus, {}, {})
    warn_of_empty(collection)
    return collection


def warn_of_empty(collection: Collection) -> None:
    """One warning that counts the documents without text and names the first five."""
    empty = collection.empty_documents()
    if empty:
        some = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        warnings.warn(
            f"{collection.name}: {len(empty)} of {len(collection.corpus)} documents have neither "
            f"title nor text ({some}); they are kept and can only be found by chance",
            stacklevel=3,
        )


def splits(folder: str | Path) -> list[str]:
    """The splits of a BEIR folder: each qrels/*.tsv with the three columns, sorted by name.

    A table without a score column (Cranfield's original codes, say) is not a split. Raises
    DataError if the folder, its qrels or every split is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"no folder {folder} (a BEIR folder: corpus.jsonl, queries.jsonl, qrels/)")
    tables = sorted((folder / "qrels").glob("*.tsv"))
    if not tables:
        raise DataError(f"{folder} has no qrels/SPLIT.tsv: add one with {'<tab>'.join(COLUMNS)}")
    broken = {table: header_faults(table) for table in tables}
    if all(broken.values()):
        raise DataError("\n".join(faults[0] for faults in broken.values()))
    return [table.stem for table, faults in broken.items() if not faults]


def header_faults(table: Path) -> list[str]:
    """What is wrong with a table's header line; nothing, if it has the three columns."""
    faults = Faults()
    if next(table_rows(table, COLUMNS, faults), None) is None and not faults.found:
        return [f"{table}:1: the file is empty or holds a header only"]
    return faults.found[:1] if any("no column" in fault for fault in faults.found) else []


def data_file(folder: Path, stem: str) -> Path:
    """corpus or queries, plain or gzipped."""
    for name in (f"{stem}.jsonl", f"{stem}.jsonl.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder} has no {stem}.jsonl (or {stem}.jsonl.gz)")


def read_texts(folder: Path, faults: Faults) -> Corpus:
    """Every document of a folder: id -> title and text."""
    path, corpus = data_file(folder, "corpus"), {}
    for number, id_, record in identified(path, faults):
        title = record.get("title") or ""
        if isinstance(title, str):
            corpus[id_] = {"title": title, "text": record["text"]}
        else:
            faults.add(path, number, f"title is {title!r}: it must be a string")
    if not corpus and not faults.found:
        faults.add(path, 1, "the file holds no document")
    return corpus


def read_queries(folder: Path, faults: Faults) -> dict[str, str]:
    """Every query of a folder, of all splits: id -> text."""
    path = data_file(folder, "queries")
    queries = {id_: record["text"] for _, id_, record in identified(path, faults)}
    if not queries and not faults.found:
        faults.add(path, 1, "the file holds no query")
    return queries


def read_judgements(
    path: Path, queries: Mapping[str, str], corpus: Corpus, faults: Faults
) -> Judgements:
    """One split's judgements. The same pair twice is an error unless the grades agree."""
    qrels: Judgements = {}
    for number, (query, document, score) in table_rows(path, COLUMNS, faults):
        if query not in queries:
            faults.add(path, number, f"query {query!r} is not in queries.jsonl")
        elif document not in corpus:
            faults.add(path, number, f"document {document!r} is not in corpus.jsonl")
        elif not INTEGER.fullmatch(score):
            faults.add(path, number, f"score {score!r} is not a whole number")
        elif qrels.setdefault(query, {}).setdefault(document, int(score)) != int(score):
            before = qrels[query][document]
            faults.add(path, number, f"{query!r} with {document!r} was judged before as {before}")
    if not qrels and not faults.found:
        faults.add(path, 1, "the file holds no judgement")
    return qrels
