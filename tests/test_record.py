"""Recorded runs: made by their script as they stand, with each query's scores beside the few."""

import json
from pathlib import Path

import pytest
import record

from contriever_lite.report import read_records
from contriever_lite.significance import read_query_scores


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for records."""
    monkeypatch.setattr(record, "RUNS", tmp_path)
    monkeypatch.setattr(record, "PER_QUERY", tmp_path / "per_query")
    monkeypatch.setattr(record, "SEEDS", (0,))
    return tmp_path


SMALL = {"steps": 2, "dimension": 8, "vocab_size": 300, "batch_size": 8}


def test_records_and_their_queries_scores(runs: Path) -> None:
    record.words("tiny")
    record.bag("tiny", "bag", "raw text", "raw", SMALL)
    names = ["tiny-bm25.json", "tiny-raw-0.json", "tiny-raw-fused-0.json"]
    assert sorted(path.name for path in runs.glob("*.json")) == names
    for found in read_records([runs]):
        assert found["command"].startswith("python scripts/record.py ")
        assert found["class"] in ("lexical", "raw text", "fused")
    files = [runs / "per_query" / name for name in names]
    systems = [read_query_scores(file) for file in files]
    assert [system["model"] for system in systems] == ["BM25", "bag", "bag + BM25"]
    before = files[1].read_bytes()
    files[1].unlink()
    record.bag("tiny", "bag", "raw text", "raw", SMALL)
    assert files[1].read_bytes() == before, "made again, to the same scores"


def test_other_methods_have_the_same_budget(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = record.METHODS
    budget = {"batch_size", "learning_rate", "query_views", "dimension", "window", "vocab_size"}
    assert not any(budget & changes.keys() for changes in known.values())
    assert {changes.get("steps", "all") for changes in known.values()} == {0, "all"}
    some = {name: {**known[name], **SMALL} for name in ("inverse cloze", "crops, MoCo")}
    monkeypatch.setattr(record, "METHODS", some)
    record.methods("tiny")
    found = read_records([runs / "methods"])
    assert {each["label"] for each in found} == {"bag: inverse cloze", "bag: crops, MoCo"}
    assert {each["class"] for each in found} == {"raw text"}
    assert [each["config"]["objective"] for each in found] == ["moco", "in_batch"]
    assert not (runs / "per_query").exists()


def test_a_transformer_by_other_methods(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {
        "vocab_size": 100,
        "dimension": 16,
        "layers": 1,
        "heads": 2,
        "batch_size": 4,
        "steps": 1,
    }
    some = {name: {**changes, **small} for name, changes in record.TRANSFORMERS.items()}
    monkeypatch.setattr(record, "TRANSFORMERS", some)
    record.transformers("tiny")
    found = {each["label"]: each for each in read_records([runs / "methods"])}
    assert found.keys() == {f"transformer: {name}" for name in some}
    assert {each["config"]["start"] for each in found.values()} == {""}
    assert found["transformer: masked words"]["config"]["objective"] == "mlm"
    views = found["transformer: dropout alone (SimCSE)"]["config"]
    assert (views["query_crop"], views["key_delete"], views["dropout"]) == ([1.0, 1.0], 0.0, 0.1)


def test_the_recorded_methods_are_complete() -> None:
    folder = Path(record.__file__).resolve().parents[1] / "data" / "runs" / "methods"
    known = {
        "bag": ("methods", record.METHODS),
        "transformer": ("transformers", record.TRANSFORMERS),
    }
    seeds: dict[tuple[str, str], dict[str, set]] = {}
    for found in read_records([folder]):
        kind, _, name = found["label"].partition(": ")
        seeds.setdefault((kind, found["data"]), {}).setdefault(name, set()).add(found["seed"])
        for key in ("commit", "versions", "device", "date", "chosen_on", "training_seconds"):
            assert found[key] not in (None, ""), key
        assert (
            found["command"] == f"python scripts/record.py {known[kind][0]} --data {found['data']}"
        )
        assert found["config"]["seed"] == found["seed"]
    assert seeds
    slow = ("transformer", "dropout alone (SimCSE)")  # an hour of a core a collection
    done = {"cacm", "cranfield", "squad-dev", "wikipedia-vital"}
    for (kind, data), names in seeds.items():
        left_out = {slow[1]} - {*names} if kind == slow[0] and data not in done else set()
        wanted = known[kind][1].keys() - left_out
        assert names == {name: {0, 1, 2} for name in wanted}, (kind, data)


def test_scores_that_are_not_those_of_the_record_are_refused(runs: Path) -> None:
    record.words("tiny")
    (runs / "per_query" / "tiny-bm25.json").unlink()
    file = runs / "tiny-bm25.json"
    found = json.loads(file.read_text())
    found["scores"]["mrr@10"]["mean"] -= 0.01
    file.write_text(json.dumps(found))
    with pytest.raises(SystemExit, match=r"tiny-bm25\.json: mrr@10 is"):
        record.words("tiny")
    assert not list((runs / "per_query").iterdir())


def test_many_queries_leave_no_file(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "FEW", 3)
    record.words("tiny")
    assert [path.name for path in runs.iterdir()] == ["tiny-bm25.json"]


def test_what_stands_in_the_repository_fits_its_records() -> None:
    root = Path(record.__file__).resolve().parents[1] / "data" / "runs"
    files = sorted((root / "per_query").glob("*.json"))
    assert files
    for file in files:
        whole, queries = json.loads((root / file.name).read_text()), read_query_scores(file)
        assert (whole["label"], whole["data"], whole["split"]) == (
            queries["model"], queries["data"], queries["split"],
        )  # fmt: skip
        for measure, values in queries["per_query"].items():
            assert len(values) == whole["queries"]
            mean = sum(values.values()) / len(values)
            assert mean == pytest.approx(whole["scores"][measure]["mean"], abs=6e-5)
    assert sum(file.stat().st_size for file in files) < 400_000
