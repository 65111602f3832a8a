"""What each command of the command line does, given its parsed arguments."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contriever_lite.errors import ConfigError

if TYPE_CHECKING:
    from contriever_lite.evaluate import Evaluation


def demo(arguments: Namespace) -> None:
    """Train, compare with BM25, show examples."""
    from contriever_lite.demo import demo

    demo(arguments.out, arguments.json)


def data(arguments: Namespace) -> None:
    """list, get, info or check."""
    from contriever_lite import registry
    from contriever_lite.check import check

    action, name = arguments.action, arguments.name
    if action == "list":
        print(registry.overview())
    elif not name:
        what = "folder" if action == "check" else "collection"
        raise ConfigError(f"data {action} needs the name of a {what}; `data list` shows all names")
    elif action == "get":
        print(registry.get(name))
    elif action == "info":
        print(registry.info(name))
    else:
        print(check(registry.get(name) if name in registry.REGISTRY else name))


def encode(arguments: Namespace) -> None:
    """Write the vectors of a source's documents, with their ids."""
    from contriever_lite.encode import encode_documents
    from contriever_lite.files import new_file

    path = Path(arguments.out.removesuffix(".npz") + ".npz")
    with new_file(path) as work:
        ids, vectors = encode_documents(arguments.model, arguments.data)
        np.savez(work, ids=np.array(ids), vectors=vectors)
    print(f"{path}: {len(vectors):,} vectors of {vectors.shape[1]} dimensions")


def search(arguments: Namespace) -> None:
    """Print the best documents for one query."""
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import retrieve
    from contriever_lite.metrics import ranking

    collection = load_collection(arguments.data)
    scores = retrieve(arguments.model, collection, {"query": arguments.query}, arguments.k)["query"]
    for place, document in enumerate(ranking(scores), 1):
        text = collection.corpus[document]
        title = text["title"] or document
        print(f"{place:3}  {scores[document]:.3f}  {title}: {text['text'][:90]}")
    if not scores:
        print("No document shares a word with this query.")


def evaluate(arguments: Namespace) -> None:
    """Score a model on one split of a collection."""
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import evaluate_model

    _check_outputs(arguments.trec_run)
    collection = load_collection(arguments.data, arguments.split)
    _finish(evaluate_model(arguments.model, collection), arguments.json, arguments.trec_run)


def fuse(arguments: Namespace) -> None:
    """Fuse runs read from TREC files and score the result."""
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import evaluate
    from contriever_lite.fusion import reciprocal_rank_fusion
    from contriever_lite.trec import read_run

    _check_outputs(arguments.out)
    if len(arguments.trec_run) < 2:
        raise ConfigError("fuse needs two runs or more: give --trec-run FILE once for each")
    collection = load_collection(arguments.data, arguments.split)
    run = reciprocal_rank_fusion([read_run(path) for path in arguments.trec_run])
    _finish(evaluate("fused", run, collection), arguments.json, arguments.out)


def report(arguments: Namespace) -> None:
    """Print the tables of recorded runs, or draw the curves of trainings."""
    from contriever_lite.registry import repository
    from contriever_lite.report import overview, report

    trainings = [run for run in arguments.runs if (Path(run) / "metrics.jsonl").is_file()]
    if trainings or arguments.data:
        _curves(trainings, arguments.data)
        return
    checkout = repository()
    recorded = [checkout / "data" / "runs"] if checkout else []
    if not (arguments.runs or recorded):
        raise ConfigError("no recorded run: name files or folders, or run inside a clone")
    print((overview if arguments.overview else report)(arguments.runs or recorded))


def _curves(runs: list[str], data: str | None) -> None:
    from contriever_lite.curves import draw, over_time
    from contriever_lite.metrics import Interval
    from contriever_lite.report import score_table

    if not runs:
        raise ConfigError("report --data needs the folder of a training, which has a metrics.jsonl")
    for run in runs:
        for step, scores in (over_time(run, data) if data else {}).items():
            kinds = {name: Interval(**score) for name, score in scores.items()}
            print(score_table({str(step): kinds}))
        print(draw(run))


def export(arguments: Namespace) -> None:
    """Write a folder that SentenceTransformer loads."""
    from contriever_lite.retriever import Retriever

    print(Retriever.load(arguments.model).export(arguments.out))


def _check_outputs(*paths: str | None) -> None:
    from contriever_lite.files import refuse_to_overwrite

    for path in paths:
        if path:
            refuse_to_overwrite(Path(path))


def _finish(evaluation: "Evaluation", json_file: str | None, run_file: str | None) -> None:
    from contriever_lite.files import write_json
    from contriever_lite.report import score_table
    from contriever_lite.trec import write_run

    collection = evaluation.collection
    print(f"{collection.name}, {collection.split}: {len(collection.corpus):,} documents, "
          f"{len(collection.queries):,} queries, {evaluation.seconds:.1f} seconds")  # fmt: skip
    print(score_table({Path(evaluation.model).name: evaluation.scores}))
    if json_file:
        write_json(evaluation.to_dict(), json_file, overwrite=True)
    if run_file:
        write_run(evaluation.run, run_file)
