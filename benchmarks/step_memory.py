"""Peak memory of a training step against queue and batch, measured and as estimated.

    python benchmarks/step_memory.py [--dimension 64] [--layers 2]

A small transformer takes two steps of MoCo on made-up pairs; what PyTorch holds at most is counted
(memory.LiveBytes), so the numbers are the same on every machine. Beside it estimate.memory.
"""

import argparse
import itertools

from contriever_lite.batch import batch_of_step
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.estimate import memory
from contriever_lite.fit import fit
from contriever_lite.memory import LiveBytes
from contriever_lite.optimizer import new_optimizer
from contriever_lite.tokens import train_tokenizer

BATCHES, QUEUES = (16, 64), (1024, 32_768)
MICRO = 8  # rows, with cached gradients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    a = parser.parse_args()
    words = [" ".join(f"{x}{y}" for x in "bdfgk" for y in "aeiou" for _ in range(2))] * 64
    corpus = build_corpus([("", text) for text in words], train_tokenizer(words, 300))
    config = TrainConfig(
        encoder="transformer", objective="moco", layers=a.layers, heads=2, dimension=a.dimension,
        window=64, queue_noise=True, idf_weights=False,
    )  # fmt: skip
    print("batch   queue  peak  estimate  peak with micro_batch, MiB  peak / first row's")
    first = 0
    for batch, queue in itertools.product(BATCHES, QUEUES):
        now = config.replace(batch_size=batch, queue_size=queue)
        peak, expected = measured(now, corpus)
        cached, _ = measured(now.replace(micro_batch=MICRO), corpus)
        first = first or peak
        sizes = [size / 2**20 for size in (peak, expected, cached)]
        print(f"{batch:5} {queue:7,} {sizes[0]:5.1f} {sizes[1]:9.1f} {sizes[2]:26.1f} "
              f"{peak / first:17.2f}")  # fmt: skip


def measured(config: TrainConfig, corpus: Corpus) -> tuple[int, int]:
    """(peak, estimate) in bytes, of everything from the weights on."""
    config, usable = fit(config, corpus)
    with LiveBytes() as held:
        encoder = new_encoder(config, corpus)
        objective = new_objective(config, encoder)
        optimizer = new_optimizer(config, objective)
        for step in range(2):
            optimizer.zero_grad()
            objective(batch_of_step(corpus, usable, config, step), measure=False)[0].backward()
            optimizer.step()
            objective.after_step()
    return held.peak, sum(
        memory(config, encoder, batch_of_step(corpus, usable, config, 0)).values()
    )


if __name__ == "__main__":
    main()
