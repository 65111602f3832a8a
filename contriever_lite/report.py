"""Tables from recorded runs: every figure in prose comes from here.

A record is one JSON file: what `contriever-lite eval --json` writes, and beside it the label and
class of the system, the training's settings and seconds, and where its settings were chosen.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from contriever_lite.errors import DataError
from contriever_lite.metrics import Interval

NAMES = {"ndcg@10": "nDCG@10", "recall@100": "R@100", "mrr@10": "MRR@10"}
MORE_NAMES = {"recall_cap@100": "capped R@100"}  # where a collection has them
NEEDED = ("model", "data", "split", "documents", "queries", "scores")
RECORDS = ((*NEEDED, "seconds"), ("model", "seconds", "collections"))  # of one, of several
CLASSES = (
    "lexical", "raw text", "structure", "fused", "helped by labelled models", "mined pairs",
    "supervised",
)  # fmt: skip


def score_table(systems: Mapping[str, Mapping[str, Interval]]) -> str:
    """A plain table for a terminal: a system a line, each score with its interval."""
    more = {m: n for m, n in MORE_NAMES.items() if all(m in scores for scores in systems.values())}
    names, wide = NAMES | more, max([6, *map(len, systems)]) + 2
    lines = ["".join([f"{'system':<{wide}}", *(f"{n:<24}" for n in names.values())]).rstrip()]
    for system, scores in systems.items():
        lines.append(f"{system:<{wide}}" + "".join(f"{scores[m]!s:<24}" for m in names).rstrip())
    return "\n".join(lines)


def collections_table(records: Iterable[Mapping[str, Any]]) -> str:
    """The same for one system: a collection a line. records: what `eval --json` writes."""
    sizes = f"{'documents':>11}{'queries':>9}  "
    lines = ["".join([f"{'':<24}", sizes, *(f"{name:<24}" for name in NAMES.values())]).rstrip()]
    for record in records:
        name = f"{record['data']}, {record['split']}"
        counts = f"{record['documents']:>11,}{record['queries']:>9,}  "
        scores = "".join(f"{Interval(**record['scores'][m])!s:<24}" for m in NAMES)
        lines.append(f"{name:<24}{counts}{scores}".rstrip())
    return "\n".join(lines)


def read_records(paths: Iterable[str | Path]) -> list[dict[str, Any]]:
    """Every record of these files and folders, in the order of their names.

    Raises DataError for a file that is not a record, and where there is none.
    """
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"there is no {path}; give a recorded run, or a folder of them")
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    records = []
    for file in files:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            for record in found.get("collections", [found]):  # several: eval --data all
                needed = {key: record[key] for key in NEEDED}
                for measure in NAMES:
                    Interval(**needed["scores"][measure])
                records.append({"label": needed["model"], "class": "", **record})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file} is not a recorded run ({error!r})") from error
    if not records:
        raise DataError("no recorded run there; `contriever-lite eval --json FILE` writes one")
    return records


def report(paths: Iterable[str | Path]) -> str:
    """A Markdown table for each collection and split: systems of the same label are one row, the
    mean over their seeds, with the interval over queries (its ends averaged over seeds) and, for
    several seeds, the smallest and largest nDCG@10."""
    groups: dict[tuple[str, str], dict[tuple[str, str], list[dict]]] = {}
    for record in read_records(paths):
        table = groups.setdefault((record["data"], record["split"]), {})
        table.setdefault((record["class"], record["label"]), []).append(record)
    blocks = []
    for (data, split), rows in sorted(groups.items()):
        first = next(iter(rows.values()))[0]
        head = [
            f"**{data}**, {split}: {first['documents']:,} documents, {first['queries']:,} queries",
            "",
            f"| system | class | {' | '.join(NAMES.values())} | seeds | training |",
            "|---|---|---|---|---|---|---|",
        ]
        order = sorted(rows.items(), key=lambda row: _place(row[0]))
        blocks.append("\n".join(head + [_row(*key, records) for key, records in order]))
    return "\n\n".join(blocks)


def overview(paths: Iterable[str | Path]) -> str:
    """One Markdown table: a collection a line, a system a column, nDCG@10 / R@100 as means over
    seeds; bold where a mean is above BM25's."""
    cells: dict[str, dict[tuple[str, str], list[dict]]] = {}
    for record in read_records(paths):
        line = cells.setdefault(f"{record['data']}, {record['split']}", {})
        line.setdefault((record["class"], record["label"]), []).append(record)
    systems = sorted({key for line in cells.values() for key in line}, key=_place)
    rows = [
        f"| collection | {' | '.join(label for _, label in systems)} |",
        "|---" * (len(systems) + 1) + "|",
    ]
    for data, line in sorted(cells.items()):
        lexical = line.get(("lexical", "BM25"), [])
        found = [_pair(line[key], lexical) if key in line else "" for key in systems]
        rows.append(f"| {data} | {' | '.join(found)} |")
    return "\n".join(rows)


def _pair(records: list[dict], lexical: list[dict]) -> str:
    words = []
    for measure in ("ndcg@10", "recall@100"):
        ours, theirs = (
            fmean(r["scores"][measure]["mean"] for r in rows) if rows else 1.0
            for rows in (records, lexical)
        )
        words.append(f"**{ours:.3f}**" if ours > theirs else f"{ours:.3f}")
    return " / ".join(words)


def _place(key: tuple[str, str]) -> tuple[int, str]:
    kind, label = key
    return (CLASSES.index(kind) if kind in CLASSES else len(CLASSES), label)


def _row(kind: str, label: str, records: list[dict]) -> str:
    cells = [str(mean_interval(records, measure)) for measure in NAMES]
    if len(records) > 1:
        values = [record["scores"]["ndcg@10"]["mean"] for record in records]
        cells[0] += f" ({min(values):.3f} to {max(values):.3f})"
    times = [r["training_seconds"] for r in records if r.get("training_seconds") is not None]
    seconds = f"{fmean(times):.0f} s" if times else "none"
    return f"| {label} | {kind} | {' | '.join(cells)} | {len(records)} | {seconds} |"


def mean_interval(records: list[dict], measure: str) -> Interval:
    """A score of several records of one system: mean and ends of the interval, over seeds."""
    parts = (fmean(r["scores"][measure][key] for r in records) for key in ("mean", "low", "high"))
    return Interval(*parts)
