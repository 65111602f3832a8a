"""Training pairs a second: this package against sentence-transformers' own trainer with its
in-batch loss, and against a plain padded implementation of the same step.

    python benchmarks/training.py                                small enough for two CPU cores
    python benchmarks/training.py --data wikipedia-vital         real documents, many of them short
    python benchmarks/training.py --objective moco               the paper's, against the plain one
    python benchmarks/training.py --size base --batch 256 --precision bf16          for a GPU

Same model, documents, crop lengths (5 to 50 % of a document's window of 256 tokens), batch, loss
(InfoNCE over the batch, one direction, dot product), AdamW and precision. Each system runs in a
process of its own, since `train` changes how its process keeps memory, which would speed up the
others. A round times each from its third step to its last; rounds alternate, and the best of each
counts. Prints seconds a step and two ratios.
"""

import argparse
import copy
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModel, PreTrainedModel

from contriever_lite.batch import PairBatch, TokenBatch, batch_of_step
from contriever_lite.beir import joined
from contriever_lite.collection import load_documents
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus, offsets_of
from contriever_lite.export import export
from contriever_lite.rng import stream
from contriever_lite.tokens import SPECIAL_TOKENS, train_tokenizer
from contriever_lite.train import train
from contriever_lite.transformer import framed
from contriever_lite.warm_start import new_transformer

SIZES = {"small": (256, 4, 4), "base": (768, 12, 12)}
WORDS, UNTIMED = 30_000, 2


def tokenizer() -> Tokenizer:
    """One token a word: reading text costs the other trainer next to nothing."""
    names = [*SPECIAL_TOKENS, *(f"w{number}" for number in range(len(SPECIAL_TOKENS), WORDS))]
    made = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(list(SPECIAL_TOKENS))
    return made


def documents(number: int) -> Corpus:
    """Random documents of 256 tokens: how long a step takes does not depend on what they say."""
    tokens = stream(0, "benchmark").integers(len(SPECIAL_TOKENS), WORDS, 256 * number)
    offsets = offsets_of(np.full(number, 256))
    return Corpus(tokens.astype(np.int32), offsets, np.zeros(number, np.int32), tokenizer())


def real_documents(name: str) -> Corpus:
    """A collection's documents in word pieces; to every system each piece is a word, so that all
    read the same tokens."""
    texts = list(load_documents(name).corpus.values())
    found = build_corpus(
        [("", joined(text)) for text in texts], train_tokenizer(map(joined, texts), WORDS)
    )
    return Corpus(found.tokens, found.offsets, found.titles, tokenizer())


def ours(config: TrainConfig, corpus: Corpus) -> float:
    """Seconds a step of contriever_lite.train."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        train(config, corpus, log)
        seconds = [json.loads(line)["seconds"] for line in log.read_text().splitlines()]
    return (seconds[-1] - seconds[UNTIMED - 1]) / (config.steps - UNTIMED)


def plain(config: TrainConfig, corpus: Corpus) -> float:
    """Seconds a step of the textbook's loop: each view padded to its longest, a forward a view;
    MoCo as the reference writes it, parameter by parameter, with a copy of the queue each step."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours = new_transformer(config, corpus.tokenizer)
    encoder = AutoModel.from_config(ours.model.config, add_pooling_layer=False)  # its own dropout
    encoder = encoder.to(device).train()
    moco = config.objective == "moco"
    key_encoder = copy.deepcopy(encoder).requires_grad_(False) if moco else encoder
    queue = torch.randn(config.dimension, config.queue_size, device=device)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=config.learning_rate)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(config.precision, torch.float32)

    def vectors(model: PreTrainedModel, rows: TokenBatch) -> torch.Tensor:
        ids, mask = framed(rows, ours.reading).padded(ours.reading.pad)
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]

    def in_batch(pairs: PairBatch) -> torch.Tensor:
        q, k = vectors(encoder, pairs.query), vectors(encoder, pairs.key)
        scores = q.float() @ k.float().T / config.temperature
        return F.cross_entropy(scores, torch.arange(len(q), device=device))

    def against_queue(pairs: PairBatch, number: int) -> torch.Tensor:
        with torch.no_grad():
            for slow, fast in zip(key_encoder.parameters(), encoder.parameters(), strict=True):
                slow.data = slow.data * config.momentum + fast.data * (1 - config.momentum)
            k = vectors(key_encoder, pairs.key).float()
        q = vectors(encoder, pairs.query).float()
        old = q @ queue.clone().detach()
        scores = torch.cat([(q * k).sum(1, keepdim=True), old], 1) / config.temperature
        start = number * len(k) % config.queue_size
        queue[:, start : start + len(k)] = k.T
        return F.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long, device=device))

    def step(number: int) -> None:
        pairs = batch_of_step(corpus, np.arange(len(corpus)), config, number).to(device)
        with torch.autocast(device, kind, enabled=kind != torch.float32):
            loss = against_queue(pairs, number) if moco else in_batch(pairs)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), config.clip)
        optimizer.step()
        loss.item()

    return timed(step, config.steps)


