"""The paper's tables: copied right, and our records beside them without mixing classes."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from contriever_lite.errors import DataError
from contriever_lite.paper import (
    KINDS,
    OURS,
    TABLE_2,
    TABLE_11,
    _cells,
    beside_the_paper,
    published,
)
from contriever_lite.registry import REGISTRY


def mean(values: list[str]) -> float:
    return round(fmean(map(float, values)), 1)


def test_table_11_has_the_averages_that_the_paper_prints() -> None:
    """All but one: the mean of BERT's fifteen nDCG@10 is 5.8, and the paper prints 8.7."""
    cells = _cells(TABLE_11)
    assert len(cells) == 15
    printed = {"BM25": (41.7, 63.6), "BERT": (5.8, 19.0), "SimCSE": (24.6, 45.4),
               "REALM": (25.1, 46.9), "Contriever": (36.0, 60.1)}  # fmt: skip
    for system, pair in printed.items():
        assert tuple(mean([row[system][i] for row in cells.values()]) for i in (0, 1)) == pair


def test_table_2_has_the_averages_that_the_paper_prints() -> None:
    rows = {data: row for data, row in _cells(TABLE_2).items() if data != "msmarco"}
    assert len(rows) == 14
    printed = {"BM25+CE": 48.6, "DPR": 25.5, "ANCE": 40.5, "TAS-B": 42.8, "GenQ": 42.5,
               "ColBERT": 44.4, "Contriever-msmarco": 46.6,
               "Contriever-msmarco+CE": 50.2}  # fmt: skip
    for system, average in printed.items():
        assert mean([row[system][0] for row in rows.values()]) == average
    thirteen = [row["SPLADEv2"][0] for data, row in rows.items() if data != "cqadupstack"]
    assert mean(thirteen) == 50.6


def test_its_sets_are_names_of_the_registry() -> None:
    known = {name.partition("/")[0] for name in REGISTRY}
    assert set(_cells(TABLE_11)) <= known
    assert set(_cells(TABLE_2)) == set(_cells(TABLE_11))
    assert published("cranfield") == []


def write(folder: Path, name: str, kind: str, data: str = "scifact", **more: object) -> None:
    score = {"mean": 0.5, "low": 0.4, "high": 0.6}
    scores = {"ndcg@10": score, "recall@100": score, "mrr@10": score}
    record = {"model": name, "data": data, "split": "test", "documents": 9, "queries": 9,
              "scores": scores, "label": name, "class": kind, **more}  # fmt: skip
    (folder / f"{name}-{data}.json").write_text(json.dumps(record))


def test_classes_are_never_in_one_table(tmp_path: Path) -> None:
    kinds = {"words": "lexical", "mine": "raw text", "both": "fused", "big": "supervised",
             "topics": "helped by labelled models", "pairs": "mined pairs"}  # fmt: skip
    for name, kind in kinds.items():
        write(tmp_path, name, kind)
    write(tmp_path, "mine", "raw text", "cranfield")
    write(tmp_path, "dev", "raw text", split="dev")
    write(tmp_path, "hub", "", model="facebook/contriever-msmarco")
    write(tmp_path, "stranger", "")
    text = beside_the_paper([tmp_path])
    assert text.startswith("## scifact\n")
    assert "cranfield" not in text
    assert "| dev |" not in text
    tables = dict(zip(*[iter(text.split("**")[1:])] * 2, strict=True))
    for name, kind in kinds.items():
        (where,) = [title for title, table in tables.items() if f"| {name} | run here |" in table]
        assert where == KINDS[OURS.get(kind, kind)]
    assert "| hub | run here |" in tables[KINDS["labelled pairs"]]
    assert "| stranger | run here |" in tables["class not stated"]
    raw = tables[KINDS["raw text"]]
    assert "| Contriever | paper | 0.649 | 0.926 |" in raw
    assert "| mine | run here | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] |" in raw
    assert "Contriever-msmarco" in tables[KINDS["labelled pairs"]]
    assert "Contriever-msmarco" not in raw


def test_capped_recall_stands_beside_the_papers_for_trec_covid(tmp_path: Path) -> None:
    score, capped = ({"mean": m, "low": m, "high": m} for m in (0.1, 0.4))
    scores = {"ndcg@10": score, "recall@100": score, "mrr@10": score, "recall_cap@100": capped}
    write(tmp_path, "bag", "raw text", "trec-covid", scores=scores)
    assert "| bag | run here | 0.100 [0.100, 0.100] | 0.400 [0.400, 0.400] |" in beside_the_paper(
        [tmp_path]
    )


def test_records_of_other_sets_alone_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "bag", "raw text", "cranfield")
    with pytest.raises(DataError, match="no record is of a set of the paper's"):
        beside_the_paper([tmp_path])
