"""Memory that preparing a corpus takes as the text grows tenfold: a ratio from one run.

    python benchmarks/prepare.py [SOURCE ...] [--copies 10] [--workers 1]

A fresh process each prepares the text once, then ten copies of it, with the same tokenizer. Without
a SOURCE the text is wikipedia-vital's, as JSON lines. Printed: the peak of memory (of the process
that reads and writes, and of the largest worker), seconds and megabytes of tokens, and the ratios.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contriever_lite.prepare import prepare_corpus
from contriever_lite.tokens import load_tokenizer
from contriever_lite.vocabulary import Vocabulary
from contriever_lite.wikipedia import load_wikipedia


def measure(sources: list[str], folder: Path, workers: int) -> dict[str, float]:
    """Prepare in this process; what it took."""
    start = time.perf_counter()
    corpus = prepare_corpus(sources, folder / "corpus", load_tokenizer(folder), workers)
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss * unit / 1e6
             for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]  # fmt: skip
    seconds = time.perf_counter() - start
    return {"peak": peaks[0], "worker": peaks[1], "seconds": seconds,
            "documents": len(corpus), "size": corpus.tokens.nbytes / 1e6}  # fmt: skip


def text(folder: Path) -> list[str]:
    """The embedded collection's documents in a file."""
    path = folder / "text.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for document in load_wikipedia("wikipedia-vital").corpus.values():
            file.write(json.dumps(document) + "\n")
    return [str(path)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.sources, arguments.child, arguments.workers)))
        return
    found = []
    with tempfile.TemporaryDirectory() as made:
        sources = arguments.sources or text(Path(made))
        Vocabulary(characters=10_000_000).learn(sources).save(f"{made}/tokenizer.json")
        for copies in (1, arguments.copies):
            folder = Path(made) / str(copies)
            folder.mkdir()
            (folder / "tokenizer.json").write_bytes(Path(made, "tokenizer.json").read_bytes())
            command = [sys.executable, __file__, *sources * copies, "--child", str(folder)]
            command += ["--workers", str(arguments.workers)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            found.append(json.loads(done.stdout))
            print(f"{copies:>3} x: " + "{documents:,} documents, {size:,.0f} MB of tokens in "
                  "{seconds:.1f} s; peak {peak:.0f} MB, a worker {worker:.0f} MB"
                  .format(**found[-1]))  # fmt: skip
    few, many = found
    ratios = {name: many[name] / few[name] for name in ("size", "seconds", "peak")}
    print(
        "ratios: tokens {size:.1f}, seconds {seconds:.1f}, peak memory {peak:.2f}".format(**ratios)
    )


if __name__ == "__main__":
    main()
