"""The paper's own BEIR tables, as facts, and recorded runs beside them.

Source: Izacard et al. 2022, "Unsupervised Dense Information Retrieval with Contrastive Learning",
arXiv 2112.09118v4: table 11 (unsupervised), table 2 (supervised, nDCG@10), table 10 (supervised,
R@100). Figures are in percent, as printed; "-" where the paper has none. R@100 of trec-covid is
capped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contriever_lite.errors import DataError
from contriever_lite.report import NAMES, mean_interval, read_records

# What a system has learnt from: never mixed in one table.
LEXICAL, RAW, HELPED = "lexical", "raw text", "helped by labelled models"
MINED, LABELLED = "mined pairs", "labelled pairs"
KINDS = {
    LEXICAL: "Words, nothing learnt",
    RAW: "Unsupervised: raw text alone",
    "structure": "Unsupervised: raw text and which words are a title",
    HELPED: "Helped by models that learnt from labels",
    "fused": "Unsupervised and fused with BM25",
    MINED: "Mined pairs (titles, questions, links)",
    LABELLED: "Labelled pairs",
}
OURS = {"supervised": LABELLED}  # the class of a record -> the kind it is shown under
KIND_OF_MODEL = {  # for records that state no class, as `eval --json` writes them
    "bm25": LEXICAL,
    "facebook/contriever": RAW,
    "bert-base-uncased": RAW,
    "princeton-nlp/unsup-simcse-bert-base-uncased": RAW,
    "facebook/contriever-msmarco": LABELLED,
    "all-MiniLM-L6-v2": LABELLED,
}

TABLE_11 = """
                BM25      BERT      SimCSE    REALM     Contriever
scifact         66.5 90.8 9.8  35.2 38.5 75.3 47.1 83.8 64.9 92.6
nfcorpus        32.5 25.0 2.5  6.7  14.0 18.2 24.1 23.0 31.7 29.4
arguana         31.5 94.2 23.1 59.1 45.6 95.2 22.8 73.1 37.9 90.1
scidocs         15.8 35.6 2.7  11.3 7.4  23.0 9.0  23.1 14.9 36.0
fiqa            23.6 53.9 1.4  6.9  14.8 41.0 9.7  28.0 24.5 56.2
msmarco         22.8 65.8 0.6  3.5  8.8  33.6 15.2 52.6 20.6 67.2
trec-covid      65.6 49.8 16.6 10.6 38.6 26.8 20.1 8.1  27.4 17.2
nq              32.9 76.0 2.7  14.3 12.6 42.9 15.2 58.1 25.4 77.1
hotpotqa        60.3 74.0 4.9  15.8 23.3 42.7 40.5 56.1 48.1 70.4
webis-touche2020 36.7 53.8 3.4 3.0  11.6 18.6 7.3  11.5 19.3 22.5
cqadupstack     29.9 60.6 2.5  11.0 20.2 48.9 13.5 35.5 28.4 61.4
quora           78.9 97.3 3.9  74.6 81.5 97.9 71.6 92.7 83.5 98.7
dbpedia-entity  31.3 39.8 3.9  7.1  13.7 21.5 22.7 33.0 29.2 45.3
fever           75.3 93.1 4.9  13.6 20.1 50.8 42.9 82.6 68.2 93.6
climate-fever   21.3 43.6 4.1  12.8 17.6 44.8 14.3 42.3 15.5 44.1
"""
TABLE_2 = """
                 BM25+CE DPR  ANCE TAS-B GenQ ColBERT SPLADEv2 Contriever-msmarco Contriever-msmarco+CE
scifact          68.8    31.8 50.7 64.3  64.4 67.1    69.3     67.7               69.2
nfcorpus         35.0    18.9 23.7 31.9  31.9 30.5    33.4     32.8               34.4
arguana          31.1    17.5 41.5 42.9  49.3 23.3    47.9     44.6               41.3
scidocs          16.6    7.7  12.2 14.9  14.3 14.5    15.8     16.5               17.1
fiqa             34.7    11.2 29.5 30.0  30.8 31.7    33.6     32.9               36.7
msmarco          41.3    17.7 38.8 40.8  40.8 40.1    43.3     40.7               47.0
trec-covid       75.7    33.2 65.4 48.1  61.9 67.7    71.0     59.6               70.1
nq               53.3    47.4 44.6 46.3  35.8 52.4    52.1     49.8               57.7
hotpotqa         70.7    39.1 45.6 58.4  53.4 59.3    68.4     63.8               71.5
webis-touche2020 27.1    13.1 24.0 16.2  18.2 20.2    36.4     23.0               29.8
cqadupstack      37.0    15.3 29.6 31.4  34.7 35.0    -        34.5               37.7
quora            82.5    24.8 85.2 83.5  83.0 85.4    83.8     86.5               82.4
dbpedia-entity   40.9    26.3 28.1 38.4  32.8 39.2    43.5     41.3               47.1
fever            81.9    56.2 66.9 70.0  66.9 77.1    78.6     75.8               81.9
climate-fever    25.3    14.8 19.8 22.8  17.5 18.4    23.5     23.7               25.8
"""  # noqa: E501
TABLE_10 = """
                 DPR  ANCE TAS-B GenQ ColBERT SPLADEv2 Contriever-msmarco
