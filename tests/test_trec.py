"""Runs and judgements come back as they went out, and other tools read the same figures."""

import gzip
import math

import ir_measures
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contriever_lite.errors import DataError
from contriever_lite.metrics import ranking, score_queries
from contriever_lite.trec import read_qrels, read_run, write_qrels, write_run

IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=5)
SCORES = st.sampled_from([0.0, 1.0, 1 + 1e-9]) | st.floats(allow_nan=False, allow_infinity=False)
RUNS = st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1))
QRELS = st.dictionaries(
    IDS, st.dictionaries(IDS, st.integers(-2, 4), min_size=1), min_size=1, max_size=5
)


@settings(max_examples=100, deadline=None)
@given(run=RUNS, name=st.sampled_from(["a.trec", "a.trec.gz"]))
def test_a_run_comes_back_the_same(run, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / name
    write_run(run, path)
    assert read_run(path) == run


@settings(max_examples=100, deadline=None)
@given(qrels=QRELS, name=st.sampled_from(["a.qrels", "a.tsv", "a.tsv.gz", "a.gz"]))
def test_judgements_come_back_the_same(qrels, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("qrels") / name
    write_qrels(qrels, path)
    assert read_qrels(path) == qrels


ASCII = st.sampled_from(["a", "b", "c1", "c10", "c9"])


@settings(max_examples=100, deadline=None)
@given(
    run=st.dictionaries(ASCII, st.dictionaries(ASCII, st.sampled_from([0.5, 1.0, 1 + 1e-9]))),
    qrels=st.dictionaries(ASCII, st.dictionaries(ASCII, st.integers(0, 2), min_size=1), min_size=1),
)
def test_ir_measures_finds_the_same_figures_in_the_files(run, qrels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    write_run(run, folder / "run.trec")
    write_qrels(qrels, folder / "qrels.txt")
    theirs = ir_measures.iter_calc(
        [ir_measures.nDCG @ 3],
        list(ir_measures.read_trec_qrels(str(folder / "qrels.txt"))),
        list(ir_measures.read_trec_run(str(folder / "run.trec"))),
    )
    ours = score_queries(run, qrels, ["ndcg@3"])["ndcg@3"]
    assert {metric.query_id: metric.value for metric in theirs} == pytest.approx(ours, abs=1e-9)


def test_a_run_file_is_what_trec_prescribes(tmp_path):
    path = tmp_path / "new folder" / "run.trec"
    write_run({"q1": {"d1": 0.5, "d2": 2, "d3": 0.5}, "q2": {}}, path, tag="bm25")
    assert path.read_text() == "q1 Q0 d2 1 2.0 bm25\nq1 Q0 d3 2 0.5 bm25\nq1 Q0 d1 3 0.5 bm25\n"
    assert list(path.parent.iterdir()) == [path], "no scratch file stays"
    assert read_run(path) == {"q1": {"d1": 0.5, "d2": 2.0, "d3": 0.5}}


def test_judgement_files_are_what_trec_and_beir_prescribe(tmp_path):
    qrels = {"q1": {"d1": 2, "d2": -1}, "q2": {}}
    write_qrels(qrels, tmp_path / "qrels.txt")
    assert (tmp_path / "qrels.txt").read_text() == "q1 0 d1 2\nq1 0 d2 -1\n"
    write_qrels(qrels, tmp_path / "test.tsv")
    expected = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t-1\n"
    assert (tmp_path / "test.tsv").read_text() == expected


def test_lines_end_alike_on_every_system(tmp_path):
    write_run({"q": {"d1": 1.0, "d2": 0.5}}, tmp_path / "run")
    assert (tmp_path / "run").read_bytes().count(b"\n") == 2
    assert b"\r" not in (tmp_path / "run").read_bytes()


def test_files_of_other_tools_are_read(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"\xef\xbb\xbf1\tQ0\td1\t99\t-1e-3\tx\r\n\r\n1 Q0  d2 1 .5 x")
    assert read_run(path) == {"1": {"d1": -0.001, "d2": 0.5}}
    assert ranking(read_run(path)["1"]) == ["d2", "d1"], "the rank column plays no part"
    path.write_text("query-id\tcorpus-id\tscore\n1\ta document\t1\n")
    assert read_qrels(path) == {"1": {"a document": 1}}
    path.write_text("1 0 d1 1\n1 0 d1 1\n")
    assert read_qrels(path) == {"1": {"d1": 1}}, "the same judgement twice says nothing new"
    path.write_bytes(gzip.compress(b"1 0 d1 1\n"))
    path.rename(tmp_path / "run.gz")
    assert read_qrels(tmp_path / "run.gz") == {"1": {"d1": 1}}
    path.write_text("")
    assert read_run(path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Q0 d1 1 0.5\n", ":1: 5 columns, wanted 6: query Q0 document rank score tag"),
        ("1 Q0 a b 1 0.5 x\n", ":1: 7 columns"),
        ("1 Q0 d1 1 0.5 x\n\n1 Q0 d2 2 high x\n", ":3: score 'high' is not a finite number"),
        ("1 Q0 d1 1 nan x\n", "score 'nan'"),
        ("1 Q0 d1 1 -inf x\n", "score '-inf'"),
        ("1 Q0 d1 1 1e999 x\n", "score '1e999'"),
        ("1 Q0 d1 1 1_0 x\n", "score '1_0'"),
        ("1 Q0 d1 1 2 x\n1 Q0 d1 2 1 x\n", ":2: query '1' lists document 'd1' before"),
        ("1 Q0 d1 1 x x\n1 Q0 d2\n", r"2 faults:(.|\n)*:1: score 'x'(.|\n)*:2: 3 columns"),
    ],
)
def test_a_broken_run_is_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "run").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_run(tmp_path / "run")
    assert str(tmp_path / "run") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the file holds no judgement"),
        ("query-id\tcorpus-id\tscore\n", ":1: the file holds no judgement"),
        ("query-id\tcorpus-id\n1\td1\n", ":1: no column 'score'"),
        ("1\td1\t1\n", ":1: 3 columns, wanted 4: query 0 document grade"),
        ("1 0 d1 1\n1 0 d2 1.5\n", ":2: grade '1.5' is not a whole number"),
        ("query-id\tcorpus-id\tscore\n1\td1\tyes\n", ":2: grade 'yes'"),
        ("1 0 d1 1\n1 0 d1 2\n", ":2: query '1', document 'd1': before 1"),
    ],
)
def test_broken_judgements_are_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "qrels").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_qrels(tmp_path / "qrels")
    assert str(tmp_path / "qrels") in str(caught.value)


