"""Fine-tuning as a run: a model and a collection's labels in, a folder with the taught model out.

RUN/config.json   every setting, resolved
RUN/run.json      the record: model, labels, scores on those held out, commit, versions, seconds
RUN/model/        the model folder (checkpoint.py)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from torch import nn

from contriever_lite.checkpoint import Encoder
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.config import TrainConfig, with_settings
from contriever_lite.corpus import build_corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError
from contriever_lite.evaluate import retrieve
from contriever_lite.files import new_folder, write_json
from contriever_lite.finetune import finetune
from contriever_lite.judge import Judge
from contriever_lite.labels import Labels, Numbers, numbered, part, read_labels
from contriever_lite.mining import mine
from contriever_lite.retriever import Retriever
from contriever_lite.warm_start import load_start

SETTINGS = (
    "seed", "batch_size", "steps", "learning_rate", "rate", "warmup", "betas", "weight_decay",
    "clip", "window", "loss", "temperature", "symmetric",
)  # fmt: skip
BAG = TrainConfig(
    window=512, symmetric=True, batch_size=128, steps=60, learning_rate=1e-2, temperature=0.1
)
TRANSFORMER = TrainConfig(
    encoder="transformer", batch_size=32, steps=200, learning_rate=2e-5, weight_decay=0.01, clip=1.0
)


@dataclass(frozen=True)
class Taught:
    """A model taught by labels; how many there were, how many were held out, and of those how many
    have an answer that a label names too: on them a good score says little about new documents.
    scores: step -> nDCG@10 on those held out, of which the best state, after `steps`, is kept."""

    retriever: Retriever
    labels: int
    held_out: int
    seen: int
    scores: dict[int, float]
    steps: int


def settings_for(encoder: Encoder, model: str, changes: Sequence[str] = ()) -> TrainConfig:
    """Where to begin, with changes as name=value. For a bag: what held-out claims of SciFact chose;
    for a transformer: a rate usual for BERT base (Devlin et al. 2019). Both are worth a search on
    labels held out. Raises ConfigError for a setting that does not count here."""
    for name in (change.partition("=")[0].strip() for change in changes):
        if name not in SETTINGS:
            raise ConfigError(f"finetune has no setting {name!r}: choose of {', '.join(SETTINGS)}")
    config = BAG if isinstance(encoder, BagEncoder) else TRANSFORMER
    about = {"start": model, "dimension": encoder.dimension, "normalise": encoder.normalise}
    return with_settings(config.replace(**about), list(changes))


def finetune_run(
    model: str,
    data: str | Path,
    out: str | Path,
    split: str = "train",
    share: float = 0.1,
    negatives: str = "in-batch",
    every: int = 10,
    settings: Sequence[str] = (),
) -> Taught:
    """Teach `model` (see warm_start.load_start) the labels of a collection's split, and leave the
    folder of the run at `out`, whole or not at all.

    A share of the labels is held out, and the state that answers these best is kept; they are
    scored before the first step, every `every` steps and after the last. negatives: of the batch
    alone, or beside them one mined for each query, by BM25 or by the model itself, with the guard
    of mining.mine. settings: changes to `settings_for`. It computes on the processor.
    Raises DataError if `out` exists, and ConfigError as load_start, hold_out and finetune do.
    """
    with new_folder(out) as work:
        encoder, tokenizer = load_start(model)
        config = settings_for(encoder, model, settings)
        known = load_collection(data, split)
        start = time.perf_counter()
        taught = _teach(config, Retriever(encoder, tokenizer), known, share, negatives, every)
        record = {"source": str(data), "split": split, "model": model, "negatives": negatives}
        record |= {name: value for name, value in vars(taught).items() if name != "retriever"}
        record["seconds"] = {"training": round(time.perf_counter() - start, 1)}
        write_json(config.to_dict(), work / "config.json")
        write_json({**record, **circumstances(config)}, work / "run.json")
        taught.retriever.save(work / "model")
    return taught


def _teach(
    config: TrainConfig,
    retriever: Retriever,
    known: Collection,
    share: float,
    negatives: str,
    every: int,
) -> Taught:
    encoder, tokenizer = retriever.encoder, retriever.tokenizer
    labels, held = read_labels(known, tokenizer).hold_out(share, config.seed)
    documents = [(text["title"], text["text"]) for text in known.corpus.values()]
    corpus, judge = build_corpus(documents, tokenizer), Judge(part(known, held))

    def score(encoder: nn.Module) -> float:
        return round(fmean(judge(encoder, corpus, config)["ndcg@10"].values()), 5)

    hard = _mined(retriever, known, labels, negatives)
    best = finetune(config, encoder, corpus, labels, hard, score, every)
    named = np.concatenate(labels.answers)
    seen = sum(bool(np.isin(answers, named).any()) for answers in held.answers)
    result = Retriever(best.encoder, tokenizer)
    return Taught(result, len(labels), len(held), seen, best.scores, best.steps)


def _mined(
    retriever: Retriever, known: Collection, labels: Labels, negatives: str
) -> Numbers | None:
    if negatives == "in-batch":
        return None
    own, taught = retriever if negatives == "own" else None, part(known, labels)
    run = retrieve(negatives, taught, taught.queries, encoder=own)
    return numbered(mine(run, taught.qrels), labels, list(known.corpus))
