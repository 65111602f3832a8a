"""Read text files line by line, and say exactly where one is broken.

Every reader takes a `Faults`: it notes `file:line: what is wrong` and goes on, so that one look at
a broken file shows up to twenty mistakes instead of the first. Whoever reads calls `settle` at the
end: with any fault noted it raises, so nothing half-read is ever returned.

Accepted without a word: a byte order mark, Windows line ends, blank lines, packed files (a name
ending in .gz, .xz, .bz2 or .zst), whole numbers as ids (they become strings).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from contriever_lite.compressed import DAMAGE, unpacked
from contriever_lite.errors import DataError

INTEGER = re.compile(r"[+-]?[0-9]+")


@dataclass
class Faults:
    """Mistakes found so far, each `file:line: message`; at `limit` of them reading stops."""

    limit: int = 20
    found: list[str] = field(default_factory=list)

    def add(self, path: str | Path, line: int, message: str) -> None:
        self.found.append(f"{path}:{line}: {message}")
        if len(self.found) >= self.limit:
            self.settle()

    def settle(self) -> None:
        """Raise `DataError` with every fault noted; do nothing if there is none."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise DataError(self.found[0])
        more = " (stopped there)" if len(self.found) >= self.limit else ""
        raise DataError("\n".join([f"{len(self.found)} faults{more}:", *self.found]))


def numbered_lines(
    path: Path, faults: Faults, bar: tqdm | None = None
) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) of every line that is not blank.

    Notes invalid UTF-8 and a packed file that is cut short or damaged. A bar of the bytes read from
    the disk appears after two seconds, or `bar`, which may serve several files, is told of them.
    """
    number = read = 0
    with open(path, "rb") as file, unpacked(file, path.suffix) as lines, byte_bar(path, bar) as bar:
        try:
            for number, raw in enumerate(lines, start=1):
                read, before = file.tell(), read
                bar.update(read - before)
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    faults.add(path, number, f"not UTF-8 (byte {error.start + 1} of the line)")
                    continue
                if line.strip():
                    yield number, line
        except DAMAGE as error:
            if getattr(error, "errno", None):
                raise
            kind = {".gz": "gzip"}.get(path.suffix, path.suffix)
            faults.add(path, number + 1, f"the {kind} file is cut short or damaged ({error})")


def byte_bar(path: Path, shared: tqdm | None = None) -> AbstractContextManager[tqdm]:
    """A bar of a file's bytes that appears after two seconds, or the one that is shared."""
    if shared is not None:
        return nullcontext(shared)
    size = path.stat().st_size
    return tqdm(desc=path.name, total=size, unit="B", unit_scale=True, delay=2, leave=False)


def json_objects(path: Path, faults: Faults, bar: tqdm | None = None) -> Iterator[tuple[int, dict]]:
    """Yield (line number, object) of a JSON-lines file; note every line that is not an object."""
    for number, line in numbered_lines(path, faults, bar):
        try:
            value = json.loads(line)
            if "\\u" in line:
                json.dumps(value, ensure_ascii=False).encode()  # fails on half a surrogate pair
        except UnicodeEncodeError:
            faults.add(path, number, "an escape such as \\ud800 is half of a character")
        except (ValueError, RecursionError) as error:
            faults.add(path, number, f"not a line of JSON ({error})")
        else:
            if isinstance(value, dict):
                yield number, value
            else:
                faults.add(path, number, f"{type(value).__name__} where an object {{...}} belongs")


def identifier(value: object) -> str | None:
    """A record's id as a string: a string that is not blank, or a whole number; otherwise None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def identified(path: Path, faults: Faults) -> Iterator[tuple[int, str, dict]]:
    """Yield (line number, id, object): every object must have an `_id` of its own and a `text`."""
    first_seen: dict[str, int] = {}
    for number, record in json_objects(path, faults):
        id_ = identifier(record.get("_id"))
        if id_ is None:
            faults.add(path, number, f"_id is {record.get('_id')!r}: a string or whole number")
        elif id_ in first_seen:
            faults.add(path, number, f"_id {id_!r} is already on line {first_seen[id_]}")
        elif not isinstance(record.get("text"), str):
            faults.add(path, number, f"text is {record.get('text')!r}: it must be a string")
        else:
            first_seen[id_] = number
            yield number, id_, record


def table_rows(
    path: Path, columns: tuple[str, ...], faults: Faults
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line number, values of `columns`) of a tab-separated file with a header line."""
    places: list[int] | None = None
    for number, line in numbered_lines(path, faults):
        cells = [cell.strip() for cell in line.split("\t")]
        if places is None:
            missing = [column for column in columns if column not in cells]
            if missing:
                wanted = "<tab>".join(columns)
                faults.add(path, number, f"no column {missing[0]!r}: the header must be {wanted}")
                return
            places = [cells.index(column) for column in columns]
        elif len(cells) <= max(places):
            wanted = max(places) + 1
            faults.add(path, number, f"{len(cells)} columns, separated by tabs, not {wanted}")
        else:
            yield number, tuple(cells[place] for place in places)
