"""Read parquet files row by row, a few rows in memory; needs the package pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from contriever_lite.errors import DataError, SourceError
from contriever_lite.records import Faults, byte_bar

ROWS = 256  # held at once


def parquet_rows(
    path: Path, columns: Sequence[str], faults: Faults, bar: tqdm | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, {column: value}) of the columns named that the file has.

    The first of them must be there: DataError names those there are. A file that is no parquet file
    or damaged becomes a fault. bar: as in records.numbered_lines.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SourceError(
            f"{path}: reading parquet needs a package more: pip install 'contriever-lite[parquet]'"
        ) from error
    number = 0
    try:
        with ParquetFile(path, buffer_size=1 << 16) as file, byte_bar(path, bar) as bar:
            present = file.schema_arrow.names
            if columns[0] not in present:
                raise DataError(f"{path}: no column {columns[0]!r}, only {', '.join(present)}; "
                                "choose one with --text-field")  # fmt: skip
            chosen = [column for column in columns if column in present]
            share = path.stat().st_size / max(1, file.metadata.num_rows)
            for batch in file.iter_batches(ROWS, columns=chosen, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
                bar.update(share * len(batch))
    except (ArrowException, OSError) as error:
        if getattr(error, "errno", None):
            raise
        faults.add(path, number + 1, f"the parquet file is cut short or damaged ({error})")
