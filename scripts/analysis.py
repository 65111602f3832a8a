"""Make data/runs/analysis/ again: BM25, the adapted bag and both fused, query by query.

    python scripts/analysis.py weights               how to fuse, chosen on development queries
    python scripts/analysis.py queries               each test query of each collection
    ... --data scifact                               one collection only
    ... --bags FOLDER                                keep the bags there, use those there are

The bag is that of the preset `adapt`, on wikipedia-vital of `demo`; one seed or more (--seeds):
scores are means over seeds, ranks are of seed 0. A file that is there is kept: remove it first to
make it again. Downloads what is not here.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from contriever_lite.analysis import document_frequency, features, without_word
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.contrasts import first_ranks, read_analysis, widest_gaps
from contriever_lite.evaluate import retrieve
from contriever_lite.files import new_file
from contriever_lite.fusion import reciprocal_rank_fusion, weighted_fusion
from contriever_lite.metrics import Run, bootstrap_interval, ranking, score_queries
from contriever_lite.presets import preset
from contriever_lite.retriever import Retriever
from contriever_lite.runs import train_run
from contriever_lite.search import BM25Index, DenseIndex, tokenize

RUNS = Path(__file__).resolve().parents[1] / "data" / "runs" / "analysis"
COLLECTIONS = ("wikipedia-vital", "scifact", "feedbackqa", "squad-dev", "cranfield", "cacm")
DEVELOPMENT = {"wikipedia-vital": "dev", "scifact": "train", "feedbackqa": "train"}
GRID = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
EVERY = {"wikipedia-vital": 4, "feedbackqa": 4}  # so manieth development query, to save time
METHODS = {
    "ranks": lambda both, w: reciprocal_rank_fusion(both, weights=[1 - w, w]),
    "scores": lambda both, w: weighted_fusion(both, [1 - w, w], "minmax"),
}
KEPT = ("ndcg@10", "recall@100")


def recipe(data: str) -> TrainConfig:
    return preset("demo" if data == "wikipedia-vital" else "adapt")


def bag(data: str, seed: int, folder: Path) -> Retriever:
    """The bag adapted to a collection's documents: trained, or read where it was kept."""
    place = folder / f"{data}-{seed}"
    if not place.is_dir():
        train_run(recipe(data).replace(seed=seed), data, place)
    return Retriever.load(place)


def weights(data: list[str], seeds: int, folder: Path) -> None:
    """nDCG@10 and R@100 of each fusion on development queries, and the best on the mean of them."""
    curves: dict[str, dict] = {}
    for name, split in DEVELOPMENT.items():
        collection = load_collection(name, split)
        asked = dict(list(collection.queries.items())[:: EVERY.get(name, 1)])
        collection = replace(
            collection, queries=asked, qrels={q: collection.qrels[q] for q in asked}
        )
        bm25 = retrieve("bm25", collection, asked)
        dense = retrieve("bag", collection, asked, encoder=bag(name, 0, folder))
        curves[name] = {
            method: [summary(fuse([bm25, dense], w), collection) for w in GRID]
            for method, fuse in METHODS.items()
        }
    means = {
        (method, w): fmean(curves[name][method][i]["ndcg@10"] for name in curves)
        for method in METHODS
        for i, w in enumerate(GRID)
    }
    method, weight = max(means, key=means.__getitem__)
    keep("weights", {
        "splits": DEVELOPMENT, "every": EVERY, "grid": GRID, "curves": curves,
        "chosen": {"method": method, "weight": weight},
        "rule": "the largest mean nDCG@10 over the three, seed 0",
    })  # fmt: skip


def summary(run: Run, collection: Collection) -> dict[str, float]:
    scores = score_queries(run, collection.qrels, KEPT)
    return {measure: round(fmean(values.values()), 5) for measure, values in scores.items()}


def queries(data: list[str], seeds: int, folder: Path) -> None:
    """One file a collection: features and scores of each test query, and some summaries."""
    for name in data:
        if not (RUNS / f"{name}.json").exists():
            study(load_collection(name), [bag(name, seed, folder) for seed in range(seeds)])


def study(collection: Collection, bags: list[Retriever]) -> None:
    rows = features(collection, bags[0].tokenizer)
    if list(rows) != list(collection.queries):
        sys.exit(f"{collection.name} has queries without a right document: leave them out first")
    bm25 = retrieve("bm25", collection, collection.queries)
    dense = [retrieve("bag", collection, collection.queries, encoder=bag) for bag in bags]
    chosen = read_analysis("weights", RUNS)["chosen"]
    best = METHODS[chosen["method"]]
    systems = {
        "bm25": [bm25],
        "dense": dense,
        "fused": [best([bm25, run], chosen["weight"]) for run in dense],
    }
    ranks = {"bm25": first_ranks(bm25, collection.qrels)}
    ranks["dense"] = first_ranks(dense[0], collection.qrels)
    columns = {}
    for system, runs in systems.items():
        found = [score_queries(run, collection.qrels, KEPT) for run in runs]
        for measure in KEPT:
            columns[f"{system} {measure}"] = {
                q: fmean(each[measure][q] for each in found) for q in rows
            }
    columns |= {f"{name} rank": found for name, found in ranks.items()}
    lengths = {
        d: len(w) for d, w in zip(collection.corpus, tokenize(collection.texts()), strict=True)
    }
    mean = fmean(lengths.values())
    for name, run in {"bm25": bm25, "dense": dense[0]}.items():
        columns[f"{name} length"] = {
            q: fmean([lengths[d] / mean for d in ranking(run[q])[:10]] or [0.0]) for q in rows
        }
    names = next(iter(rows.values()))
    keep(collection.name, {
        "split": collection.split, "documents": len(collection.corpus), "seeds": len(bags),
        "queries": len(rows), "fused": chosen,
        "features": {key: [round(row[key], 5) for row in rows.values()] for key in names},
        "scores": {key: [round(column[q], 4) for q in rows] for key, column in columns.items()},
        "cut": cut_words(collection, bags[0]),
        "siblings": {name: siblings(collection, run)
                     for name, run in {"bm25": bm25, "dense": dense[0]}.items()},
        "examples": examples(collection, {"bm25": bm25, "dense": dense[0]}, ranks),
    })  # fmt: skip


