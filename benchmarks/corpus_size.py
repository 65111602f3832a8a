"""What a step costs as the corpus grows ten and a hundred times: ratios from one run.

    python benchmarks/corpus_size.py [--documents 2000] [--steps 40]

A made-up corpus of random words, and the same ten and a hundred times as large, each mapped from
disk as `prepare` leaves it. A bag trains on them in turn, step by step; the median step counts.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

from contriever_lite.batch import batch_of_step
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.fit import fit
from contriever_lite.memory import keep_freed_memory
from contriever_lite.optimizer import new_optimizer
from contriever_lite.tokens import train_tokenizer

LENGTH, TIMES = 100, (1, 10, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2000, help="of the smallest corpus")
    parser.add_argument("--steps", type=int, default=40)
    a = parser.parse_args()
    keep_freed_memory()
    tokenizer = train_tokenizer(["word " * 9 + "abcdefghijklmnopqrstuvwxyz"], 200)
    with tempfile.TemporaryDirectory() as folder:
        steps = {t: stepper(corpus(a.documents * t, tokenizer, Path(folder))) for t in TIMES}
        seconds: dict[int, list[float]] = {t: [] for t in TIMES}
        for number in tqdm(range(a.steps), "steps", leave=False):
            for t in TIMES:
                start = time.perf_counter()
                steps[t](number)
                seconds[t].append(time.perf_counter() - start)
    medians = {t: statistics.median(values[3:]) for t, values in seconds.items()}
    for t, median in medians.items():
        print(f"{a.documents * t:9,} documents  {median * 1e3:6.1f} ms a step  "
              f"{median / medians[1]:.2f} x")  # fmt: skip


def corpus(documents: int, tokenizer: Tokenizer, folder: Path) -> Corpus:
    """Documents of LENGTH random tokens, saved and mapped."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, tokenizer.get_vocab_size(), documents * LENGTH, dtype=np.int32)
    offsets = np.arange(documents + 1, dtype=np.int64) * LENGTH
    whole = Corpus(tokens, offsets, np.zeros(documents, np.int32), tokenizer)
    return Corpus.open(whole.save(folder / str(documents)))


def stepper(corpus: Corpus):
    """A function that does one step of a bag on a corpus, the drawing of its batch included."""
    settings = TrainConfig(batch_size=256, dimension=128, idf_weights=False, steps=10_000)
    config, usable = fit(settings, corpus)
    objective = new_objective(config, new_encoder(config, corpus))
    optimizer = new_optimizer(config, objective)

    def step(number: int) -> None:
        loss, _ = objective(batch_of_step(corpus, usable, config, number), measure=False)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
