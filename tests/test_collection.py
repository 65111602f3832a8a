"""BEIR folders: what is read, what is refused (with file and line), what is written."""

import gzip
import os
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite import check as checking
from contriever_lite.beir import Collection, read_beir, read_beir_documents, splits
from contriever_lite.check import check
from contriever_lite.collection import load_collection, write_beir, write_folder
from contriever_lite.errors import ConfigError, DataError, UserError
from contriever_lite.files import new_folder

CORPUS = '{"_id": "a", "title": "A", "text": "first"}\n{"_id": "b", "text": "second"}\n'
QUERIES = '{"_id": "q", "text": "one"}\n{"_id": "r", "text": "two"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t0\n"


def beir(folder: Path, corpus: str | bytes = CORPUS, queries: str | bytes = QUERIES,
         qrels: str | bytes = QRELS, split: str = "test") -> Path:  # fmt: skip
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, data in (("corpus.jsonl", corpus), ("queries.jsonl", queries),
                       (f"qrels/{split}.tsv", qrels)):  # fmt: skip
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def test_a_good_folder(tmp_path: Path) -> None:
    collection = read_beir(beir(tmp_path / "mine"))
    assert (collection.name, collection.split, collection.language) == ("mine", "test", "en")
    assert collection.document_ids() == ["a", "b"]
    assert collection.texts() == ["A first", "second"]
    assert collection.queries == {"q": "one"}  # r is not judged
    assert collection.qrels == {"q": {"a": 2, "b": 0}}


def test_harmless_differences(tmp_path: Path) -> None:
    plain = read_beir(beir(tmp_path / "plain" / "x"))
    crlf = beir(
        tmp_path / "crlf" / "x",
        b"\xef\xbb\xbf" + CORPUS.replace("\n", "\r\n\r\n").encode(),
        QUERIES.replace("\n", "\r\n") + "  \n",
        QRELS.replace("\n", "\r\n").rstrip(),
    )
    assert read_beir(crlf) == plain
    packed = beir(tmp_path / "gz" / "x")
    for name in ("corpus.jsonl", "queries.jsonl"):
        (packed / f"{name}.gz").write_bytes(gzip.compress((packed / name).read_bytes()))
        (packed / name).unlink()
    assert read_beir(packed) == plain
    numbers = beir(
        tmp_path / "numbers" / "x",
        '{"_id": 1, "title": null, "text": "t", "metadata": {}}',
        '{"_id": 7, "text": "q"}',
        "corpus-id\tscore\tquery-id\textra\n1\t+1\t7\tx\n1\t1\t7\ty",
    )
    assert read_beir(numbers).qrels == {"7": {"1": 1}}


