"""The authors' own formats, on excerpts written for these tests."""

import json
from pathlib import Path

import pytest

from contriever_lite.convert import SITES, convert
from contriever_lite.errors import DataError

DOCUMENTS = """.I 1
.T
lift of a kite
in a breeze .
.A
wren,a.
.B
j. kites 3, 1950.
.W
lift of a kite
in a breeze .
  the lift was measured
on a windy day .
.I 2
.T
.A
.B
.W
.I 3
.T
drag of a string .
.W
a string has drag .
"""
QUESTIONS = """.I 001
.W
what lifts a kite .
.I 004
.W
what drags
a string .
"""


def squad_file(folder: Path) -> None:
    questions = [{"id": "x1", "question": "Who  tied it?", "answers": []}]
    article = {
        "title": "Box_kite",
        "paragraphs": [
            {"context": "A  box kite is tied.", "qas": questions},
            {"context": "Nobody asks of this.", "qas": []},
        ],
    }
    (folder / "squad-dev.json").write_text(json.dumps({"version": "1.1", "data": [article]}))


def feedbackqa_files(folder: Path) -> None:
    for site in SITES:
        passages = [
            {"passage_id": n, "source": site, "reference": {
                "page_title": f"{site} page", "section_headers": ["Part", f"{n}"],
                "section_content": "Wash\nyour hands. "}}
            for n in (0, 10, 2)
        ]  # fmt: skip
        passages[1]["reference"]["section_headers"] = []
        for split in ("train", "valid", "test"):
            examples = [{"id": 0, "source": site, "question": f"{split}?", "passage_id": 10}]
            path = folder / "feedbackqa-main" / "data" / site / f"{split}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"examples": examples, "passages": passages}))


def test_squad(tmp_path: Path) -> None:
    squad_file(tmp_path)
    corpus, queries, qrels = convert("squad", tmp_path)
    assert corpus["p0"] == {"title": "Box kite", "text": "A  box kite is tied."}
    assert list(corpus) == ["p0", "p1"]
    assert queries == {"x1": "Who  tied it?"}
    assert qrels == {"test": {"x1": {"p0": 1}}}


def test_cranfield(tmp_path: Path) -> None:
    (tmp_path / "cran.all.1400").write_text(DOCUMENTS)
    (tmp_path / "cran.qry").write_text(QUESTIONS)
    (tmp_path / "cranqrel").write_text("1 1 2\n1 3  3\n2 3 -1\n\n")
    corpus, queries, qrels = convert("cranfield", tmp_path)
    assert corpus == {
        "1": {"title": "lift of a kite in a breeze .",
              "text": "the lift was measured on a windy day ."},
        "2": {"title": "", "text": ""},
        "3": {"title": "drag of a string .", "text": "a string has drag ."},
    }  # fmt: skip
    assert queries == {"1": "what lifts a kite .", "2": "what drags a string ."}
    assert qrels == {"test": {"1": {"1": 1, "3": 1}, "2": {"3": 1}}}


def test_cacm(tmp_path: Path) -> None:
    (tmp_path / "cacm.all").write_text(DOCUMENTS + ".N\nCA580101\n.X\n1\t5\t1\n")
    (tmp_path / "query.text").write_text(".I 1\n.W\n kites\n of wood\n.A\n1. Wren\n.N\n 1. me\n")
    (tmp_path / "qrels.text").write_text("01 0003  0 0\n01 0001  0 0\n")
    corpus, queries, qrels = convert("cacm", tmp_path)
    assert corpus["1"]["text"].startswith("lift of a kite in a breeze . the lift")
    assert corpus["3"] == {"title": "drag of a string .", "text": "a string has drag ."}
    assert queries == {"1": "kites of wood"}
    assert qrels == {"test": {"1": {"3": 1, "1": 1}}}


def test_feedbackqa(tmp_path: Path) -> None:
    feedbackqa_files(tmp_path)
    corpus, queries, qrels = convert("feedbackqa", tmp_path)
    assert list(corpus)[:4] == ["Australia-0", "Australia-2", "Australia-10", "CDC-0"]
    assert corpus["UK-2"] == {"title": "UK page - Part - 2", "text": "Wash your hands."}
    assert corpus["WHO-10"]["title"] == "WHO page"
    splits = ("train", "valid", "test")
    assert list(queries) == [f"{site}-{split}-0" for split in splits for site in SITES]
    assert qrels["valid"]["CDC-valid-0"] == {"CDC-10": 1}


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("squad", "x.json", "{"),
        ("squad", "x.json", "[]"),
        ("squad", "x.json", '{"data": [{"title": "no paragraphs"}]}'),
        ("squad", "x.json", '{"data": ["not an article"]}'),
        ("cranfield", "cran.all.1400", ".T\nno id\n"),
        ("cranfield", "cran.all.1400", ""),
        ("cranfield", "cran.all.1400", ".I 1\nno field\n"),
        ("cranfield", "cranqrel", "one two\n"),
        ("cranfield", "cranqrel", "1\n"),
        ("cranfield", "cranqrel", ""),
        ("feedbackqa", "feedbackqa-main/data/UK/test.json", '{"examples": []}'),
        ("feedbackqa", "feedbackqa-main/data/UK/test.json", '{"passages": [{}], "examples": []}'),
    ],
)
def test_what_is_not_of_the_format(tmp_path: Path, name: str, file: str, text: str) -> None:
    if name == "cranfield":
        (tmp_path / "cran.all.1400").write_text(DOCUMENTS)
        (tmp_path / "cran.qry").write_text(QUESTIONS)
        (tmp_path / "cranqrel").write_text("1 1 2\n")
    if name == "feedbackqa":
        feedbackqa_files(tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError):
        convert(name, tmp_path)


@pytest.mark.parametrize("name", ["squad", "cranfield", "cacm", "feedbackqa"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="0 files"):
        convert(name, tmp_path)
