"""Find a test collection by name: on this machine, or else at its public home.

A name is looked for in $CONTRIEVER_LITE_DATA/collections/NAME, then in the cache folder, and is
downloaded into the cache if it is in neither. The embedded collections (wikipedia-vital and its
variants) and the one in this repository (tiny) are always there.
"""

from __future__ import annotations

import difflib
import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from contriever_lite.beir_writer import write_folder
from contriever_lite.catalogue import ENTRIES, Entry
from contriever_lite.check import check
from contriever_lite.convert import convert
from contriever_lite.download import fetch
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.files import new_folder
from contriever_lite.unpack import unpack
from contriever_lite.wikipedia import NAMES, SPLITS, load_wikipedia

REGISTRY: dict[str, Entry] = {entry.name: entry for entry in ENTRIES}


def find(name: str) -> Entry:
    """The entry of a name; ConfigError with the nearest names if there is none."""
    if name in REGISTRY:
        return REGISTRY[name]
    near = difflib.get_close_matches(name, REGISTRY, n=3) or [
        known for known in REGISTRY if known.startswith(f"{name}/")
    ]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(
        f"no collection {name!r}.{hint} `contriever-lite data list` shows all names; "
        f"a folder of your own is given by its path, ./{name}"
    )


def names_a_folder(source: str | Path) -> bool:
    """Is it the path of a folder, or a name to look up? A Path is a path; a string is a name of the
    registry if there is one, a path if it begins with . or /, else what stands there."""
    name = str(source)
    if isinstance(source, Path) or name.startswith((".", "/")):
        return True
    return name != "" and name not in REGISTRY and Path(name).is_dir()


def repository() -> Path | None:
    """The checkout this package runs from, or in which the program was started; None without."""
    for folder in (Path(__file__).resolve().parents[1], Path.cwd(), *Path.cwd().parents):
        if (folder / "data" / "tiny" / "corpus.jsonl").is_file():
            return folder
    return None


def cache_folder() -> Path:
    """Where downloads are kept: $CONTRIEVER_LITE_CACHE; data/cache in a checkout; else the user's.

    The user's is $XDG_CACHE_HOME, %LOCALAPPDATA% or ~/.cache, and contriever-lite in it.
    """
    if os.environ.get("CONTRIEVER_LITE_CACHE"):
        return Path(os.environ["CONTRIEVER_LITE_CACHE"])
    checkout = repository()
    if checkout is not None:
        return checkout / "data" / "cache"
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return Path(home).expanduser() / "contriever-lite"


def locate(name: str) -> Path | None:
    """The folder of a registered collection on this machine, None if it is not there yet."""
    entry = find(name)
    places = [cache_folder() / entry.name]
    if os.environ.get("CONTRIEVER_LITE_DATA"):
        data = Path(os.environ["CONTRIEVER_LITE_DATA"])
        if not data.is_dir():
            raise ConfigError(f"CONTRIEVER_LITE_DATA is {str(data)!r}, which is not a folder")
        places.insert(0, data / "collections" / entry.name)
    checkout = repository()
    if name == "tiny" and checkout is not None:
        places.insert(0, checkout / "data" / "tiny")
    return next((place for place in places if place.is_dir()), None)


def get(name: str) -> Path:
    """The folder of a collection, downloaded first if it is not on this machine.

    Raises ConfigError for an unknown name, DataError if it cannot be had or arrives broken.
    """
    entry = find(name)
    place = locate(name)
    if place is not None:
        return place
    folder = cache_folder() / entry.unit
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{entry.unit}.lock")):
        if not folder.exists():
            if name in NAMES:
                write_embedded(name, folder)
            elif entry.url is None:
                raise DataError(f"{name} is part of this project's repository: run inside a clone")
            else:
                archive = cache_folder() / "downloads" / entry.archive
                build(entry, fetch(entry.url, archive, entry.digest, entry.size), folder)
    if not (cache_folder() / name).is_dir():
        raise DataError(f"{folder} is there, without {name}: move it away to download it again")
    return cache_folder() / name


def build(entry: Entry, archive: Path, folder: Path) -> None:
    """Unpack, and convert if need be, a downloaded archive into `folder`: whole or not at all."""
    if entry.converter is None:
        with new_folder(folder) as staging:
            unpack(archive, staging, strip=entry.unit)
        return
    with TemporaryDirectory(dir=folder.parent) as raw:
        unpack(archive, Path(raw))
        write_folder(folder, *convert(entry.converter, Path(raw)))
    report = check(folder)
    if report.differing():
        warnings.warn(f"converted, but not to the content on record:\n{report}", stacklevel=2)


def write_embedded(name: str, folder: Path) -> None:
    """Write an embedded collection, both halves, as a BEIR folder."""
    halves = [load_wikipedia(name, split) for split in SPLITS]
    queries = {id_: text for half in halves for id_, text in half.queries.items()}
    write_folder(folder, halves[0].corpus, queries, {half.split: half.qrels for half in halves})


def state(name: str) -> str:
    """Where a collection is, in words: a path, "embedded", or "to download" with its size."""
    if name in NAMES:
        return "embedded"
    place = locate(name)
    if place is not None:
        return str(place)
    entry = find(name)
    if entry.url is None:
        return "in a clone of this project only"
    size = entry.size
    return "to download" + (f" ({size / 1e6:,.0f} MB)" if size else "")


def overview() -> str:
    """Every collection, a line each: name, documents, queries, where, what."""
    return "\n".join(
        f"{name:28}{entry.documents:>10,}{entry.queries:>8,}  {state(name)}\n{'':28}  {entry.what}"
        for name, entry in REGISTRY.items()
    )


def info(name: str) -> str:
    """Everything known about a collection, and a check of the copy on this machine."""
    entry = find(name)
    lines = [
        f"{entry.name}: {entry.what}",
        f"  {entry.documents:,} documents; split {entry.split}: {entry.queries:,} queries, "
        f"{entry.judgements:,} judgements; language {entry.language}",
        f"  licence: {entry.licence}",
        f"  cite: {entry.citation}",
        f"  home: {entry.url or 'none needed'}",
        f"  published hash: {entry.digest or 'none'}",
        *(f"  content on record: {file} sha256:{hex_}" for file, hex_ in entry.content.items()),
        f"  here: {state(name)}",
    ]
    place = None if name in NAMES else locate(name)
    return "\n".join([*lines, str(check(place))] if place else lines)
