"""A million documents encoded and searched in blocks, killed on the way: memory, bytes, speed.

    python benchmarks/million.py [--documents 1000000] [--out FOLDER] [--json FILE]

--out keeps the vectors, and those of a thousand queries (FOLDER-queries.npy): scripts/indexes.py
compares indexes with them.

Documents: the beginnings of two sentences of wikipedia-vital, ten words each, drawn from a seed.
Encoder: the bag `wiki` that ships with the package, cut to 64 principal axes of wikipedia-vital.
Each encoding and each search is a process of its own, whose peak memory the system reports: of a
tenth of the documents, and of all of them, killed once (SIGKILL) and resumed. Printed: peak memory,
documents a second of processor time, and whether the killed one wrote the same bytes. One thread.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from contriever_lite.blocks import ENCODED, encode_blocks, search_blocks
from contriever_lite.checkpoint import SHIPPED
from contriever_lite.collection import load_collection
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.files import write_json
from contriever_lite.retriever import Retriever
from contriever_lite.truncation import first_numbers, principal_axes

DIMENSION, WORDS = 64, 10
QUERIES, SEARCHED = 1000, 200  # encoded and kept; searched


class ShortWiki:
    """The bag `wiki`, its vectors cut to the first principal axes of wikipedia-vital."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.whole = Retriever.load(SHIPPED / "wiki")
        self.axes = principal_axes(self.whole.encode(texts))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return first_numbers(self.whole.encode(texts), DIMENSION, self.axes)


def documents(texts: Sequence[str], count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """(id, text) of so many pairs of beginnings of sentences."""
    sentences = [s.split() for text in texts for s in re.split(r"(?<=[.!?])\s+", text)]
    beginnings = [" ".join(words[:WORDS]) for words in sentences if len(words) >= WORDS]
    rng = np.random.default_rng(seed)
    for number in range(count):
        first, second = rng.integers(len(beginnings), size=2)
        yield f"p{number}", f"{beginnings[first]}. {beginnings[second]}."


def work(what: str, folder: Path, count: int, resume: bool) -> None:
    """What a child does; it prints seconds of processor time and its peak memory."""
    collection = load_collection("wikipedia-vital", "dev")
    texts = collection.texts()
    encoder = ShortWiki(texts)
    start = time.process_time()
    if what == "encode":
        encode_blocks(encoder, documents(texts, count), folder, resume=resume)
    else:
        asked = list(collection.queries)[:QUERIES]
        vectors = encoder.encode([collection.queries[q] for q in asked])
        np.save(f"{folder}-queries.npy", vectors)
        search_blocks(EncodedCorpus.open(folder), vectors[:SEARCHED], asked[:SEARCHED])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.process_time() - start, "megabytes": peak}))


def child(what: str, folder: Path, count: int, *options: str) -> subprocess.Popen:
    command = [sys.executable, __file__, "--child", what, "--out", str(folder),
               "--documents", str(count), *options]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> dict[str, float]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a child ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])


def kill_at(process: subprocess.Popen, folder: Path, rows: int) -> int:
    """Kill an encoding that has done so many documents; how many they were."""
    manifest = folder.with_name(f"{folder.name}.part") / "manifest.json"
    while process.poll() is None:
        done = json.loads(manifest.read_text())["documents"] if manifest.exists() else 0
        if done >= rows:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            return done
        time.sleep(0.05)
    raise SystemExit("the encoding ended before it could be killed")


def measure(folder: Path, count: int) -> dict:
    """Encode a tenth and all of the documents, and search both."""
    few = max(count // 10 // ENCODED, 1) * ENCODED
    small = folder.with_name(f"{folder.name}-small")
    peaks = {"encode": {}, "search": {}}
    peaks["encode"][few] = finish(child("encode", small, few))
    done = kill_at(child("encode", folder, count), folder, few // 2)
    rest = finish(child("encode", folder, count, "--resume"))
    peaks["encode"][count] = rest
    for size, place in ((few, small), (count, folder)):
        peaks["search"][size] = finish(child("search", place, size))
    row = few * DIMENSION * 4
    with open(small / "vectors.f32", "rb") as a, open(folder / "vectors.f32", "rb") as b:
        same = a.read() == b.read(row)
    return {
        "documents": count,
        "dimension": DIMENSION,
        "block": ENCODED,
        "file_megabytes": round((folder / "vectors.f32").stat().st_size / 2**20, 1),
        "peak_megabytes": {
            kind: {str(size): round(found["megabytes"]) for size, found in sizes.items()}
            for kind, sizes in peaks.items()
        },
        "documents_per_second": round((count - done) / rest["seconds"]),
        "killed_at": done,
        "compared": few,
        "same_bytes": same,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="where the vectors stay (default: nowhere)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", choices=["encode", "search"], help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        work(a.child, a.out, a.documents, a.resume)
        return
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(a.out or Path(scratch) / "million", a.documents)
    print(json.dumps(found, indent=1))
    if a.json:
        write_json(found, a.json, overwrite=True)


if __name__ == "__main__":
    main()
