"""Reports: every figure of a record, means over seeds, in a fixed order; bad files refused."""

import json
from pathlib import Path

import pytest

from contriever_lite.errors import DataError
from contriever_lite.metrics import Interval
from contriever_lite.report import overview, read_records, report, score_table


def scores(ndcg: float, recall: float = 0.8, mrr: float = 0.5) -> dict:
    return {
        name: {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}
        for name, mean in (("ndcg@10", ndcg), ("recall@100", recall), ("mrr@10", mrr))
    }


def write(folder: Path, name: str, **changes: object) -> Path:
    record = {"model": "bm25", "data": "tiny", "split": "test", "documents": 5183, "queries": 300,
              "seconds": 1.0, "scores": scores(0.5)}  # fmt: skip
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**record, **changes}))
    return path


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, below its header."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_record_is_a_row(tmp_path: Path) -> None:
    path = write(tmp_path, "a")
    text = report([path])
    assert text.startswith(
        "**tiny**, test: 5,183 documents, 300 queries\n\n| system | class | nDCG@10"
    )
    assert rows(text) == [
        ["bm25", "", "0.500 [0.400, 0.600]", "0.800 [0.700, 0.900]", "0.500 [0.400, 0.600]", "1",
         "none"],
    ]  # fmt: skip
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1, "every row has the columns of the header"


def test_seeds_of_a_label_are_one_row_with_means_and_extremes(tmp_path: Path) -> None:
    for seed, (value, seconds) in enumerate([(0.6, 10), (0.62, 14), (0.67, 12)]):
        write(tmp_path, f"s{seed}", label="bag", scores=scores(value), training_seconds=seconds,
              **{"class": "raw text"})  # fmt: skip
    (row,) = rows(report([tmp_path]))
    assert row == [
        "bag", "raw text", "0.630 [0.530, 0.730] (0.600 to 0.670)", "0.800 [0.700, 0.900]",
        "0.500 [0.400, 0.600]", "3", "12 s",
    ]  # fmt: skip


def test_rows_are_ordered_by_class_then_label_and_tables_by_collection(tmp_path: Path) -> None:
    for number, (label, kind) in enumerate(
        [("z", "supervised"), ("b", "fused"), ("bag", "structure"), ("y", "raw text"),
         ("x", "raw text"), ("BM25", "lexical"), ("odd", "another")]
    ):  # fmt: skip
        write(tmp_path, str(number), label=label, **{"class": kind})
    write(tmp_path, "n", data="another", label="BM25")
    write(tmp_path, "d", split="dev", label="BM25")
    first, second, third = report([tmp_path]).split("\n\n**")
    assert first.startswith("**another**, test")
    assert second.startswith("tiny**, dev")
    assert third.startswith("tiny**, test")
    assert [row[0] for row in rows(third)] == ["BM25", "x", "y", "bag", "b", "z", "odd"]


def test_the_overview_has_a_line_a_collection_and_marks_what_beats_bm25(tmp_path: Path) -> None:
    lexical = {"label": "BM25", "class": "lexical"}
    bag = {"label": "bag", "class": "raw text"}
    write(tmp_path, "a", data="one", scores=scores(0.6, 0.8), **lexical)
    write(tmp_path, "b", data="one", scores=scores(0.5, 0.8), **bag)
    write(tmp_path, "c", data="one", scores=scores(0.6, 0.9), **bag)
    write(tmp_path, "d", data="two", scores=scores(0.7, 0.7), **bag)
    write(tmp_path, "e", data="two", scores=scores(0.6, 0.6), **lexical)
    assert rows(overview([tmp_path])) == [
        ["one, test", "0.600 / 0.800", "0.550 / **0.850**"],
        ["two, test", "0.600 / 0.600", "**0.700** / **0.700**"],
    ]
    assert overview([tmp_path]).startswith("| collection | BM25 | bag |\n|---|---|---|\n")
    write(tmp_path, "f", data="three", scores=scores(0.9), **bag)
    assert rows(overview([tmp_path]))[1] == ["three, test", "", "0.900 / 0.800"]


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    write(folder, "b", model="B")
    write(folder, "a", model="A")
    (folder / "notes.txt").write_text("not a record")
    alone = write(tmp_path, "alone", model="C", label="other")
    records = read_records([alone, folder])
    assert [(r["model"], r["label"], r["class"]) for r in records] == [
        ("C", "other", ""), ("A", "A", ""), ("B", "B", ""),
    ]  # fmt: skip


BROKEN = {
    "no json": "{",
    "no object": "[]",
    "a number": "3",
    "no scores": '{"model": "m"}',
    "odd scores": '{"model": "m", "scores": "high"}',
    "not utf-8": b"\xff\xfe\xff",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=r"bad\.json is not a recorded run"):
        report([path])


@pytest.mark.parametrize(
    "key", ["model", "data", "split", "documents", "queries", "scores", "mrr@10", "low"]
)
def test_an_incomplete_record_is_refused(tmp_path: Path, key: str) -> None:
    path = write(tmp_path, "bad")
    record = json.loads(path.read_text())
    for part in (record, record["scores"], record["scores"]["ndcg@10"]):
        part.pop(key, None)
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=key):
        report([path])


def test_no_record_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recorded run there"):
        report([tmp_path])
    with pytest.raises(DataError, match=r"there is no .*nowhere; give a recorded run"):
        report([tmp_path / "nowhere"])


def test_the_table_of_a_terminal_lines_up() -> None:
    intervals = {name: Interval(0.5, 0.4, 0.6) for name in ("ndcg@10", "recall@100", "mrr@10")}
    lines = score_table({"bm25": intervals, "dense": intervals}).splitlines()
    assert lines[0].split() == ["system", "nDCG@10", "R@100", "MRR@10"]
    assert lines[1].split()[0] == "bm25"
    places = {line.index(word) for line, word in zip(lines, ("nDCG", "0.5", "0.5"), strict=True)}
    assert places == {8}
    assert all(line == line.rstrip() for line in lines)
    assert lines[1].count("0.500 [0.400, 0.600]") == 3


def test_a_record_of_several_collections_is_several(tmp_path: Path) -> None:
    score = {"mean": 0.5, "low": 0.4, "high": 0.6}
    records = [
        {"model": "bag", "data": data, "split": "test", "documents": 9, "queries": 3,
         "scores": dict.fromkeys(("ndcg@10", "recall@100", "mrr@10"), score)}
        for data in ("here", "there")
    ]  # fmt: skip
    file = tmp_path / "all.json"
    file.write_text(json.dumps({"model": "bag", "seconds": 1.0, "collections": records}))
    assert [record["data"] for record in read_records([file])] == ["here", "there"]
