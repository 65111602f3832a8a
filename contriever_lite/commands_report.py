"""What the commands that report do, given their parsed arguments."""

from argparse import Namespace
from pathlib import Path

from contriever_lite.errors import ConfigError
from contriever_lite.options import refuse


def report(arguments: Namespace) -> None:
    """Print the tables of recorded runs, or compare two, or draw the curves of trainings."""
    from contriever_lite.paper import beside_the_paper
    from contriever_lite.registry import repository
    from contriever_lite.report import NAMES, overview, report
    from contriever_lite.significance import difference_table, differences, read_query_scores

    a = arguments
    if a.compare:
        refuse(a, "--compare reads its own files", "runs", "--data", "--paper", "--overview")
        print(difference_table(differences([read_query_scores(f) for f in a.compare]), NAMES))
        return
    trainings = [run for run in a.runs if (Path(run) / "metrics.jsonl").is_file()]
    if trainings or a.data:
        refuse(a, "these are tables of records, not of trainings", "--paper", "--overview")
        _curves(a.runs, trainings, a.data)
        return
    if a.paper:
        refuse(a, "--paper prints tables of its own", "--overview")
    checkout = repository()
    recorded = [checkout / "data" / "runs"] if checkout else []
    if not (a.runs or recorded):
        raise ConfigError("no recorded run: name files or folders, or run inside a clone")
    table = beside_the_paper if a.paper else overview if a.overview else report
    print(table(a.runs or recorded))


def _curves(runs: list[str], trainings: list[str], data: str | None) -> None:
    from contriever_lite.curves import draw, over_time
    from contriever_lite.metrics import Interval
    from contriever_lite.report import score_table

    if not trainings:
        raise ConfigError("report --data needs the folder of a training, which has a metrics.jsonl")
    if others := [run for run in runs if run not in trainings]:
        raise ConfigError(f"{', '.join(others)}: no training, as {trainings[0]} is; report records "
                          "and trainings in two commands")  # fmt: skip
    for run in trainings:
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
