"""The whole idea in a minute: train on raw text, retrieve, compare with BM25, fuse, look."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contriever_lite.collection import Collection, load_collection
from contriever_lite.evaluate import Evaluation, evaluate, evaluate_model
from contriever_lite.files import refuse_to_replace, write_json
from contriever_lite.fusion import reciprocal_rank_fusion
from contriever_lite.metrics import ranking
from contriever_lite.presets import preset
from contriever_lite.report import score_table
from contriever_lite.retriever import Retriever
from contriever_lite.runs import train_run

COLLECTION = "wikipedia-vital"
SHOWN = 5


def demo(out: str | Path | None = None, json_file: str | Path | None = None) -> dict[str, Any]:
    """Train on the documents of wikipedia-vital, score the test half, print what happened.

    out: the run's folder, by default runs/demo or the first free name after it. Returns the JSON
    of `demo --json`: {"seconds", "systems": {"bm25" | "dense" | "fused": scores}}. Raises DataError
    where json_file is another file than such a one.
    """
    if json_file:
        refuse_to_replace(Path(json_file), ("seconds", "systems"))
    start = time.perf_counter()
    out = Path(out) if out else free_name(Path("runs") / "demo")
    collection = load_collection(COLLECTION, "test")
    print(
        f"{COLLECTION}: the leads of {len(collection.corpus):,} Wikipedia articles; the "
        f"{len(collection.queries):,} test queries are articles' short descriptions."
    )
    print("Training on the documents alone: no query, no label, nothing pre-trained ...")
    systems = compare(collection, train_run(preset("demo"), COLLECTION, out))
    print(f"\n{score_table({name: system.scores for name, system in systems.items()})}\n")
    print("Where one reciprocal rank is furthest above the other's (right answers starred):\n")
    for title, query in examples(systems):
        print(show(title, query, systems, collection))
    seconds = time.perf_counter() - start
    print(f"The model is in {out / 'model'}. All of this took {seconds:.0f} seconds.")
    print(f'Ask it: contriever-lite search --model {out} --data {COLLECTION} "your question"')
    scores = {
        name: {measure: asdict(interval) for measure, interval in system.scores.items()}
        for name, system in systems.items()
    }
    result = {"seconds": round(seconds, 1), "systems": scores}
    if json_file:
        write_json(result, json_file, overwrite=True)
    return result


def compare(collection: Collection, retriever: Retriever) -> dict[str, Evaluation]:
    """BM25, the retriever, and both fused by reciprocal rank."""
    bm25 = evaluate_model("bm25", collection)
    dense = evaluate_model("dense", collection, retriever)
    fused = evaluate("fused", reciprocal_rank_fusion([bm25.run, dense.run]), collection)
    return {"bm25": bm25, "dense": dense, "fused": fused}


def free_name(folder: Path) -> Path:
    """The folder, or folder-2, folder-3, ...: the first that does not exist."""
    names = (folder.with_name(f"{folder.name}-{i}") for i in range(2, 10_000))
    return folder if not folder.exists() else next(name for name in names if not name.exists())


def examples(systems: dict[str, Evaluation]) -> list[tuple[str, str]]:
    """(title, query id) of three queries, by rule: where one system's reciprocal rank is furthest
    above the others'; among equals, the first query id."""
    mrr = {name: system.per_query["mrr@10"] for name, system in systems.items()}
    rules = {
        "BM25 finds it, vectors do not": ("bm25", ["dense"]),
        "Vectors find it, BM25 does not": ("dense", ["bm25"]),
        "Together they beat each alone": ("fused", ["bm25", "dense"]),
    }
    return [
        (
            title,
            min(mrr[best], key=lambda q: (max(mrr[o][q] for o in others) - mrr[best][q], q)),
        )
        for title, (best, others) in rules.items()
    ]


def show(title: str, query: str, systems: dict[str, Evaluation], collection: Collection) -> str:
    """The first answers of each system to one query, the right ones marked."""
    lines = [f'{title}: "{collection.queries[query]}"']
    for name, system in systems.items():
        answers = [
            ("*" if collection.qrels[query].get(document, 0) > 0 else "")
            + (collection.corpus[document]["title"] or document)
            for document in ranking(system.run[query])[:SHOWN]
        ]
        lines.append(f"  {name:5} {' | '.join(answers)}")
    return "\n".join(lines) + "\n"
