"""What a batch costs as the corpus grows 10 and 100 times: ratios from one run.

    python benchmarks/sampling.py [--documents 50000] [--batch 256] [--steps 30]

Corpora of random tokens (documents of 64 on average) are written to disk and opened from it, one,
ten and a hundred times as large. Printed: the median time to draw a step's batch from one corpus,
from windows that straddle documents, and from a mixture of two corpora, and how each grows. An
epoch's first batch, which draws the order of all documents, is shown apart.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from contriever_lite.batch import batch_of_step
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, offsets_of
from contriever_lite.fit import fit
from contriever_lite.mixture import mix
from contriever_lite.tokens import train_tokenizer


def random_corpus(documents: int, folder: Path) -> Corpus:
    """Saved and opened again, so that its tokens are read from the disk."""
    rng = np.random.default_rng(documents)
    lengths = rng.integers(32, 97, documents)
    tokens = rng.integers(5, 200, lengths.sum(), dtype=np.int32)
    tokenizer = train_tokenizer(["a few words to learn a vocabulary from"], 200)
    whole = Corpus(tokens, offsets_of(lengths), np.zeros(documents, np.int32), tokenizer)
    return Corpus.open(whole.save(folder))


def measure(corpus: Corpus, config: TrainConfig, steps: int) -> tuple[float, float]:
    """Seconds of the first batch, and the median of those after it."""
    config, usable = fit(config, corpus)
    seconds = []
    for step in range(steps):
        start = time.perf_counter()
        batch_of_step(corpus, usable, config, step)
        seconds.append(time.perf_counter() - start)
    return seconds[0], statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    a = parser.parse_args()
    config, found = TrainConfig(batch_size=a.batch), {}
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 10, 100):
            corpus = random_corpus(times * a.documents, Path(folder) / str(times))
            for name, whole, settings in (
                ("one corpus", corpus, config),
                ("windows", corpus, config.replace(straddle=True)),
                ("a mixture", mix([corpus, corpus]), config),
            ):
                first, median = measure(whole, settings, a.steps)
                found.setdefault(name, []).append(median)
                growth = median / found[name][0]
                print(
                    f"{name:<10} {times:>3} x, {len(corpus):>9,} documents: {median * 1e3:.2f} ms "
                    f"a batch, ratio {growth:.2f}; the first {first * 1e3:.0f} ms"
                )


if __name__ == "__main__":
    main()
