"""Many collections: which are local, each as on its own, and CQADupStack's forums as one."""

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from contriever_lite import survey as module
from contriever_lite.beir import Collection
from contriever_lite.beir_writer import write_beir
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.errors import ConfigError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.metrics import score_queries
from contriever_lite.registry import REGISTRY
from contriever_lite.survey import FORUMS, average, evaluate_named, local_collections, survey


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with nothing in it, and no other."""
    monkeypatch.setenv("CONTRIEVER_LITE_DATA", str(tmp_path))
    monkeypatch.setenv("CONTRIEVER_LITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "collections"


def part(name: str, topics: int) -> Collection:
    """Some of the made-up world, under another name."""
    world = synthetic.world()
    queries = dict(list(world.queries.items())[: 2 * topics])
    return replace(world, name=name, queries=queries, qrels={q: world.qrels[q] for q in queries})


def test_local_collections_are_those_whose_files_are_there(data: Path) -> None:
    assert local_collections() == ["wikipedia-vital"]
    write_beir(synthetic.world(), data / "nfcorpus")
    assert local_collections() == ["wikipedia-vital", "nfcorpus"]
    for forum in FORUMS[1:]:
        write_beir(part(forum, 1), data / forum)
    assert "cqadupstack" not in local_collections()
    write_beir(part(FORUMS[0], 1), data / FORUMS[0])
    assert local_collections() == ["wikipedia-vital", "nfcorpus", "cqadupstack"]


def test_vectors_are_of_one_collection() -> None:
    encoded = EncodedCorpus(Path("folder"), 1, 1, 1, "")
    with pytest.raises(ConfigError, match="name a forum, as cqadupstack/android"):
        evaluate_named("wiki", "cqadupstack", encoded=encoded)


def test_the_forums_are_twelve_and_count_alike(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(FORUMS) == 12
    some = FORUMS[:3]
    monkeypatch.setattr(module, "FORUMS", some)
    for number, forum in enumerate(some):
        write_beir(part(forum, 1 + number), data / forum)
    found = evaluate_named("bm25", "cqadupstack")
    alone = [evaluate_named("bm25", forum) for forum in some]
    for measure, score in found.scores.items():
        assert score.mean == pytest.approx(sum(e.scores[measure].mean for e in alone) / 3)
        assert score.low <= score.mean <= score.high
    record = found.to_dict()
    assert (record["data"], record["documents"]) == ("cqadupstack", 3 * 120)
    assert record["queries"] == sum(len(each.collection.queries) for each in alone) == 12
    assert record["seconds"] > 0
    whole = score_queries(found.run, found.collection.qrels)
    assert whole == {measure: found.per_query[measure] for measure in whole}
    bare = evaluate_named("bm25", "cqadupstack", titles=False)
    assert bare.to_dict()["data"] == "cqadupstack, no titles"


def test_only_like_is_averaged() -> None:
    one = evaluate_model("bm25", part("world/a", 1))
    with pytest.raises(ConfigError, match="give evaluations of one model on one split"):
        average("world", [one, replace(one, model="another")])
    with pytest.raises(ConfigError, match="at least one"):
        average("world", [])


def test_a_survey_is_one_evaluation_after_another(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nfcorpus", "msmarco"):
        split = REGISTRY[name].split
        write_beir(replace(part(name, 2), split=split), data / name)
    found = list(survey("bm25", ["nfcorpus", "msmarco"]))
    assert [(e.collection.name, e.collection.split) for e in found] == [
        ("nfcorpus", "test"), ("msmarco", "dev"),
    ]  # fmt: skip
    assert found[0].per_query == evaluate_named("bm25", "nfcorpus").per_query
    monkeypatch.setattr(module, "load_collection", lambda name, split: part(name, 1))
    seen = []
    monkeypatch.setattr(module, "evaluate_model", lambda *given: seen.append(given) or found[0])
    encoder = object()
    list(survey("x", ["a", "b"], encoder))
    assert [each[2] for each in seen] == [encoder, encoder], "loaded once"


def test_collections_of_different_sizes_count_alike_and_keep_their_names() -> None:
    one, other = (evaluate_model("bm25", part(f"w/{n}", size)) for n, size in (("a", 1), ("b", 3)))
    one = replace(one, per_query={"m": dict.fromkeys(one.collection.queries, 1.0)})
    other = replace(other, per_query={"m": dict.fromkeys(other.collection.queries, 0.0)})
    found = average("w", [one, other])
    assert found.scores["m"].mean == 0.5
    for answers in (found.run, found.collection.qrels):
        assert all(some.keys() <= found.collection.corpus.keys() for some in answers.values())
        assert set(answers) == set(found.collection.queries)
