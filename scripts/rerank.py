"""Make data/runs/labels/rerank-*.json again: small cross-encoders over the first 100 of BM25.

    python scripts/rerank.py --data scifact --kind plain

Each is trained on the labels of scripts/labels.py, with three seeds; a tenth of the labels is held
out, and chooses the weight with which its score is fused with BM25's. Test queries are only scored.
Its word vectors begin as those of the bag that was trained on the collection's own documents.
"""

import argparse
from functools import partial
from statistics import fmean
from time import process_time
from typing import Any

import torch
from labels import MODELS, OWN, TRAIN, Task, by_group, keep, mean, say

from contriever_lite.build import new_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.cross_encoder import CrossEncoder, rerank, train_cross_encoder
from contriever_lite.evaluate import MEASURES, retrieve
from contriever_lite.fusion import weighted_fusion
from contriever_lite.labels import Numbers, numbered, part, read_labels
from contriever_lite.metrics import Run, score_queries
from contriever_lite.mining import mine
from contriever_lite.sweep import Trial

SEEDS = range(3)
CONFIG = TrainConfig(
    encoder="transformer", dimension=64, layers=2, heads=2, dropout=0.0, window=128, batch_size=16,
    steps=160, learning_rate=2e-3, warmup=0.1, weight_decay=0.01, clip=1.0,
)  # fmt: skip
NEGATIVES, WEIGHTS = 3, (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
KINDS = {  # words in both texts marked? BM25's score read? negatives: any, or answers to others
    "plain": (False, False, "any"),
    "marked": (True, False, "any"),
    "reads-bm25": (True, True, "any"),
    "answers": (True, True, "answers"),
}


class Stage:
    """A collection's labels, held-out and test queries, and what BM25 finds for each."""

    def __init__(self, data: str) -> None:
        self.task = Task(data, OWN)
        self.task.encoder(0)  # trains the bag where it is not there yet
        self.documents = list(self.task.known.corpus)
        self.labels = {
            "train": self.task.labels,
            "held": self.task.held,
            "test": read_labels(self.task.unknown, self.task.corpus.tokenizer),
        }
        self.sets = {name: part(self.task.known, self.labels[name]) for name in ("train", "held")}
        self.sets["test"] = self.task.unknown
        self.first = {
            name: retrieve("bm25", each, each.queries, k=1000) for name, each in self.sets.items()
        }
        self.hard = {"any": self._mined(self.first["train"], 50)}
        answers = {self.documents[n] for numbers in self.task.labels.answers for n in numbers}
        known = {q: {d: s for d, s in scores.items() if d in answers}
                 for q, scores in self.first["train"].items()}  # fmt: skip
        self.hard["answers"] = self._mined(known, 20)

    def _mined(self, run: Run, count: int) -> Numbers:
        mined = mine(run, self.sets["train"].qrels, count, margin=None)
        return numbered(mined, self.task.labels, self.documents)

    def rarity(self) -> torch.Tensor:
        """(V,) idf, the largest 1."""
        corpus = self.task.corpus
        df = torch.from_numpy(corpus.document_frequency()).float()
        idf = torch.log1p((len(corpus) - df + 0.5) / (df + 0.5))
        return idf / idf.max()

    def trained(self, seed: int, marks: bool, first: bool, negatives: str) -> CrossEncoder:
        corpus, labels = self.task.corpus, self.task.labels
        config = CONFIG.replace(seed=seed, start=str(MODELS / self.task.data))
        start = new_encoder(config, corpus)
        helps = self.rarity() if marks else None, first
        model = CrossEncoder(start.model, start.reading, seed, *helps)
        run = self.first["train"] if first else None
        place = config, model, corpus, labels, self.hard[negatives], NEGATIVES
        return train_cross_encoder(*place, run, self.documents)

    def reranked(self, model: CrossEncoder, name: str) -> Run:
        place = self.labels[name], self.task.corpus, self.documents, CONFIG.window
        return rerank(model, self.first[name], *place)


def fused(first: Run, found: Run, weight: float) -> Run:
    """The reranker's scores alone with weight 1, or beside the first stage's, over the documents
    that it scored."""
    short = {q: {d: first[q][d] for d in scores} for q, scores in found.items()}
    return weighted_fusion([short, found], [1 - weight, weight])


def record(data: str, kind: str) -> dict[str, Any]:
    stage, found, seconds = Stage(data), {}, []
    task, held = stage.task, stage.sets["held"]
    for seed in SEEDS:
        begin = process_time()
        model = stage.trained(seed, *KINDS[kind])
        seconds.append(process_time() - begin)
        for name in ("held", "test"):
            found[name, seed] = stage.reranked(model, name)
        say(kind, seed, mean(found["held", seed], held), seconds[-1])
    tried = {
        weight: fmean(
            mean(fused(stage.first["held"], found["held", s], weight), held) for s in SEEDS
        )
        for weight in (*WEIGHTS, 1.0)
    }
    best = max(WEIGHTS, key=tried.get)
    trials = []
    for name, weight in (("BM25", 0.0), ("alone", 1.0), ("fused", best)):
        for seed in SEEDS:
            run = fused(stage.first["test"], found["test", seed], weight)
            per_query = score_queries(run, task.unknown.qrels, MEASURES)
            trials.append(Trial(name, seed, seconds[seed] if weight else 0.0, per_query))
            say(name, seed, trials[-1].score())
    chosen = {"weight": best, "held_out": {str(w): round(x, 4) for w, x in tried.items()}}
    about = {"first_stage": "BM25, the first 100", "settings": CONFIG.to_dict(), "chosen": chosen}
    return {**about, "groups": by_group(trials, task, "BM25")}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=TRAIN, default="scifact")
    parser.add_argument("--kind", choices=KINDS, action="append")
    arguments = parser.parse_args()
    data = arguments.data
    for kind in arguments.kind or KINDS:
        command = f"rerank.py --data {data} --kind {kind}"
        keep(f"rerank-{data}-{kind}", data, partial(record, data, kind), command)


if __name__ == "__main__":
    main()
