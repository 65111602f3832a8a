"""Runs and judgements as files that every evaluation tool reads.

    run      query Q0 document rank score tag     columns apart by white space (TREC)
    qrels    query 0 document grade               columns apart by white space (TREC)
    qrels    query-id <tab> corpus-id <tab> score with this header (BEIR's .tsv)

A name that ends in .gz is compressed. Files are written whole or not at all.
"""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from contriever_lite.beir import COLUMNS
from contriever_lite.errors import DataError
from contriever_lite.files import new_file
from contriever_lite.metrics import Qrels, Run, ranking
from contriever_lite.records import INTEGER, Faults, numbered_lines, table_rows

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_run(path: str | Path) -> Run:
    """Query id -> document id -> score of a TREC run file; ranks and tags are not used.

    As in trec_eval, the score alone decides the order (see `metrics.ranking`). Raises DataError
    with file and line: not six columns, a score that is not a finite number, a document twice.
    """
    path, faults, run = _existing(path), Faults(), {}
    for number, cells in _fields(path, "query Q0 document rank score tag", faults):
        query, _, document, _, score, _ = cells
        if not NUMBER.fullmatch(score) or not math.isfinite(float(score)):
            faults.add(path, number, f"score {score!r} is not a finite number")
        elif document in run.setdefault(query, {}):
            faults.add(path, number, f"query {query!r} lists document {document!r} before")
        else:
            run[query][document] = float(score)
    faults.settle()
    return run


def write_run(
    run: Run, path: str | Path, tag: str = "contriever-lite", overwrite: bool = False
) -> None:
    """Write a TREC run file, best first, with scores that read back as the same numbers.

    A query without results has no line, so it is missing when read back: every measure is 0 either
    way. Raises DataError if `path` exists (unless overwrite), for a score that is not finite, and
    for an id or tag that is empty, holds white space or cannot be printed.
    """
    tag = _one_word(tag)
    with _complete(Path(path), overwrite) as file:
        for query, scores in run.items():
            query = _one_word(query)
            for rank, document in enumerate(ranking(scores), start=1):
                score = float(scores[document])
                if not math.isfinite(score):
                    raise DataError(f"query {query!r}, document {document!r}: score {score}")
                file.write(f"{query} Q0 {_one_word(document)} {rank} {score!r} {tag}\n")


def read_qrels(path: str | Path) -> Qrels:
    """Query id -> document id -> grade, of TREC's four columns or of BEIR's table (by its header).

    Raises DataError with file and line: a missing column, a grade that is not a whole number, a
    pair with two grades, a file without a judgement.
    """
    path, faults, qrels = _existing(path), Faults(), {}
    for number, (query, document, grade) in _judgements(path, faults):
        if not INTEGER.fullmatch(grade):
            faults.add(path, number, f"grade {grade!r} is not a whole number")
        elif qrels.setdefault(query, {}).setdefault(document, int(grade)) != int(grade):
            before = qrels[query][document]
            faults.add(path, number, f"query {query!r}, document {document!r}: before {before}")
    if not qrels and not faults.found:
        faults.add(path, 1, "the file holds no judgement")
    faults.settle()
    return qrels


def write_qrels(qrels: Qrels, path: str | Path, overwrite: bool = False) -> None:
    """Write judgements, as BEIR's table if the name ends in .tsv or .tsv.gz, else as TREC's.

    A query without judgements has no line. Raises DataError as `write_run` does.
    """
    table = ".tsv" in Path(path).suffixes[-2:]
    with _complete(Path(path), overwrite) as file:
        if table:
            file.write("\t".join(COLUMNS) + "\n")
        for query, judged in qrels.items():
            for document, grade in judged.items():
                names = _one_word(query), _one_word(document)
                cells = (*names, grade) if table else (names[0], 0, names[1], grade)
                file.write(("\t" if table else " ").join(map(str, cells)) + "\n")


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise DataError(f"no file {path}")
    return Path(path)


def _fields(path: Path, columns: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    wanted = len(columns.split())
    for number, line in numbered_lines(path, faults):
        cells = line.split()
        if len(cells) == wanted:
            yield number, cells
        else:
            faults.add(path, number, f"{len(cells)} columns, wanted {wanted}: {columns}")


def _judgements(path: Path, faults: Faults) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(line number, (query, document, grade)) of either format."""
    _, first = next(numbered_lines(path, Faults()), (1, ""))
    if COLUMNS[0] in first.split():
        yield from table_rows(path, COLUMNS, faults)
    else:
        for number, cells in _fields(path, "query 0 document grade", faults):
            yield number, (cells[0], *cells[2:])


def _one_word(name: str) -> str:
    if name.split() != [name] or not name.isprintable():
        raise DataError(f"{name!r} cannot be a word of a TREC file: no white space, not empty")
    return name


@contextmanager
def _complete(path: Path, overwrite: bool) -> Iterator[TextIO]:
    """Open a file that takes its name only when the block ends without an error."""
    opened = gzip.open if path.suffix == ".gz" else open
    with (
        new_file(path, overwrite) as work,
        opened(work, "wt", encoding="utf-8", newline="\n") as file,
    ):
        yield file