BROKEN_RECORDS = [
    ('{"title": "A", "text": "t"}', "_id is None"),
    ('{"_id": "", "text": "t"}', "_id is ''"),
    ('{"_id": true, "text": "t"}', "_id is True"),
    ('{"_id": 1.5, "text": "t"}', "_id is 1.5"),
    ('{"_id": "c"}', "text is None"),
    ('{"_id": "c", "text": null}', "text is None"),
    ('{"_id": "c", "text": ["t"]}', "text is ['t']"),
    ('{"_id": "c", "text": "t"', "not a line of JSON"),
    ('["_id", "c"]', "list where an object"),
    ("17", "int where an object"),
    ('{"_id": "c", "text": "\\ud800"}', "half of a character"),
    ("[" * 100_000, "not a line of JSON"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN_RECORDS)
@pytest.mark.parametrize("file", ["corpus", "queries"])
def test_broken_records(tmp_path: Path, file: str, line: str, message: str) -> None:
    good = {"corpus": CORPUS, "queries": QUERIES}[file]
    folder = beir(tmp_path, **{file: good + "\n" + line + "\n"})
    with pytest.raises(DataError) as caught:
        read_beir(folder)
    assert str(caught.value).startswith(f"{folder / file}.jsonl:4: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("file", ["corpus", "queries"])
def test_a_duplicate_id(tmp_path: Path, file: str) -> None:
    good = {"corpus": CORPUS, "queries": QUERIES}[file]
    folder = beir(tmp_path, **{file: good + good.splitlines()[1]})
    with pytest.raises(DataError, match=r"jsonl:3: _id '.' is already on line 2"):
        read_beir(folder)


def test_a_title_that_is_no_string(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.jsonl:1: title is \['x'\]"):
        read_beir(beir(tmp_path, '{"_id": "a", "title": ["x"], "text": ""}'))


@pytest.mark.parametrize(
    ("qrels", "line", "message"),
    [
        ("query-id\tcorpus-id\nq\ta\n", 1, "no column 'score'"),
        ("q\ta\t1\n", 1, "no column 'query-id'"),
        (QRELS + "q\ta\n", 4, "2 columns"),
        (QRELS + "q a 1\n", 4, "1 columns"),
        (QRELS + "x\ta\t1\n", 4, "query 'x' is not in"),
        (QRELS + "q\tx\t1\n", 4, "document 'x' is not in"),
        (QRELS + "r\ta\thigh\n", 4, "score 'high' is not a whole number"),
        (QRELS + "r\ta\t1.0\n", 4, "score '1.0' is not"),
        (QRELS + "r\ta\t1_0\n", 4, "score '1_0' is not"),
        (QRELS + "q\ta\t1\n", 4, "judged before as 2"),
        ("query-id\tcorpus-id\tscore\n", 1, "empty or holds a header only"),
        ("", 1, "empty"),
    ],
)
def test_broken_judgements(tmp_path: Path, qrels: str, line: int, message: str) -> None:
    folder = beir(tmp_path, qrels=qrels)
    for read in (read_beir, check):
        with pytest.raises(DataError) as caught:
            read(folder)
        assert f"{folder / 'qrels' / 'test.tsv'}:{line}: " in str(caught.value)
        assert message in str(caught.value)


@pytest.mark.parametrize("file", ["corpus", "queries", "qrels"])
def test_text_that_is_not_utf8(tmp_path: Path, file: str) -> None:
    good = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}[file]
    folder = beir(tmp_path, **{file: good.encode() + '{"_id": "é"}\n'.encode("latin-1")})
    with pytest.raises(DataError, match=r":[34]: not UTF-8 \(byte 10 of the line\)"):
        read_beir(folder)


@pytest.mark.parametrize("cut", [10, 60, -9])
def test_a_truncated_gzip(tmp_path: Path, cut: int) -> None:
    folder = beir(tmp_path)
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(CORPUS.encode())[:cut])
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz:\d: the gzip file is cut short"):
        read_beir(folder)
    (folder / "corpus.jsonl.gz").write_bytes(b"not gzip at all")
    with pytest.raises(DataError, match=r"corpus\.jsonl\.gz:1: the gzip file is cut short"):
        read_beir(folder)


def test_all_faults_are_shown_together_and_at_most_twenty(tmp_path: Path) -> None:
    folder = beir(tmp_path, CORPUS + "x\ny\n", QUERIES + "z\n")
    with pytest.raises(DataError, match="3 faults") as caught:
        read_beir(folder)
    assert [place in str(caught.value) for place in ("corpus.jsonl:3", "corpus.jsonl:4",
                                                     "queries.jsonl:3")] == [True] * 3  # fmt: skip
    beir(tmp_path, "x\n" * 100)
    with pytest.raises(DataError, match=r"20 faults \(stopped there\)") as caught:
        read_beir(folder)
    assert "corpus.jsonl:20:" in str(caught.value)
    assert "corpus.jsonl:21:" not in str(caught.value)


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_missing_and_empty_files(tmp_path: Path, missing: str) -> None:
    folder = beir(tmp_path)
    (folder / missing).write_text("")
    with pytest.raises(DataError, match=missing):
        read_beir(folder)
    (folder / missing).unlink()
    with pytest.raises(DataError, match=r"has no (corpus|queries|qrels)"):
        read_beir(folder)
    with pytest.raises(DataError, match="no folder"):
        read_beir(tmp_path / "nowhere")


def test_an_unknown_split_lists_those_there_are(tmp_path: Path) -> None:
    folder = beir(beir(tmp_path), split="train")
    (folder / "qrels" / "codes.tsv").write_text("query-id\tcorpus-id\tcode\nq\ta\t-1\n")
    assert splits(folder) == ["test", "train"]
    for split in ("dev", "codes"):
        with pytest.raises(ConfigError, match=f"no split '{split}' .* test, train"):
            read_beir(folder, split)


def test_empty_documents_are_kept_and_warned_of_once(tmp_path: Path) -> None:
    folder = beir(tmp_path / "x", CORPUS + '{"_id": "c", "title": " ", "text": ""}')
    with pytest.warns(UserWarning, match=r"x: 1 of 3 documents .*\(c\)") as caught:
        collection = read_beir(folder)
    assert len(caught) == 1
    assert collection.texts() == ["A first", "second", ""]
    assert collection.empty_documents() == ["c"]


def test_check_counts(tmp_path: Path) -> None:
    folder = beir(tmp_path, CORPUS + '{"_id": "c", "text": ""}', QUERIES + '{"_id": 3, "text": ""}')
    beir(folder, (folder / "corpus.jsonl").read_text(), (folder / "queries.jsonl").read_text(),
         "query-id\tcorpus-id\tscore\nr\ta\t0\n", "dev")  # fmt: skip
    (folder / "qrels" / "codes.tsv").write_text("query-id\tcorpus-id\tcode\nq\ta\t-1\n")
    report = check(folder)
    assert (report.documents, report.queries, report.unjudged_queries) == (3, 3, 1)
    assert report.splits == {"dev": checking.Split(1, 1, 0, 1), "test": checking.Split(1, 2, 1, 0)}
    assert (report.empty_documents, report.empty_queries) == (["c"], ["3"])
    assert report.other_tables == ["codes.tsv"]
    for words in ("3 documents", "1 empty documents: c", "codes.tsv", "have no relevant one"):
        assert words in str(report)
    assert report.differing() is None


def test_fingerprints_are_of_content_not_of_bytes(tmp_path: Path) -> None:
    plain = check(beir(tmp_path / "a")).content
    spaced = check(beir(tmp_path / "b", CORPUS.replace(": ", ":").replace("}", ',"x": 1}'))).content
    other = check(beir(tmp_path / "c", CORPUS.replace("first", "First"))).content
    assert plain == spaced
    assert {name for name in plain if plain[name] != other[name]} == {"corpus.jsonl"}


def test_the_record_of_a_known_collection(tmp_path: Path) -> None:
    report = check(beir(tmp_path / "scifact"))
    assert report.differing() == ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv",
                                  "qrels/train.tsv"]  # fmt: skip
    assert "differs in corpus.jsonl" in str(report)