def timed(step: Callable[[int], None], steps: int) -> float:
    for number in range(steps):
        if number == UNTIMED:
            start = time.perf_counter()
        step(number)
    return (time.perf_counter() - start) / (steps - UNTIMED)


def sentence_transformers(config: TrainConfig, corpus: Corpus) -> float:
    """Seconds a step of SentenceTransformerTrainer, given crops that are drawn already."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
        util,
    )
    from transformers import TrainerCallback

    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            moments.append(time.perf_counter())

    views = [batch_of_step(corpus, np.arange(len(corpus)), config, s) for s in range(config.steps)]
    texts = {
        side: [text for pairs in views for text in spelt(getattr(pairs, side), corpus.tokenizer)]
        for side in ("query", "key")
    }
    with tempfile.TemporaryDirectory() as folder:
        place = export(new_transformer(config, corpus.tokenizer), corpus.tokenizer, f"{folder}/m")
        model = SentenceTransformer(str(place))
        loss = losses.MultipleNegativesRankingLoss(
            model, scale=1 / config.temperature, similarity_fct=util.dot_score
        )
        arguments = SentenceTransformerTrainingArguments(
            output_dir=f"{folder}/out", per_device_train_batch_size=config.batch_size,
            max_steps=config.steps, learning_rate=config.learning_rate, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True,
            bf16=config.precision == "bf16", fp16=config.precision == "fp16",
            use_cpu=not torch.cuda.is_available(),
            dataloader_num_workers=2 if torch.cuda.is_available() else 0,
        )  # fmt: skip
        data = Dataset.from_dict(texts)
        SentenceTransformerTrainer(model, arguments, data, loss=loss, callbacks=[Clock()]).train()
    return (moments[-1] - moments[UNTIMED - 1]) / (config.steps - UNTIMED)


def spelt(rows: TokenBatch, tokenizer: Tokenizer) -> list[str]:
    parts = rows.tokens.split(rows.lengths.tolist())
    return [" ".join(map(tokenizer.id_to_token, part.tolist())) for part in parts]


SYSTEMS = {"contriever_lite": ours, "plain padded": plain,
           "sentence-transformers": sentence_transformers}  # fmt: skip


def alone(system: Callable[..., float], config: TrainConfig, corpus: Corpus) -> float:
    """Its seconds a step in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(system, config, corpus).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--objective", choices=("in_batch", "moco"), default="in_batch")
    parser.add_argument("--data", help="a collection, for random documents of 256 tokens")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", choices=("float32", "bf16", "fp16"), default="float32")
    given = parser.parse_args()
    dimension, layers, heads = SIZES[given.size]
    config = TrainConfig(
        encoder="transformer", dimension=dimension, layers=layers, heads=heads, normalise=False,
        batch_size=given.batch, steps=given.steps, learning_rate=5e-5, clip=1.0,
        query_delete=0.0, key_delete=0.0, precision=given.precision, objective=given.objective,
        queue_size=256 * given.batch,
    )  # fmt: skip
    corpus = real_documents(given.data) if given.data else documents(given.batch * 4)
    systems = dict(SYSTEMS)
    if given.objective == "moco":  # their trainer has none
        del systems["sentence-transformers"]
    best = dict.fromkeys(systems, float("inf"))
    for _ in range(given.rounds):
        for name, system in systems.items():
            best[name] = min(best[name], alone(system, config, corpus))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    what = f"{given.data or 'random documents'}, {given.size}, {given.objective}"
    print(f"{what}, {given.batch} pairs a step, {given.precision}, {device}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    for name, seconds in best.items():
        ratio = seconds / best["contriever_lite"]
        print(f"{name:<22} {seconds:7.3f} s a step {given.batch / seconds:8.1f} pairs/s "
              f"{ratio:5.2f} x our time")  # fmt: skip


if __name__ == "__main__":
    main()
