"""Make the recorded runs in data/runs/ again: every figure of the book that is not computed live.

    python scripts/record.py words        BM25 on each collection
    python scripts/record.py supervised   all-MiniLM-L6-v2 on each
    python scripts/record.py untrained    the bag before its first step, three seeds
    python scripts/record.py raw          the bag trained on a collection's own documents, so too
    python scripts/record.py titles       the same with title-to-body pairs
    python scripts/record.py wiki         the start of `adapt`: bag that ships beside fresh numbers
    python scripts/record.py adapt        that bag, then trained on a collection's own documents
    python scripts/record.py methods      the bag by other unsupervised methods, one budget for all:
                                          records in data/runs/methods/
    python scripts/record.py transformers a small transformer by them, from nothing: there too
    ... --data scifact                    one collection only

data/runs/per_query/ holds each query's scores for collections of at most 500 queries, for
`contriever-lite report --compare`; each file is written with its record, or added to a record that
is there if the figures come out the same again.

Collections that are neither embedded nor on this machine are downloaded. A record that exists is
kept: remove it first to make it again.
"""

import argparse
import json
import time
from pathlib import Path

from contriever_lite.build import new_encoder
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.contrasts import read_analysis
from contriever_lite.evaluate import Evaluation, evaluate, evaluate_model
from contriever_lite.files import new_file, write_json
from contriever_lite.fusion import reciprocal_rank_fusion, weighted_fusion
from contriever_lite.metrics import Run
from contriever_lite.models import load_model
from contriever_lite.presets import preset
from contriever_lite.retriever import retriever_for
from contriever_lite.runs import read_corpus
from contriever_lite.train import fit, train

RUNS = Path(__file__).resolve().parents[1] / "data" / "runs"
PER_QUERY, FEW = RUNS / "per_query", 500  # queries of a collection
COLLECTIONS = ("wikipedia-vital", "scifact", "squad-dev", "cranfield", "cacm", "feedbackqa")
SEEDS = (0, 1, 2)
CHOSEN = (
    "no setting chosen on any test query; the preset was chosen on training queries of scifact "
    "(and, for adapt and its fusion, of feedbackqa) and the dev half of wikipedia-vital"
)


def words(data: str) -> None:
    file = RUNS / f"{data}-bm25.json"
    if missing(file):
        evaluation = evaluate_model("bm25", load_collection(data))
        keep(file, evaluation, "BM25", "lexical", f"words --data {data}", chosen="defaults")


def supervised(data: str) -> None:
    file = RUNS / f"{data}-all-MiniLM-L6-v2.json"
    if missing(file):
        name = "all-MiniLM-L6-v2"
        evaluation = evaluate_model(name, load_collection(data), load_model(name))
        keep(
            file, evaluation, name, "supervised", f"supervised --data {data}", chosen="as published"
        )


def untrained(data: str) -> None:
    bag(data, "bag, untrained", "raw text", "untrained", {"steps": 0})


def raw(data: str) -> None:
    bag(data, "bag, trained", "raw text", "raw", {})


def titles(data: str) -> None:
    bag(data, "bag, trained, titles", "structure", "titles", {"title_pairs": TITLE_PAIRS})


def wiki(data: str) -> None:
    bag(data, "bag, Wikipedia only", "raw text", "wiki", {"steps": 0}, "adapt")


def adapt(data: str) -> None:
    bag(data, "bag, Wikipedia, then trained", "raw text", "adapt", {}, "adapt")


TITLE_PAIRS = 0.3


CROPS = {"query_tokens": None, "key_crop": (0.05, 0.5), "query_delete": 0.1, "key_delete": 0.1}
ONCE = {"query_views": 1, "once": False}  # inverse cloze has one query a document
METHODS = {  # of preset laptop; MoCo's momentum is the best of sweep `momentum` on its dev queries
    "no step": {"steps": 0},
    "crops": CROPS,
    "crops, one direction": {**CROPS, "symmetric": False},
    "crops, MoCo": {**CROPS, "objective": "moco", "momentum": 0.9, "symmetric": False},
    "inverse cloze": {"pair": "inverse_cloze", "query_delete": 0.0, "key_delete": 0.0},
    "dropout alone (SimCSE)": {**CROPS, "query_crop": (1.0, 1.0), "key_crop": (1.0, 1.0)},
    "short query, long key": {},
}


TRANSFORMERS = {  # of preset cpu-transformer, with words from nothing and the paper's dropout
    "no step": {"steps": 0},
    "masked words": {"objective": "mlm"},
    "dropout alone (SimCSE)": METHODS["dropout alone (SimCSE)"]
    | {"query_delete": 0.0, "key_delete": 0.0},
    "crops": CROPS,
}


def methods(data: str) -> None:
    """The same bag, batch, steps and rate, and other pairs or negatives; a bag's dropout is that of
    its words, a tenth of them."""
    base = preset("laptop").replace(**ONCE)
    several(data, "bag", base, METHODS, f"methods --data {data}")


