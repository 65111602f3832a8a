"""The demo, on a stand-in collection: what it prints, leaves and returns."""

import json
import random
from pathlib import Path

import pytest
import synthetic

from contriever_lite import demo as module
from contriever_lite.beir_writer import write_beir
from contriever_lite.collection import Collection
from contriever_lite.demo import demo, examples, free_name, show
from contriever_lite.errors import DataError
from contriever_lite.evaluate import Evaluation, evaluate
from contriever_lite.retriever import Retriever

MEASURES = ["ndcg@10", "recall@100", "mrr@10"]


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The synthetic documents instead of Wikipedia's, three steps, and a folder to run in."""
    write_beir(synthetic.world(), tmp_path / "world")
    monkeypatch.setattr(module, "COLLECTION", str(tmp_path / "world"))
    monkeypatch.setattr(module, "preset", lambda name: synthetic.SMALL.replace(steps=3))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_it_returns_writes_and_prints_its_scores(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = demo(json_file="scores.json")
    assert json.loads(Path("scores.json").read_text()) == result
    assert list(result) == ["seconds", "systems"]
    assert result["seconds"] > 0
    assert list(result["systems"]) == ["bm25", "dense", "fused"]
    for scores in result["systems"].values():
        assert list(scores) == MEASURES
        for score in scores.values():
            assert list(score) == ["mean", "low", "high"]
            assert 0 <= score["low"] <= score["mean"] <= score["high"] <= 1
    printed = capsys.readouterr().out
    for name, scores in result["systems"].items():
        (row,) = (line for line in printed.splitlines() if line.startswith(f"{name:<8}"))
        assert all(f"{scores[measure]['mean']:.3f}" in row for measure in MEASURES)
    for words in ("120 ", "BM25 finds it", "Vectors find it", "Together", "runs/demo/model"):
        assert words in printed
    texts = synthetic.world().texts()[:3]
    assert Retriever.load("runs/demo").encode(texts).shape == (3, synthetic.SMALL.dimension)


def test_nothing_is_overwritten(quick: Path) -> None:
    demo()
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    demo()
    assert {path: path.read_bytes() for path in before} == before
    assert (Path("runs") / "demo-2" / "model").is_dir()
    with pytest.raises(DataError, match="demo-2 exists already"):
        demo(out="runs/demo-2")


def test_the_first_free_name(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for name in ("demo", "demo-2", "demo-3"):
        assert free_name(folder) == tmp_path / name
        (tmp_path / name).mkdir()
    (tmp_path / "demo-2").rmdir()
    assert free_name(folder) == tmp_path / "demo-2"


def systems_of(collection: Collection, seed: int) -> dict[str, Evaluation]:
    """Three systems that rank documents at random."""
    rng = random.Random(seed)
    ids = collection.document_ids()
    return {
        name: evaluate(
            name,
            {q: {d: rng.random() for d in rng.sample(ids, 12)} for q in collection.queries},
            collection,
        )
        for name in ("bm25", "dense", "fused")
    }


@pytest.mark.parametrize("seed", range(5))
def test_examples_follow_their_rule(seed: int) -> None:
    """Where one system's reciprocal rank is furthest above the others'; then the first query."""
    systems = systems_of(synthetic.world(), seed)
    found = examples(systems)
    assert [title.split()[0] for title, _ in found] == ["BM25", "Vectors", "Together"]
    rules = [("bm25", ["dense"]), ("dense", ["bm25"]), ("fused", ["bm25", "dense"])]
    for (_, query), (best, others) in zip(found, rules, strict=True):

        def margin(q: str, best: str = best, others: tuple = tuple(others)) -> float:
            rank = {name: system.per_query["mrr@10"][q] for name, system in systems.items()}
            return rank[best] - max(rank[other] for other in others)

        top = max(margin(q) for q in synthetic.world().queries)
        assert query == min(q for q in synthetic.world().queries if margin(q) == top)


def test_an_example_shows_five_answers_of_each_and_marks_the_right_ones() -> None:
    collection = synthetic.world()
    systems = systems_of(collection, 0)
    query = next(iter(collection.queries))
    title, *lines = show("Title", query, systems, collection).strip().splitlines()
    assert title == f'Title: "{collection.queries[query]}"'
    assert [line.split()[0] for line in lines] == ["bm25", "dense", "fused"]
    for line, system in zip(lines, systems.values(), strict=True):
        answers = line.split(maxsplit=1)[1].split(" | ")
        best = sorted(system.run[query], key=system.run[query].get, reverse=True)[:5]
        for answer, document in zip(answers, best, strict=True):
            assert answer.lstrip("*") == collection.corpus[document]["title"]
            assert answer.startswith("*") == (document in collection.qrels[query])
