"""Make the recorded runs of chapter 14 in data/runs/labels/ again: training with labels.

    python scripts/labels.py curve        a learning curve, from three starts
    python scripts/labels.py negatives    which negatives
    python scripts/labels.py transfer     labels of one collection, queries of the others
    ... --data scifact                    one collection only (curve, negatives)

Labels are the training queries of scifact and feedbackqa, and the dev half of wikipedia-vital. A
tenth of them, drawn with seed 0, is held out: learning rate, temperature, the step to stop at and
every weight are chosen on it. Test queries are only scored. A record that exists is kept: remove it
to make it again. Bags trained on a collection's own documents are kept in runs/labels/.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
from torch import nn

from contriever_lite.build import new_encoder
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.evaluate import evaluate_model, retrieve
from contriever_lite.files import write_json
from contriever_lite.finetune import Finetuned, finetune
from contriever_lite.fit import fit
from contriever_lite.judge import Judge
from contriever_lite.labels import Labels, Numbers, numbered, part, read_labels
from contriever_lite.metrics import Run, bootstrap_interval, score_queries
from contriever_lite.mining import mine
from contriever_lite.presets import preset
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.rng import stream
from contriever_lite.runs import read_corpus
from contriever_lite.sweep import Trial, record
from contriever_lite.train import train

ROOT = Path(__file__).resolve().parents[1]
RECORDS, MODELS = ROOT / "data" / "runs" / "labels", ROOT / "runs" / "labels"
TRAIN = {"scifact": "train", "feedbackqa": "train", "wikipedia-vital": "dev"}
COLLECTIONS = ("scifact", "feedbackqa", "wikipedia-vital", "squad-dev", "cranfield", "cacm")
COUNTS = {"scifact": (10, 30, 100, 300, 729), "feedbackqa": (30, 300, 1000, 3967)}
SEEDS = range(5)
NOTHING, OWN, WIKIPEDIA = "nothing", "documents", "wikipedia"
LAPTOP = preset("laptop")
STARTS = {
    NOTHING: LAPTOP,
    OWN: LAPTOP,
    WIKIPEDIA: preset("adapt").replace(  # the bag as it ships
        dimension=512, start_whiten=0.0, start_share=0.5, symmetric=True
    ),
}
RATES, TEMPERATURES = (1e-3, 3e-3, 1e-2), (0.05, 0.1, 0.2)
EVERY = 10


class Task:
    """One collection as one start reads it: its corpus, labels, held-out labels, and judges."""

    def __init__(self, data: str, start: str) -> None:
        self.data, self.start = data, start
        self.config = STARTS[start].replace(batch_size=128, steps=60)
        self.corpus = read_corpus(data, self.config.vocab_size, self.config.start)
        known = load_collection(data, TRAIN[data])
        self.labels, self.held = read_labels(known, self.corpus.tokenizer).hold_out(0.1, seed=0)
        self.known, self.unknown = known, load_collection(data, "test")
        self.dev, self.test = Judge(part(known, self.held)), Judge(self.unknown)

    def encoder(self, seed: int) -> nn.Module:
        """The encoder before its first label."""
        if self.start != OWN:
            return new_encoder(self.config.replace(seed=seed), self.corpus)
        folder = MODELS / self.data  # one, whatever the seed: what varies is the labels
        if not folder.exists():
            config, _ = fit(LAPTOP, self.corpus)
            trained = train(config, self.corpus)
            Retriever(trained, self.corpus.tokenizer).save(folder)
        return Retriever.load(folder).encoder

    def finetune(
        self, encoder: nn.Module, labels: Labels, hard: Numbers | None = None, **changes: Any
    ) -> Finetuned:
        """Stopped where the held-out labels are answered best."""
        config = self.config.replace(**changes)
        return finetune(config, encoder, self.corpus, labels, hard, self.score, EVERY)

    def score(self, encoder: nn.Module) -> float:
        """nDCG@10 on the labels held out."""
        return fmean(self.dev(encoder, self.corpus, self.config)["ndcg@10"].values())

    def trial(self, name: str, seed: int, encoder: nn.Module, seconds: float) -> Trial:
        return Trial(name, seed, seconds, self.test(encoder, self.corpus, self.config))

    def choose(self) -> dict[str, Any]:
        """Learning rate and temperature, by the held-out labels, with all others and seed 0; those
        of a recorded curve are not searched again."""
        file = RECORDS / f"curve-{self.data}-{self.start}.json"
        if file.exists():
            chosen = json.loads(file.read_text(encoding="utf-8"))["chosen"]
            rate, temperature = chosen["learning_rate"], chosen["temperature"]
            self.config = self.config.replace(learning_rate=rate, temperature=temperature)
            return chosen
        encoder, found = self.encoder(0), {}
        for rate, temperature in product(RATES, TEMPERATURES):
            best = self.finetune(
                encoder, self.labels, learning_rate=rate, temperature=temperature
            ).scores
            found[rate, temperature] = max(best.values())
        rate, temperature = max(found, key=found.get)
        self.config = self.config.replace(learning_rate=rate, temperature=temperature)
        tried = {f"rate {r:g}, tau {t:g}": round(score, 4) for (r, t), score in found.items()}
        return {"learning_rate": rate, "temperature": temperature, "held_out": tried}


def groups(task: Task) -> dict[str, set[str]]:
    """Test queries by whether a document that answers them answers a training query too."""
    documents = list(task.known.corpus)
    seen = {documents[number] for answers in task.labels.answers for number in answers}
    known = {q for q, judged in task.unknown.qrels.items()
             if any(d in seen and grade > 0 for d, grade in judged.items())}  # fmt: skip
    return {"all": set(task.unknown.qrels), "seen": known, "new": set(task.unknown.qrels) - known}


def by_group(trials: Sequence[Trial], task: Task, baseline: str) -> dict[str, Any]:
    """group -> {"queries": how many, "results": of sweep.record}"""
    found = {}
    for name, queries in groups(task).items():
        own = [replace(trial, per_query=only(trial.per_query, queries)) for trial in trials]
        found[name] = {"queries": len(queries), "results": record(own, baseline)}
    return found


def only(per_query: Mapping[str, Mapping[str, float]], queries: set[str]) -> dict[str, dict]:
    return {
        measure: {query: value for query, value in values.items() if query in queries}
        for measure, values in per_query.items()
    }


def curve(data: str, start: str) -> dict[str, Any]:
    """No label, a few, all: each seed draws its own few."""
    task, trials = Task(data, start), []
    chosen = task.choose()
    for seed in SEEDS:
        encoder = task.encoder(seed)
        trials.append(task.trial("0", seed, encoder, 0.0))
        for count in COUNTS[data]:
            begin = process_time()
            best = task.finetune(encoder, task.labels.few(count, seed), seed=seed)
            seconds = process_time() - begin
            trials.append(task.trial(str(count), seed, best.encoder, seconds))
            say(start, count, seed, best.steps, trials[-1].score())
    return {"chosen": chosen, "groups": by_group(trials, task, "0")}


def words(data: str) -> dict[str, Any]:
    """BM25 on the same queries, alone and with the bonus."""
    return prior(Task(data, NOTHING))


def prior(task: Task) -> dict[str, Any]:
    """BM25, and BM25 where documents that answer a training query get a bonus, the largest score of
    the query times a weight chosen on the held-out labels. It learns nothing about words."""
    documents = list(task.known.corpus)
    seen = {documents[number] for answers in task.labels.answers for number in answers}
    held = part(task.known, task.held)
    weights = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    dev, test = (retrieve("bm25", c, c.queries, k=1000) for c in (held, task.unknown))
    tried = {w: mean(bonus(dev, seen, w), held) for w in weights}
    best = max(tried, key=tried.get)
    result: dict[str, Any] = {"weight": best}
    for name, weight in (("BM25", 0.0), ("BM25 + bonus", best)):
        scores = score_queries(bonus(test, seen, weight), task.unknown.qrels)["ndcg@10"]
        result[name] = {
            group: vars(bootstrap_interval([scores[q] for q in queries]))
            for group, queries in groups(task).items()
        }
    return result


def bonus(run: Run, seen: set[str], weight: float) -> Run:
    return {
        query: {d: s + weight * max(scores.values()) * (d in seen) for d, s in scores.items()}
        for query, scores in run.items()
    }


def mean(run: Run, collection: Collection) -> float:
    return fmean(score_queries(run, collection.qrels, ("ndcg@10",))["ndcg@10"].values())


def say(*what: object) -> None:
    print(*(f"{x:.3f}" if isinstance(x, float) else x for x in what), flush=True)


def negatives(data: str) -> dict[str, Any]:
    """From the bag that read the documents, with all labels: whose documents are the negatives?"""
    task, trials = Task(data, OWN), []
    start, ids = task.encoder(0), list(task.known.corpus)
    taught = part(task.known, task.labels)
    own = retriever_for(start, task.corpus.tokenizer, task.config)
    runs = {"BM25": retrieve("bm25", taught, taught.queries),
            "its own": retrieve("own", taught, taught.queries, encoder=own)}  # fmt: skip
    mined: dict[str, Numbers | None] = {"in-batch": None, "+ random": random_numbers(task)}
    for name, run in runs.items():
        for guard, margin in (("", None), (", guarded", 0.95)):
            found = mine(run, taught.qrels, 10, margin)
            mined[f"+ mined by {name}{guard}"] = numbered(found, task.labels, ids)
    chosen = task.choose()
    for (name, hard), seed in product(mined.items(), range(3)):
        begin = process_time()
        best = task.finetune(start, task.labels, hard, seed=seed)
        trials.append(task.trial(name, seed, best.encoder, process_time() - begin))
        say(name, seed, best.steps, trials[-1].score())
    return {"chosen": chosen, "groups": by_group(trials, task, "in-batch")}


def random_numbers(task: Task) -> Numbers:
    rng = stream(0, "random negatives")
    drawn = rng.integers(len(task.corpus), size=(len(task.labels), 10))
    return [np.setdiff1d(row, a) for row, a in zip(drawn, task.labels.answers, strict=True)]


def transfer(data: str) -> dict[str, Any]:
    """The bag that ships, taught by one collection's labels, on the test queries of all."""
    task, trials = Task(data, WIKIPEDIA), {other: [] for other in COLLECTIONS}
    chosen = task.choose()
    collections = {other: load_collection(other, "test") for other in COLLECTIONS}
    start = task.encoder(0)
    for seed in range(3):
        taught = task.finetune(start, task.labels, seed=seed).encoder
        retriever = retriever_for(taught, task.corpus.tokenizer, task.config)
        for other, collection in collections.items():
            found = evaluate_model("after", collection, retriever)
            trials[other].append(Trial("after", seed, found.seconds, found.per_query))
            say(data, seed, other, trials[other][-1].score())
    before = retriever_for(start, task.corpus.tokenizer, task.config)
    for other, collection in collections.items():
        found = evaluate_model("before", collection, before).per_query
        trials[other] += [Trial("before", seed, 0.0, found) for seed in range(3)]
    results = {other: record(found, "before") for other, found in trials.items()}
    return {"chosen": chosen, "results": results}


