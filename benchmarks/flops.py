"""Model FLOP utilisation: what share of a GPU's peak goes into the model's own arithmetic.

    python benchmarks/flops.py [--size base] [--batch 512] [--objective moco]

A few steps of `train` on random documents with the paper's crops, in bf16 (fp16 where the GPU has
no bf16). Operations are counted by `estimate.operations`: the matrix products of forward and
backward on real tokens. Padding, the scores against the queue and the optimizer's arithmetic do not
count as useful. Without a GPU it only counts.
"""

import argparse

import torch
from training import SIZES, documents, ours

from contriever_lite.batch import batch_of_step
from contriever_lite.config import TrainConfig
from contriever_lite.estimate import operations, parameters
from contriever_lite.fit import fit
from contriever_lite.hardware import card
from contriever_lite.warm_start import new_transformer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objective", choices=("in_batch", "moco"), default="moco")
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    dimension, layers, heads = SIZES[given.size]
    config = TrainConfig(
        encoder="transformer", dimension=dimension, layers=layers, heads=heads, normalise=False,
        objective=given.objective, queue_size=32_768, batch_size=given.batch, steps=given.steps,
        learning_rate=5e-5, clip=1.0, precision="auto", compile=given.compile,
    )  # fmt: skip
    corpus = documents(given.batch * 4)
    encoder = new_transformer(config, corpus.tokenizer)
    _, usable = fit(config, corpus)
    steps = [batch_of_step(corpus, usable, config, step) for step in range(given.steps)]
    mean = sum(operations(config, encoder, pairs) for pairs in steps) / len(steps)
    print(f"{given.size}, {parameters(encoder)[0]:,} parameters, {given.objective}, "
          f"{given.batch} pairs a step: {mean:.3g} operations a step")  # fmt: skip
    if not torch.cuda.is_available():
        print("Utilisation needs a GPU, and there is none.")
        return
    seconds = min(ours(config, corpus) for _ in range(given.rounds))
    name, achieved = torch.cuda.get_device_name(), mean / seconds
    known = card(name)
    print(f"{name}: {seconds:.4f} s a step, {given.batch / seconds:,.0f} pairs/s, "
          f"{achieved / 1e12:.1f} TFLOP/s")  # fmt: skip
    if known is None:
        print("Its peak is not in contriever_lite/hardware.py.")
        return
    print(f"{achieved / known.peak / 1e12:.1%} of its peak, {known.peak} TFLOP/s")


if __name__ == "__main__":
    main()
