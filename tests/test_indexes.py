"""Approximate indexes: what they cost by formula and by faiss, what they find, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from contriever_lite.errors import ConfigError, DataError
from contriever_lite.index_costs import bytes_per_vector, work_per_query
from contriever_lite.index_settings import KINDS, IndexSettings, new_index
from contriever_lite.indexes import VectorIndex, agreement
from contriever_lite.metrics import Run, ranking
from contriever_lite.search import DenseIndex

COUNT, D = 2000, 32
EVERYTHING = {"ivf": {"probes": 10_000}, "ivf-pq": {"probes": 10_000}, "hnsw": {"width": 10_000}}
SMALL = IndexSettings(parts=4, links=8, lists=30)


def clusters(count: int, seed: int) -> np.ndarray:
    """Unit vectors around fifty centres."""
    centres = np.random.default_rng(9).normal(size=(50, D))
    rng = np.random.default_rng(seed)
    vectors = centres[rng.integers(50, size=count)] + rng.normal(size=(count, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


DOCUMENTS, QUERIES = clusters(COUNT, 0), clusters(40, 1)
IDS, ASKED = [f"d{i}" for i in range(COUNT)], [f"q{i}" for i in range(40)]


@pytest.fixture(scope="module")
def built() -> dict[str, VectorIndex]:
    return {kind: VectorIndex(DOCUMENTS, IDS, replace(SMALL, kind=kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def exact() -> Run:
    return DenseIndex(DOCUMENTS, IDS).search(QUERIES, ASKED)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_by_formula_are_those_that_faiss_writes(
    built: dict[str, VectorIndex], kind: str
) -> None:
    """hnsw draws its floors, so that its links vary; the others are off by a header."""
    index = built[kind]
    formula = bytes_per_vector(index.settings, D, COUNT)
    if kind == "hnsw":
        assert index.bytes_per_vector == pytest.approx(formula, rel=0.01)
    else:
        assert 0 < index.bytes_per_vector * COUNT - formula * COUNT < 250
    larger = replace(index.settings, parts=8, links=16, lists=60)
    if kind in ("ivf", "ivf-pq", "hnsw"):
        measured = VectorIndex(DOCUMENTS, IDS, larger).bytes_per_vector
        assert measured == pytest.approx(bytes_per_vector(larger, D, COUNT), rel=0.01)
        assert measured != pytest.approx(formula, rel=0.01)


def test_work_by_formula_is_what_faiss_counts(built: dict[str, VectorIndex]) -> None:
    """Vectors compared, of which faiss keeps count: nearly N P / L for cells, at most 2 M width and
    the way down for a graph."""
    stats = faiss.cvar.indexIVF_stats
    for kind in ("ivf", "ivf-pq"):
        settings = built[kind].settings
        stats.reset()
        built[kind].nearest(QUERIES, 10)
        vectors = stats.ndis / len(QUERIES)
        unit, once = (D, 0) if kind == "ivf" else (settings.parts, 256 * D)
        expected = settings.lists * D + once + vectors * unit
        assert work_per_query(settings, D, COUNT) == pytest.approx(expected, rel=0.35)
    faiss.cvar.hnsw_stats.reset()
    built["hnsw"].nearest(QUERIES, 10)
    counted = faiss.cvar.hnsw_stats.ndis * D / len(QUERIES)
    bound = work_per_query(built["hnsw"].settings, D, COUNT)
    assert bound / 4 < counted <= bound
    works = {kind: work_per_query(replace(SMALL, kind=kind), 100, 7) for kind in KINDS[:3]}
    assert works == {"exact": 700, "int8": 700, "binary": 7 * 13}


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_that_looks_everywhere_misses_only_what_it_stores_coarsely(
    built: dict[str, VectorIndex], exact: Run, kind: str
) -> None:
    index = built[kind].with_settings(**EVERYTHING.get(kind, {}))
    found = index.search(QUERIES, ASKED)
    assert list(found) == ASKED
    assert all(list(scores) == ranking(scores) and len(scores) == 100 for scores in found.values())
    least = {"exact": 1, "ivf": 1, "hnsw": 0.99, "int8": 0.97, "ivf-pq": 0.5, "binary": 0.4}[kind]
    assert least <= agreement(found, exact) <= 1
    again = index.with_settings(rescore=10)
    assert again.faiss is index.faiss
    rescored = again.search(QUERIES, ASKED)
    assert agreement(rescored, exact) >= max(0.9, agreement(found, exact))
    best = next(iter(rescored["q0"].items()))
    assert best == (next(iter(exact["q0"])), pytest.approx(exact["q0"][best[0]], rel=1e-5))


def test_more_probes_and_more_width_find_more(built: dict[str, VectorIndex], exact: Run) -> None:
    for kind, name, values in (("ivf", "probes", (1, 4, 16)), ("hnsw", "width", (4, 100, 400))):
        recalls = [
            agreement(built[kind].with_settings(**{name: value}).search(QUERIES, ASKED), exact)
            for value in values
        ]
        assert recalls == sorted(recalls)
        assert recalls[0] < recalls[-1] - 0.02


def test_scores_of_bits_are_products_of_signs(built: dict[str, VectorIndex]) -> None:
    index = built["binary"]
    medians = faiss.vector_to_array(index.faiss.thresholds)
    signs, asked = np.sign(DOCUMENTS - medians), np.sign(QUERIES - medians)
    found = index.search(QUERIES, ASKED, 7)
    for number, scores in enumerate(found.values()):
        products = signs @ asked[number]
        assert sorted(scores.values()) == sorted(np.sort(products)[-7:].tolist())
        assert all(products[int(name[1:])] == score for name, score in scores.items())


@pytest.mark.parametrize("kind", KINDS)
def test_k_larger_than_the_corpus_gives_all_of_it(kind: str) -> None:
    settings = replace(SMALL, kind=kind, lists=5, **EVERYTHING.get(kind, {}))
    index = VectorIndex(DOCUMENTS[:300], IDS[:300], settings)
    found = index.search(QUERIES[:2], ASKED[:2], 10_000)
    assert [set(scores) for scores in found.values()] == [set(IDS[:300])] * 2


def test_few_probed_vectors_give_few_answers(built: dict[str, VectorIndex]) -> None:
    found = built["ivf"].with_settings(probes=1).search(QUERIES, ASKED, 1000)
    assert all(0 < len(scores) < 1000 for scores in found.values())
    assert all(set(scores) <= set(IDS) for scores in found.values())


def test_it_is_built_from_a_memory_map_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: dict[str, VectorIndex]
) -> None:
    np.save(tmp_path / "v.npy", DOCUMENTS)
    monkeypatch.setattr("contriever_lite.indexes.BLOCK", 700)
    mapped = VectorIndex(np.load(tmp_path / "v.npy", mmap_mode="r"), IDS, built["ivf-pq"].settings)
    assert mapped.search(QUERIES, ASKED) == built["ivf-pq"].search(QUERIES, ASKED)


def test_another_seed_learns_other_cells(built: dict[str, VectorIndex]) -> None:
    other = VectorIndex(DOCUMENTS, IDS, built["ivf"].settings, seed=1)
    assert other.search(QUERIES, ASKED) != built["ivf"].search(QUERIES, ASKED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_is_the_same(
    built: dict[str, VectorIndex], kind: str, tmp_path: Path
) -> None:
    folder = built[kind].save(tmp_path / "index")
    loaded = VectorIndex.load(folder, IDS, DOCUMENTS)
    assert loaded.settings == built[kind].settings
    assert loaded.search(QUERIES, ASKED) == built[kind].search(QUERIES, ASKED)
    assert loaded.with_settings(rescore=2).search(QUERIES[:1], ASKED[:1])
    with pytest.raises(DataError, match="exists already"):
        built[kind].save(folder)


def test_the_index_of_another_corpus_is_refused(
    built: dict[str, VectorIndex], tmp_path: Path
) -> None:
    folder = built["exact"].save(tmp_path / "index")
    with pytest.raises(DataError, match="index of other documents than the 2,000 given"):
        VectorIndex.load(folder, IDS[::-1])
    with pytest.raises(DataError, match=r"2,000 vectors of 32 numbers, and \(2000, 31\) are given"):
        VectorIndex.load(folder, IDS, DOCUMENTS[:, 1:])
    with pytest.raises(ConfigError, match="rescore reads the full vectors"):
        VectorIndex.load(folder, IDS).with_settings(rescore=2)


@pytest.mark.parametrize("broken", ["gone", "no index", "half", "format", "setting", "json"])
def test_a_broken_folder_is_refused(
    built: dict[str, VectorIndex], tmp_path: Path, broken: str
) -> None:
    folder = built["exact"].save(tmp_path / "index")
    manifest, file = folder / "manifest.json", folder / "index.faiss"
    values = json.loads(manifest.read_text())
    if broken == "gone":
        folder = tmp_path / "nothing"
    elif broken == "no index":
        file.unlink()
    elif broken == "half":
        file.write_bytes(file.read_bytes()[:1000])
    elif broken == "json":
        manifest.write_text("{")
    else:
        changed = {"format": {"format": 2}, "setting": {"colour": 1}}[broken]
        manifest.write_text(json.dumps(values | changed))
    with pytest.raises(DataError, match=r"build it again|format 2, this version reads 1"):
        VectorIndex.load(folder, IDS)


def test_queries_are_checked_as_exact_search_checks_them(built: dict[str, VectorIndex]) -> None:
    index = built["hnsw"]
    with pytest.raises(DataError, match="queries have 31 dimensions, documents 32: encode both"):
        index.search(QUERIES[:, 1:], ASKED)
    with pytest.raises(DataError, match="not finite"):
        index.search(np.full((1, D), np.nan), ["q"])
    with pytest.raises(DataError, match="2 ids for 1 vectors"):
        index.search(QUERIES[:1], ASKED[:2])
    with pytest.raises(ConfigError, match="k is 0"):
        index.search(QUERIES, ASKED, 0)


def test_documents_are_checked_too() -> None:
    broken = DOCUMENTS[:10].copy()
    broken[3, 2] = np.inf
    for settings in (SMALL, replace(SMALL, kind="hnsw")):
        with pytest.raises(DataError, match="vector 3 of 10 is not finite"):
            VectorIndex(broken, IDS[:10], settings)
    for kind in ("int8", "binary", "ivf"):
        with pytest.raises(DataError, match="a vector is not finite: did the training"):
            VectorIndex(broken, IDS[:10], replace(SMALL, kind=kind))
    with pytest.raises(DataError, match="9 ids for 10 vectors"):
        VectorIndex(DOCUMENTS[:10], IDS[:9])
    with pytest.raises(DataError, match=r"shape \(1,\)"):
        VectorIndex(DOCUMENTS[0], [str(i) for i in range(D)])
    with pytest.raises(ConfigError, match="parts is 5; allowed: what divides the 32 numbers"):
        new_index(replace(SMALL, kind="ivf-pq", parts=5), DOCUMENTS)


def test_an_empty_corpus_answers_nothing_and_teaches_nothing() -> None:
    nothing = np.zeros((0, D), np.float32)
    for kind in ("exact", "hnsw"):
        index = VectorIndex(nothing, [], replace(SMALL, kind=kind))
        assert index.search(QUERIES[:1], ["q"]) == {"q": {}}
    for kind in ("int8", "binary", "ivf"):
        with pytest.raises(
            DataError, match=f"{kind} learns from 1 vectors or more, and there are 0"
        ):
            VectorIndex(nothing, [], replace(SMALL, kind=kind))
    with pytest.raises(
        DataError, match="ivf-pq learns from 256 vectors or more, and there are 255"
    ):
        VectorIndex(DOCUMENTS[:255], IDS[:255], replace(SMALL, kind="ivf-pq"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"kind": "lsh"}, "kind = 'lsh': choose one of exact, int8"),
        ({"probes": 0}, "probes = 0: must be at least 1"),
        ({"links": 1}, "links = 1: must be at least 2"),
        ({"rescore": -1}, "rescore = -1: must be at least 0"),
        ({"width": 10.5}, "width = 10.5: must be of type int"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IndexSettings(**setting)


def test_what_was_built_in_cannot_be_set_at_search(built: dict[str, VectorIndex]) -> None:
    with pytest.raises(ConfigError, match="links: an index is built with it; build anew"):
        built["hnsw"].with_settings(links=4)


def test_settings_say_what_they_are() -> None:
    assert str(IndexSettings()) == "exact"
    assert str(IndexSettings("ivf-pq", rescore=4)) == "ivf-pq, 16 bytes, 8 probes, rescored x4"
    assert IndexSettings("hnsw").built == "hnsw, 16 links"
    assert IndexSettings().cells(10_000) == 400
    assert IndexSettings(lists=50).cells(20) == 20


def test_agreement_is_the_share_of_exact_answers_found() -> None:
    exact = {"q": dict.fromkeys("abcd", 1.0), "r": {"a": 1.0}, "nothing": {}}
    found = {"q": dict.fromkeys("abxy", 1.0), "r": {"a": 0.5}, "nothing": {}}
    assert agreement(found, exact) == 0.75
    with pytest.raises(DataError, match="give both the same"):
        agreement({"q": {}}, exact)
    with pytest.raises(DataError, match="0 queries searched exactly"):
        agreement({}, {})