PARTS = {"words": words, "negatives": negatives, "transfer": transfer}
WHERE = {
    "curve": ("scifact", "feedbackqa"),
    "words": ("scifact", "feedbackqa"),
    "negatives": ("scifact",),
    "transfer": tuple(TRAIN),
}


def keep(name: str, data: str, make: Callable[[], dict[str, Any]], command: str) -> None:
    """Write one record of scripts/`command`, unless it is there."""
    file = RECORDS / f"{name}.json"
    if file.exists():
        return
    about = {"command": f"python scripts/{command}", "data": data, "split": "test"}
    about["chosen_on"] = f"a tenth of {TRAIN.get(data, 'train')}, held out"
    RECORDS.mkdir(parents=True, exist_ok=True)
    write_json({**about, **make(), **circumstances()}, file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="+", choices=("curve", *PARTS))
    parser.add_argument("--data", choices=TRAIN, action="append")
    parser.add_argument("--start", choices=STARTS, action="append")
    arguments = parser.parse_args()
    for name in arguments.part:
        for data in arguments.data or WHERE[name]:
            if name != "curve":
                command = f"labels.py {name} --data {data}"
                keep(f"{name}-{data}", data, partial(PARTS[name], data), command)
                continue
            for start in arguments.start or STARTS:
                command = f"labels.py curve --data {data} --start {start}"
                keep(f"curve-{data}-{start}", data, partial(curve, data, start), command)


if __name__ == "__main__":
    main()
