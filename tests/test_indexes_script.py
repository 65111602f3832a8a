"""The record of indexes: its parts hang together, and its arithmetic is that of the formulas."""

import json
from pathlib import Path

import indexes as script
import numpy as np
import pytest
import torch

from contriever_lite.batch import TokenBatch
from contriever_lite.index_costs import bytes_per_vector, work_per_query
from contriever_lite.index_settings import IndexSettings

FILE = Path(__file__).resolve().parents[1] / "data/runs/indexes/indexes.json"
RECORD = json.loads(FILE.read_text(encoding="utf-8"))
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(600, 16)).astype(np.float32)
QUERIES = RNG.normal(size=(60, 16)).astype(np.float32)


def test_exact_search_is_the_measure_of_the_others(capsys: pytest.CaptureFixture) -> None:
    kinds = [
        (IndexSettings(), [{}]),
        (IndexSettings("ivf", lists=10), script.probes(1, 10)),
        (IndexSettings("binary"), script.RESCORED),
    ]
    exact, few, all_cells, bits, again = script.compare(VECTORS, QUERIES, kinds)
    assert exact["recall@100"] == exact["speed"] == exact["speed_alone"] == 1
    assert all_cells["recall@100"] == 1 > few["recall@100"] > 0.1
    assert 1 >= again["recall@100"] > bits["recall@100"]
    assert [again["name"], again["index"]] == ["binary, rescored x5"] * 2
    assert (few["name"], few["index"]) == ("ivf, 1 probes", "ivf")
    assert few["speed"] == pytest.approx(exact["seconds"] / few["seconds"], abs=1e-3)
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_nested_bag_is_trained_by_its_first_numbers_and_used_whole() -> None:
    class Ones(torch.nn.Module):
        dimension = 512

        def forward(self, batch: TokenBatch) -> torch.Tensor:
            return torch.ones(2, 512)

    bag = script.Nested(Ones(), seed=0)
    seen = [bag(None) for _ in range(100)]
    assert {each.shape[1] for each in seen} == set(script.PREFIXES)
    assert all(torch.allclose(each.norm(dim=1), torch.ones(2)) for each in seen)
    assert bag.eval()(None).shape == (2, 512)


@pytest.mark.parametrize("name", RECORD["collections"])
def test_recorded_bytes_are_those_of_the_formula(name: str) -> None:
    found = RECORD["collections"][name]
    for entry in found["indexes"]:
        settings = IndexSettings(**entry["settings"])
        assert entry["name"] == str(settings)
        formula = bytes_per_vector(settings, found["dimension"], found["documents"])
        assert entry["bytes_formula"] == pytest.approx(formula, abs=0.01)
        assert entry["bytes_per_vector"] == pytest.approx(formula, rel=0.01)
        assert 0 < entry["recall@100"] <= 1


def test_recorded_arithmetic_of_wikipedia_is_that_of_the_formulas() -> None:
    again = {"collections": RECORD["collections"]}
    script.wikipedia(again, Path())
    assert again["wikipedia"] == RECORD["wikipedia"]
    million = RECORD["collections"]["million"]
    exact = RECORD["wikipedia"]["indexes"][0]
    assert exact["gigabytes"] == round(4 * 768 * 21_015_324 / 1e9, 2)
    grown = 21_015_324 * 768 / (million["documents"] * million["dimension"])
    assert exact["seconds"] == pytest.approx(million["indexes"][0]["seconds"] * grown, rel=1e-4)
    for entry, settings in zip(RECORD["wikipedia"]["indexes"], script.LARGE, strict=True):
        assert entry["work"] == round(work_per_query(settings, 768, 21_015_324))


def test_a_million_documents_took_no_more_memory_than_a_tenth() -> None:
    blocks = RECORD["blocks"]
    assert blocks["documents"] == 1_000_000
    for few, many in (each.values() for each in blocks["peak_megabytes"].values()):
        assert many < few + blocks["file_megabytes"] / 4
    assert blocks["same_bytes"]
    assert 0 < blocks["killed_at"] < blocks["compared"]


def test_whole_vectors_are_scored_alike_with_and_without_axes() -> None:
    for model in RECORD["truncation"]["models"].values():
        assert model["dimensions"][0] == 512
        assert model["energy"][0] == pytest.approx(1, abs=1e-3)
        assert model["energy"] == sorted(model["energy"], reverse=True)
        first, axes = model["first"][0]["ndcg@10"], model["axes"][0]["ndcg@10"]
        assert first["mean"] == pytest.approx(axes["mean"], abs=2e-3)
