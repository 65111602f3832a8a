"""Data sets of the Hugging Face hub, streamed; needs the package datasets, the extra hub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from contriever_lite.errors import SourceError

PREFIX = "hub:"


def hub_rows(source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number from 1, row) of hub:NAME[:CONFIGURATION[:SPLIT]], split train by default,
    as in hub:wikimedia/wikipedia:20231101.en; nothing is kept on the disk.

    The data set is looked up at the call. Raises DataError without the package or the network, and
    where there is no such data set, configuration or split; ConnectionError if reading breaks off.
    """
    name, _, rest = source.removeprefix(PREFIX).partition(":")
    configuration, _, split = rest.partition(":")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise SourceError(
            f"{source}: the hub's data sets need a package more: pip install 'contriever-lite[hub]'"
        ) from error
    try:
        rows = load_dataset(name, configuration or None, split=split or "train", streaming=True)
    except Exception as error:  # `datasets` lets through what a dozen other libraries raise
        raise SourceError(
            f"cannot open {source}: {error}. Write hub:NAME:CONFIGURATION as on the data set's "
            "page at huggingface.co; it needs a network, and HF_HUB_OFFLINE unset"
        ) from error
    return _numbered(rows, source)


def _numbered(rows: Iterable[dict[str, Any]], source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            yield number, row
    except Exception as error:
        raise ConnectionError(f"{source} broke off after row {number:,}: {error}") from error