scifact          72.7 81.6 89.1  89.3 87.8    92.0     94.7
nfcorpus         20.8 23.2 28.0  28.0 25.4    27.7     30.0
arguana          75.1 93.7 94.2  97.8 91.4    97.2     97.7
scidocs          21.9 26.9 33.5  33.2 34.4    36.4     37.8
fiqa             34.2 58.1 59.3  61.8 60.3    62.1     65.6
"""
KIND_OF = {
    "BM25": LEXICAL,
    "BERT": RAW,
    "SimCSE": RAW,
    "Contriever": RAW,
    "REALM": HELPED,
}  # a tagger that learnt from labels finds the spans it masks (Guu et al. 2020)
NOTE = """Square brackets: 95 % bootstrap intervals over queries; the paper prints none. The paper's
unsupervised systems have not read these collections; of ours, those called "trained" have read the
collection's own documents, unlabelled."""


@dataclass(frozen=True)
class Row:
    """A system on a collection: the paper's (scores in 0..1, without an interval) or ours."""

    kind: str
    system: str
    where: str
    ndcg: str
    recall: str


def published(data: str) -> list[Row]:
    """The paper's rows for a BEIR set; none for another collection."""
    both = _cells(TABLE_11).get(data, {})
    found = {name: (pair[0], pair[1]) for name, pair in both.items()}
    recalls = _cells(TABLE_10).get(data, {})
    for name, (ndcg,) in _cells(TABLE_2).get(data, {}).items():
        found[name] = (ndcg, *recalls.get(name, ("-",)))
    return [
        Row(KIND_OF.get(name, LABELLED), name, "paper", *map(_share, pair))
        for name, pair in found.items()
    ]


def _cells(table: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Collection -> system -> its figures, of which each has as many."""
    head, *lines = (line.split() for line in table.strip().splitlines())
    each = (len(lines[0]) - 1) // len(head)
    return {
        data: {
            name: tuple(values[each * i : each * (i + 1)]) for i, name in enumerate(head)
        }
        for data, *values in lines
    }  # fmt: skip


def _share(percent: str) -> str:
    return "" if percent == "-" else f"{float(percent) / 100:.3f}"


def beside_the_paper(paths: Iterable[str | Path]) -> str:
    """Markdown: for each BEIR set with a record, a table for each kind of training, our rows
    ("run here", with the interval over queries) beside the paper's.

    Raises DataError where no record is of a set of the paper's.
    """
    sets: dict[str, dict[tuple[str, str], list[dict[str, Any]]]] = {}
    for record in read_records(paths):
        usual = "dev" if record["data"] == "msmarco" else "test"
        if published(record["data"]) and record["split"] == usual:
            rows = sets.setdefault(record["data"], {})
            kind = record["class"] or KIND_OF_MODEL.get(record["model"], "")
            rows.setdefault((kind, record["label"]), []).append(record)
    if not sets:
        raise DataError("no record is of a set of the paper's BEIR tables; eval --data scifact")
    blocks = [_block(data, sets[data]) for data in _cells(TABLE_11) if data in sets]
    return "\n\n".join([*blocks, NOTE])


def _block(data: str, ours: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    wide = "recall_cap@100" if data == "trec-covid" else "recall@100"
    rows = published(data)
    for (kind, label), records in ours.items():
        measures = ["ndcg@10", wide if wide in records[0]["scores"] else "recall@100"]
        scores = [str(mean_interval(records, measure)) for measure in measures]
        seeds = f", {len(records)} seeds" if len(records) > 1 else ""
        rows.append(Row(OURS.get(kind, kind), label, f"run here{seeds}", *scores))
    kinds = [*KINDS, *sorted({row.kind for row in rows} - KINDS.keys())]
    lines = [f"## {data}"]
    for kind in kinds:
        if own := [row for row in rows if row.kind == kind]:
            lines += ["", f"**{KINDS.get(kind, kind or 'class not stated')}**", ""]
            lines += [f"| system | from | {NAMES['ndcg@10']} | {NAMES['recall@100']} |"]
            lines += ["|---|---|---|---|"]
            lines += [f"| {r.system} | {r.where} | {r.ndcg} | {r.recall} |" for r in own]
    return "\n".join(lines)