@pytest.mark.parametrize("read", [read_run, read_qrels])
def test_unreadable_files_are_refused(tmp_path, read):
    with pytest.raises(DataError, match=r"no file .*absent"):
        read(tmp_path / "absent")
    (tmp_path / "latin1").write_bytes("1 0 é 1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin1:1: not UTF-8"):
        read(tmp_path / "latin1")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"\n" * 1000)[:-12])
    with pytest.raises(DataError, match="cut short or damaged"):
        read(tmp_path / "cut.gz")


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\n", "\u00a0", "a\u2028b", "\x00", "\ud800"])
def test_names_that_would_break_a_file_are_refused_on_writing(tmp_path, name):
    path = tmp_path / "file"
    for run in ({name: {"d": 1.0}}, {"q": {name: 1.0}}):
        with pytest.raises(DataError, match="cannot be a word of a TREC file"):
            write_run(run, path)
    with pytest.raises(DataError, match="cannot be a word"):
        write_run({"q": {"d": 1.0}}, path, tag=name)
    for qrels in ({name: {"d": 1}}, {"q": {name: 1}}):
        with pytest.raises(DataError, match="cannot be a word"):
            write_qrels(qrels, path)
    assert not list(tmp_path.iterdir()), "nothing half-written stays"


@pytest.mark.parametrize("score", [math.inf, -math.inf, math.nan])
def test_scores_that_are_not_finite_are_refused_on_writing(tmp_path, score):
    with pytest.raises(DataError, match=r"'d'.*(inf|NaN)"):
        write_run({"q": {"d": score}}, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_only_when_told_and_only_by_a_whole_one(tmp_path):
    path = tmp_path / "run"
    write_run({"q": {"old": 1.0}}, path)
    with pytest.raises(DataError, match="run exists already"):
        write_run({"q": {"new": 1.0}}, path)
    with pytest.raises(DataError, match="cannot be a word"):
        write_run({"q": {"new": 1.0}, "bad id": {"d": 1.0}}, path, overwrite=True)
    assert read_run(path) == {"q": {"old": 1.0}}
    write_run({"q": {"new": 1.0}}, path, overwrite=True)
    assert read_run(path) == {"q": {"new": 1.0}}
    with pytest.raises(DataError, match="run exists already"):
        write_qrels({"q": {"d": 1}}, path)
    assert read_run(path) == {"q": {"new": 1.0}}