line = st.text(st.characters(exclude_categories=["Cs"]))
name = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1)


@given(
    corpus=st.dictionaries(name, st.fixed_dictionaries({"title": line, "text": line}), min_size=1),
    queries=st.dictionaries(name, line, min_size=1),
    data=st.data(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, corpus: dict, queries: dict, data: st.DataObject
) -> None:
    pairs = st.dictionaries(st.sampled_from(sorted(corpus)), st.integers(-2, 5), min_size=1)
    qrels = {id_: data.draw(pairs) for id_ in queries}
    folder = tmp_path_factory.mktemp("written") / "x"
    before = Collection("x", "dev", corpus, queries, qrels)
    write_beir(before, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        after = read_beir(folder, "dev")
    assert after == before
    assert list(after.corpus) == list(before.corpus)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    collection = read_beir(beir(tmp_path / "x"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        write_beir(collection, tmp_path / "mine")
    assert (tmp_path / "mine" / "note").read_text() == "precious"


@pytest.mark.parametrize("bad", ["a\tb", "a\nb"])
def test_an_id_that_would_break_a_table_is_not_written(tmp_path: Path, bad: str) -> None:
    corpus = {bad: {"title": "", "text": "t"}}
    with pytest.raises(DataError, match="tab or line end"):
        write_folder(tmp_path / "x", corpus, {"q": "one"}, {"test": {"q": {bad: 1}}})
    assert not (tmp_path / "x").exists()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_folder(tmp_path / "x", {"a": {"title": "t", "text": object()}}, {}, {})
    assert not any(tmp_path.iterdir())


def test_two_writers_at_once(tmp_path: Path) -> None:
    def late() -> None:
        with new_folder(tmp_path / "x") as staging:
            (staging / "mine").write_text("late")
            beir(tmp_path / "x")

    with pytest.raises(DataError, match="another process"):
        late()
    assert not (tmp_path / "x" / "mine").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_tiny_is_instructive() -> None:
    dev, test = (load_collection("tiny", split) for split in ("dev", "test"))
    assert (len(dev.corpus), len(dev.queries), len(test.queries)) == (16, 4, 4)
    assert {grade for g in test.qrels.values() for grade in g.values()} == {0, 1, 2}
    texts = zip(dev.corpus, dev.texts(), strict=True)
    words = {id_: set(text.lower().split()) for id_, text in texts}
    best = max(dev.qrels["q3"], key=dev.qrels["q3"].get)
    assert not words[best] & {"dog", "ill"}  # here words fail
    assert "dog" in words["beach"]


def test_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(beir(tmp_path / "scifact").parent)
    monkeypatch.delenv("CONTRIEVER_LITE_DATA", raising=False)
    assert len(load_collection("./scifact").corpus) == 2
    assert len(load_collection(Path("scifact")).corpus) == 2
    assert len(load_collection("wikipedia-vital").corpus) == 10_025
    assert load_collection("wikipedia-vital", "dev").split == "dev"
    with pytest.raises(ConfigError, match="Did you mean scifact"):
        load_collection("scifcat")
    with pytest.raises(DataError, match="no folder"):
        load_collection("./scifcat")
    assert issubclass(ConfigError, UserError)


DATA = Path(os.environ.get("CONTRIEVER_LITE_DATA", "") or "/nonexistent") / "collections"


@pytest.mark.parametrize(
    ("name", "documents", "queries", "judgements"),
    [
        ("scifact", 5_183, 300, 339),
        ("cranfield", 1_400, 225, 1_837),
        ("squad-dev", 2_067, 10_570, 10_570),
        ("feedbackqa", 2_364, 1_992, 1_992),
        ("cacm", 3_204, 52, 796),
    ],
)
@pytest.mark.filterwarnings("ignore:cranfield. 2 of 1400")
def test_downloaded_collections(name: str, documents: int, queries: int, judgements: int) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"CONTRIEVER_LITE_DATA does not hold collections/{name}")
    collection = load_collection(name)
    assert len(collection.corpus) == documents
    assert len(collection.queries) == queries
    assert sum(map(len, collection.qrels.values())) == judgements
    report = check(DATA / name)
    assert report.differing() == []
    assert len(collection.empty_documents()) == {"cranfield": 2}.get(name, 0)


def test_broken_documents_alone_are_refused_too(tmp_path: Path) -> None:
    folder = beir(tmp_path / "good")
    with open(folder / "corpus.jsonl", "a") as file:
        file.write("no JSON\n")
    with pytest.raises(DataError, match=r"corpus\.jsonl:"):
        read_beir_documents(folder)


def test_a_folder_is_named_as_it_is_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(beir(tmp_path / "good"))
    assert read_beir(".").name == read_beir_documents(".").name == "good"
