"""What the commands that score do, given their parsed arguments."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from contriever_lite.commands import open_encoder
from contriever_lite.errors import ConfigError
from contriever_lite.options import refuse

if TYPE_CHECKING:
    from contriever_lite.collection import Collection
    from contriever_lite.evaluate import Evaluation
    from contriever_lite.models import TextEncoder


def evaluate(arguments: Namespace) -> None:
    """Score a model, or the run that another tool wrote, on one collection or on all."""
    from contriever_lite.survey import ALL
    from contriever_lite.trec import write_qrels

    a = arguments
    _check_outputs(a.json, a.trec_run, a.trec_qrels, a.per_query)
    ranked = Path(a.model).is_file()
    if a.data == ALL and not ranked:
        _evaluate_all(a)
        return
    evaluation = _evaluate_run(a) if ranked else _evaluate_model(a)
    _finish(evaluation, a)
    if a.trec_qrels:
        write_qrels(evaluation.collection.qrels, a.trec_qrels)


def _evaluate_model(arguments: Namespace) -> Evaluation:
    from contriever_lite.encoded import EncodedCorpus
    from contriever_lite.survey import evaluate_named

    a, (label, encoder) = arguments, _opened(arguments)
    encoded = EncodedCorpus.open(a.vectors) if a.vectors else None
    return evaluate_named(label, a.data, a.split, encoder, not a.no_titles, encoded)


def _opened(arguments: Namespace) -> tuple[str, TextEncoder | None]:
    """What the model is called in a record, and its encoder."""
    a = arguments
    refuse(a, f"{a.model} is no finished ranking, which alone is judged anew", "--qrels")
    if a.force_score and not a.score:
        raise ConfigError("--force-score needs --score dot or --score cosine")
    encoder = open_encoder(a, a.force_score)
    return f"{a.model}, forced to {a.score}" if a.force_score else a.model, encoder


def _evaluate_run(arguments: Namespace) -> Evaluation:
    from contriever_lite.evaluate import check_run, evaluate, notes_on
    from contriever_lite.trec import read_run

    a = arguments
    ours = "--vectors", "--no-titles", "--score", "--force-score", "--device"
    refuse(a, f"{a.model} is a finished ranking", *ours)
    collection, run = _judged(a), read_run(a.model)
    check_run(run, collection)
    return evaluate(a.model, run, collection, notes=notes_on(collection))


def _judged(arguments: Namespace) -> Collection:
    """The collection with its own judgements, or with those of a file, whose queries need not be
    among its own."""
    from contriever_lite.collection import load_collection, load_documents
    from contriever_lite.trec import read_qrels

    a = arguments
    if not a.qrels:
        return load_collection(a.data, a.split)
    refuse(a, "--qrels stands in for a split", "--split")
    qrels = read_qrels(a.qrels)
    judged = {"split": a.qrels, "queries": dict.fromkeys(qrels, ""), "qrels": qrels}
    return replace(load_documents(a.data), **judged)


def _evaluate_all(arguments: Namespace) -> None:
    from contriever_lite.files import write_json
    from contriever_lite.report import collections_table
    from contriever_lite.survey import local_collections, survey

    a = arguments
    if a.split or a.trec_run or a.trec_qrels or a.per_query or a.no_titles or a.vectors:
        raise ConfigError(
            "--data all takes no --split, --no-titles, --vectors or file but --json: name one"
        )
    label, encoder = _opened(a)
    found = [each.to_dict() for each in survey(label, local_collections(), encoder)]
    seconds = round(sum(each["seconds"] for each in found), 2)
    print(f"{Path(label).name}: {len(found)} collections, {seconds:.1f} seconds")
    print(collections_table(found))
    if a.json:
        record = {"model": label, "seconds": seconds, "collections": found}
        write_json(record, a.json, overwrite=True)


def fuse(arguments: Namespace) -> None:
    """Fuse runs read from TREC files, by rank or, with weights, by score, and score the result."""
    from contriever_lite.collection import load_collection
    from contriever_lite.evaluate import check_run, evaluate
    from contriever_lite.fusion import reciprocal_rank_fusion, weighted_fusion
    from contriever_lite.trec import read_run

    a = arguments
    _check_outputs(a.json, a.trec_run, a.per_query)
    if len(a.runs) < 2:
        raise ConfigError("fuse needs two runs or more: give --trec-run FILE once for each")
    collection = load_collection(a.data, a.split)
    runs = [read_run(path) for path in a.runs]
    for run in runs:
        check_run(run, collection)
    fused = weighted_fusion(runs, a.weights) if a.weights else reciprocal_rank_fusion(runs)
    _finish(evaluate("fused", fused, collection), a)


def _check_outputs(record: str | None, *paths: str | None) -> None:
    """Refuse, before the work, what may not be written after it."""
    from contriever_lite.files import refuse_to_overwrite, refuse_to_replace
    from contriever_lite.report import RECORDS

    if record:
        refuse_to_replace(Path(record), *RECORDS)
    for path in paths:
        if path:
            refuse_to_overwrite(Path(path))


def _finish(evaluation: Evaluation, arguments: Namespace) -> None:
    """Print the scores and write the files that were asked for."""
    from contriever_lite.files import write_json
    from contriever_lite.report import score_table
    from contriever_lite.trec import write_run

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