def cut_words(collection: Collection, bag: Retriever) -> dict:
    """nDCG@10 of each system on queries as they are, and without a word: means and intervals over
    the queries that lose one either way."""
    texts, ids = collection.texts(), collection.document_ids()
    frequency = document_frequency(tokenize(texts))
    asked = {"whole": collection.queries}
    for which in ("commonest", "rarest"):
        asked[which] = {q: without_word(t, frequency, which) for q, t in collection.queries.items()}
    kept = [q for q, t in collection.queries.items() if asked["rarest"][q] != t]
    lexical, vectors = BM25Index(texts, ids), DenseIndex(bag.encode(texts), ids)
    found: dict[str, dict] = {"bm25": {}, "dense": {}}
    for which, texts_of in asked.items():
        some = {q: texts_of[q] for q in kept}
        runs = {
            "bm25": lexical.search(some),
            "dense": vectors.search(bag.encode(list(some.values())), kept),
        }
        for name, run in runs.items():
            values = score_queries(run, {q: collection.qrels[q] for q in kept}, ["ndcg@10"])
            found[name][which] = values["ndcg@10"]
    return {"queries": len(kept), **{name: drops(values) for name, values in found.items()}}


def drops(values: dict[str, dict[str, float]]) -> dict[str, dict]:
    whole = values["whole"]
    found = {"whole": vars(bootstrap_interval(whole))}
    for which in ("commonest", "rarest"):
        found[which] = vars(bootstrap_interval([values[which][q] - whole[q] for q in whole]))
    return {key: {end: round(v, 5) for end, v in each.items()} for key, each in found.items()}


def examples(collection: Collection, runs: dict[str, Run], ranks: dict[str, dict]) -> dict:
    """Per direction the three queries of the widest gaps in rank."""
    found = {}
    right = {q: [d for d, g in judged.items() if g > 0] for q, judged in collection.qrels.items()}
    for ours, theirs in (("bm25", "dense"), ("dense", "bm25")):
        found[ours] = [
            {
                "query": collection.queries[q],
                "right": title(collection, right[q][0]),
                **{f"{name} rank": ranks[name][q] for name in runs},
                **{f"{name} first": title(collection, d) for name in runs
                   for d in ranking(runs[name].get(q, {}))[:1]},
            }
            for q in widest_gaps(ranks[ours], ranks[theirs])
        ]  # fmt: skip
    return found


def siblings(collection: Collection, run: Run) -> dict:
    """Of the queries whose first answer is wrong: how many, and the share where it has the title of
    a right document (several documents may have one title)."""
    titles = {id_: document["title"] for id_, document in collection.corpus.items()}
    found = []
    for query, judged in collection.qrels.items():
        right = {document for document, grade in judged.items() if grade > 0}
        first = next(iter(ranking(run.get(query, {}))), None)
        if first and first not in right:
            found.append(float(titles[first] != "" and titles[first] in {titles[d] for d in right}))
    share = {end: round(v, 5) for end, v in vars(bootstrap_interval(found)).items()}
    return {"queries": len(found), **share}


def title(collection: Collection, document: str) -> str:
    """A document's title, or its first words."""
    found = collection.corpus[document]
    return found["title"] or " ".join(found["text"].split()[:12])


def keep(name: str, found: dict) -> None:
    """Write one file, a column a line."""
    part = f"queries --data {name} --seeds {found['seeds']}" if "seeds" in found else "weights"
    command = f"python scripts/analysis.py {part}"
    found = {"data": name, "command": command, **found, **circumstances(recipe(name))}
    with new_file(RUNS / f"{name}.json") as work:
        work.write_text(spread(found) + "\n", encoding="utf-8")
    print(f"{name}.json is written")


def spread(value: object, depth: int = 0) -> str:
    """JSON with an object's entries on lines of their own and each list on one."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    pad = " " * (depth + 1)
    lines = [
        f"{pad}{json.dumps(k, ensure_ascii=False)}: {spread(v, depth + 1)}"
        for k, v in value.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def main() -> None:
    parts = {part.__name__: part for part in (weights, queries)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="+", choices=parts)
    parser.add_argument("--data", choices=COLLECTIONS, action="append")
    parser.add_argument("--seeds", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--bags", type=Path)
    arguments = parser.parse_args()
    data = arguments.data or list(COLLECTIONS)
    with tempfile.TemporaryDirectory() as scratch:
        for part in arguments.part:
            parts[part](data, arguments.seeds, arguments.bags or Path(scratch))


if __name__ == "__main__":
    main()
