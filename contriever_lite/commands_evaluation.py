"""What the commands that score and report do, given their parsed arguments."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from contriever_lite.errors import ConfigError

if TYPE_CHECKING:
    from contriever_lite.evaluate import Evaluation
    from contriever_lite.models import Encoder


def evaluate(arguments: Namespace) -> None:
    """Score a model, or the run that another tool wrote, on one collection or on all."""
    from contriever_lite.encoded import EncodedCorpus
    from contriever_lite.survey import ALL, evaluate_named

    a, label = arguments, arguments.model
    _check_outputs(a.trec_run, a.trec_qrels, a.per_query)
    if Path(a.model).is_file():
        _finish(_evaluate_run(a), a)
        return
    encoder = _encoder(a)
    if a.force_score:
        label += f", forced to {a.score}"
    if a.data == ALL:
        _evaluate_all(a, label, encoder)
    else:
        encoded = EncodedCorpus.open(a.vectors) if a.vectors else None
        _finish(evaluate_named(label, a.data, a.split, encoder, not a.no_titles, encoded), a)


def _encoder(arguments: Namespace) -> Encoder | None:
    from contriever_lite.models import load_model

    a = arguments
    if a.force_score and not a.score:
        raise ConfigError("--force-score needs --score dot or --score cosine")
    if a.model != "bm25":
        return load_model(a.model, a.score, a.force_score)
    if a.score:
        raise ConfigError("bm25 scores words; --score is for models that make vectors")
    return None


def _evaluate_run(arguments: Namespace) -> Evaluation:
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import check_run, evaluate, notes_on
    from contriever_lite.trec import read_run

    if arguments.vectors:
        raise ConfigError(f"{arguments.model} is a finished ranking: --vectors is for models")
    collection = load_collection(arguments.data, arguments.split)
    run = read_run(arguments.model)
    check_run(run, collection)
    return evaluate(arguments.model, run, collection, notes=notes_on(collection))


def _evaluate_all(arguments: Namespace, label: str, encoder: Encoder | None) -> None:
    from contriever_lite.files import write_json
    from contriever_lite.report import collections_table
    from contriever_lite.survey import local_collections, survey

    a = arguments
    if a.split or a.trec_run or a.trec_qrels or a.per_query or a.no_titles or a.vectors:
        raise ConfigError(
            "--data all takes no --split, --no-titles, --vectors or file but --json: name one"
        )
    found = [each.to_dict() for each in survey(label, local_collections(), encoder)]
    seconds = round(sum(each["seconds"] for each in found), 2)
    print(f"{Path(label).name}: {len(found)} collections, {seconds:.1f} seconds")
    print(collections_table(found))
    if a.json:
        record = {"model": label, "seconds": seconds, "collections": found}
        write_json(record, a.json, overwrite=True)


def fuse(arguments: Namespace) -> None:
    """Fuse runs read from TREC files and score the result."""
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import check_run, evaluate
    from contriever_lite.fusion import reciprocal_rank_fusion
    from contriever_lite.trec import read_run

    a = arguments
    _check_outputs(a.out, a.per_query)
    if len(a.trec_run) < 2:
        raise ConfigError("fuse needs two runs or more: give --trec-run FILE once for each")
    collection = load_collection(a.data, a.split)
    runs = [read_run(path) for path in a.trec_run]
    for run in runs:
        check_run(run, collection)
    a.trec_run, a.trec_qrels = a.out, None
    _finish(evaluate("fused", reciprocal_rank_fusion(runs), collection), a)


def report(arguments: Namespace) -> None:
    """Print the tables of recorded runs, or compare two, or draw the curves of trainings."""
    from contriever_lite.paper import beside_the_paper
    from contriever_lite.registry import repository
    from contriever_lite.report import NAMES, overview, report
    from contriever_lite.significance import difference_table, differences, read_query_scores

    a = arguments
    if a.compare:
        print(difference_table(differences([read_query_scores(f) for f in a.compare]), NAMES))
        return
    trainings = [run for run in a.runs if (Path(run) / "metrics.jsonl").is_file()]
    if trainings or a.data:
        _curves(trainings, a.data)
        return
    checkout = repository()
    recorded = [checkout / "data" / "runs"] if checkout else []
    if not (a.runs or recorded):
        raise ConfigError("no recorded run: name files or folders, or run inside a clone")
    table = beside_the_paper if a.paper else overview if a.overview else report
    print(table(a.runs or recorded))


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


def card(arguments: Namespace) -> None:
    """Write the results card of a model."""
    from contriever_lite.card import write_card

    a = arguments
    for path in write_card(a.model, a.out or a.model, a.scores, a.licence):
        print(path)


def _check_outputs(*paths: str | None) -> None:
    from contriever_lite.files import refuse_to_overwrite

    for path in paths:
        if path:
            refuse_to_overwrite(Path(path))


def _finish(evaluation: Evaluation, arguments: Namespace) -> None:
    """Print the scores and write the files that were asked for."""
    from contriever_lite.files import write_json
    from contriever_lite.report import score_table
    from contriever_lite.trec import write_qrels, write_run

    collection, a = evaluation.collection, arguments
    print(f"{collection.name}, {collection.split}: {len(collection.corpus):,} documents, "
          f"{len(collection.queries):,} queries, {evaluation.seconds:.1f} seconds")  # fmt: skip
    for note in evaluation.notes:
        print(note)
    print(score_table({Path(evaluation.model).name: evaluation.scores}))
    if a.json:
        write_json(evaluation.to_dict(), a.json, overwrite=True)
    if a.per_query:
        write_json(evaluation.query_scores(), a.per_query)
    if a.trec_run:
        write_run(evaluation.run, a.trec_run)
    if a.trec_qrels:
        write_qrels(collection.qrels, a.trec_qrels)