def transformers(data: str) -> None:
    """The same transformer, batch, steps and rate, and other training."""
    base = preset("cpu-transformer").replace(start="", vocab_size=16_000, dropout=0.1)
    several(data, "transformer", base, TRANSFORMERS, f"transformers --data {data}")


def several(
    data: str, kind: str, base: TrainConfig, changes: dict[str, dict], command: str
) -> None:
    """Three seeds of each change."""
    for seed in SEEDS:
        for name, change in changes.items():
            part = f"{kind}: {name}".split(" (")[0].replace(": ", "-").replace(", ", "-")
            file = RUNS / "methods" / f"{data}-{part.replace(' ', '-')}-{seed}.json"
            if not file.exists():
                settings = base.replace(**{"seed": seed, **change})
                found, extra = trained(data, f"{kind}: {name}", settings)
                keep(file, found, f"{kind}: {name}", "raw text", command, **extra)


def trained(data: str, label: str, settings: TrainConfig) -> tuple[Evaluation, dict[str, object]]:
    """A bag trained on a collection's documents and scored there; what its record says besides."""
    corpus = read_corpus(data, settings.vocab_size, settings.start)
    settings, _ = fit(settings, corpus)
    start = time.perf_counter()
    encoder = train(settings, corpus) if settings.steps else new_encoder(settings, corpus)
    seconds = time.perf_counter() - start
    retriever = retriever_for(encoder, corpus.tokenizer, settings)
    found = evaluate_model(label, load_collection(data), retriever)
    about = {"training_seconds": round(seconds, 1), "seed": settings.seed, "settings": settings}
    return found, about


def bag(
    data: str, label: str, kind: str, part: str, changes: dict, base: str | None = None
) -> None:
    """Three seeds of one setting; beside each the fusion with BM25."""
    for seed in SEEDS:
        file = RUNS / f"{data}-{part}-{seed}.json"
        if not missing(file):
            continue
        own = "demo" if data == "wikipedia-vital" else "laptop"
        settings = preset(base or own).replace(seed=seed, **changes)
        found, extra = trained(data, label, settings)
        keep(file, found, label, kind, f"{part} --data {data}", **extra)
        if settings.steps:
            collection = found.collection
            both = [evaluate_model("bm25", collection).run, found.run]
            fused = evaluate("fused", fuse(both, part), collection)
            name = f"{label} + BM25"
            fused_file = RUNS / f"{data}-{part}-fused-{seed}.json"
            keep(fused_file, fused, name, "fused", f"{part} --data {data}", **extra)


def fuse(both: list[Run], part: str) -> Run:
    """BM25 and the bag: by equal reciprocal rank; for `adapt` by min-max scores, with the weight
    that `analysis.py weights` chose on development queries."""
    if part == "adapt":
        weight = read_analysis("weights")["chosen"]["weight"]
        return weighted_fusion(both, [1 - weight, weight], "minmax")
    return reciprocal_rank_fusion(both)


def keep(
    file: Path,
    evaluation: Evaluation,
    label: str,
    kind: str,
    command: str,
    settings: TrainConfig | None = None,
    chosen: str = CHOSEN,
    **extra: object,
) -> None:
    """Write one record, and say so; beside it the scores of each query, if these are few."""
    if file.parent == RUNS:
        keep_queries(file, evaluation, label)
    if file.exists():
        return
    record = {
        **evaluation.to_dict(),
        "label": label,
        "class": kind,
        **extra,
        "chosen_on": chosen,
        "command": f"python scripts/record.py {command}",
        **circumstances(settings),
    }
    write_json(record, file)
    print(f"{file.name}: nDCG@10 {evaluation.scores['ndcg@10']}")


def missing(file: Path) -> bool:
    """Is there no record, or one of few queries without their scores?"""
    if not file.exists():
        return True
    few = json.loads(file.read_text(encoding="utf-8"))["queries"] <= FEW
    return few and not (PER_QUERY / file.name).exists()


def keep_queries(file: Path, evaluation: Evaluation, label: str) -> None:
    """Each query's scores; refused where a record is there already and its figures are others."""
    if len(evaluation.collection.queries) > FEW or not missing(file):
        return
    if file.exists():
        record = json.loads(file.read_text(encoding="utf-8"))["scores"]
        for measure, score in evaluation.scores.items():
            if abs(score.mean - record[measure]["mean"]) > 5e-5:
                raise SystemExit(f"{file.name}: {measure} is {score.mean}, not the recorded one")
    scores = {**evaluation.query_scores(), "model": label}
    with new_file(PER_QUERY / file.name, overwrite=True) as work:
        work.write_text(json.dumps(scores, separators=(",", ":")) + "\n", encoding="utf-8")


def main() -> None:
    known = (words, supervised, untrained, raw, titles, wiki, adapt, methods, transformers)
    parts = {part.__name__: part for part in known}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="+", choices=parts)
    parser.add_argument("--data", choices=COLLECTIONS, action="append")
    arguments = parser.parse_args()
    for part in arguments.part:
        for data in arguments.data or COLLECTIONS:
            parts[part](data)


if __name__ == "__main__":
    main()
