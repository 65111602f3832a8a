"""BEIR's folder layout, written: one spelling, all or nothing, never over what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from contriever_lite.beir import COLUMNS, Collection, Corpus, Judgements
from contriever_lite.errors import DataError
from contriever_lite.files import new_folder


def write_beir(collection: Collection, folder: str | Path) -> None:
    """Write a collection as a BEIR folder with its one split; see `write_folder`."""
    qrels = {collection.split: collection.qrels}
    write_folder(folder, collection.corpus, collection.queries, qrels)


def write_folder(
    folder: str | Path, corpus: Corpus, queries: Mapping[str, str], qrels: Mapping[str, Judgements]
) -> None:
    """Write a BEIR folder with any number of splits (split -> judgements).

    All or nothing: the folder appears when it is complete. Raises DataError if it exists already.
    """
    with new_folder(folder) as staging:
        for name, lines in serialise(corpus, queries, qrels).items():
            path = staging / name
            path.parent.mkdir(exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(lines)


def serialise(
    corpus: Corpus, queries: Mapping[str, str], qrels: Mapping[str, Judgements]
) -> dict[str, Iterator[str]]:
    """File name -> its lines: the one spelling in which this package writes a collection."""

    def objects(records: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        for id_, record in records.items():
            yield json.dumps({"_id": id_, **record}, ensure_ascii=False) + "\n"

    def table(judgements: Judgements) -> Iterator[str]:
        yield "\t".join(COLUMNS) + "\n"
        for query, grades in judgements.items():
            for document, grade in grades.items():
                if any(character in query + document for character in "\t\n\r"):
                    raise DataError(f"id {query!r} or {document!r} holds a tab or line end")
                yield f"{query}\t{document}\t{grade}\n"

    return {
        "corpus.jsonl": objects(corpus),
        "queries.jsonl": objects({id_: {"text": text} for id_, text in queries.items()}),
        **{f"qrels/{split}.tsv": table(judgements) for split, judgements in qrels.items()},
    }
