"""Texts encoded a second: Retriever.encode against SentenceTransformer.encode, the same model.

    python benchmarks/encoding.py [--size small] [--texts 1024]

Random texts of 5 to 400 words (a token each), as ragged as abstracts are, in random order. Both are
given the same exported weights, texts, batch size and device, and float32 (TF32 on a GPU); rounds
alternate and the best of each counts. Printed: seconds, texts a second, the ratio, and how far the
vectors are apart.
"""

import argparse
import tempfile
import time

import numpy as np
import torch
from training import SIZES, WORDS, tokenizer

from contriever_lite.config import TrainConfig
from contriever_lite.export import export
from contriever_lite.retriever import Retriever
from contriever_lite.rng import stream
from contriever_lite.tokens import SPECIAL_TOKENS
from contriever_lite.warm_start import new_transformer

BATCH = 64


def texts(number: int) -> list[str]:
    rng = stream(0, "benchmark")
    lengths = np.clip(np.exp(rng.normal(4.8, 0.7, number)), 5, 400).astype(int)
    words = [rng.integers(len(SPECIAL_TOKENS), WORDS, length) for length in lengths]
    return [" ".join(f"w{number}" for number in text) for text in words]


def main() -> None:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.set_verbosity_error()  # it would report the pooler, which nobody uses
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    dimension, layers, heads = SIZES[given.size]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    config = TrainConfig(encoder="transformer", dimension=dimension, layers=layers, heads=heads)
    ours = Retriever(new_transformer(config, tokenizer()).to(device), tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        export(ours.encoder, ours.tokenizer, f"{folder}/model")
        theirs = SentenceTransformer(f"{folder}/model", device=device)
    ours.encoder.to(device)
    read = texts(given.texts)
    systems = {
        "Retriever": lambda: ours.encode(read),
        "SentenceTransformer": lambda: theirs.encode(read, batch_size=BATCH),
    }
    best, vectors = dict.fromkeys(systems, float("inf")), {}
    for _ in range(given.rounds):
        for name, encode in systems.items():
            start = time.perf_counter()
            vectors[name] = encode()
            best[name] = min(best[name], time.perf_counter() - start)
    print(f"{given.size}, {given.texts} texts, {device}, {torch.get_num_threads()} threads")
    for name, seconds in best.items():
        print(f"{name:<20} {seconds:7.3f} s {given.texts / seconds:9.1f} texts/s "
              f"{seconds / best['Retriever']:5.2f} x our time")  # fmt: skip
    apart = np.abs(vectors["Retriever"] - vectors["SentenceTransformer"]).max()
    print(f"largest difference of a number in the vectors: {apart:.1e}")


if __name__ == "__main__":
    main()
