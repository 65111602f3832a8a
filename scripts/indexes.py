"""Make data/runs/indexes/ again: what each index costs and misses, blocks, shorter vectors.

    python scripts/indexes.py                     all of it
    python scripts/indexes.py small truncation    some parts: small, million, wikipedia, truncation
    ... --vectors FOLDER                          what benchmarks/million.py --out FOLDER left

One thread. Seconds are processor time; compare them within one part only. Speed is queries a second
for all queries at once, and for one at a time, as ratios to exact search in the same run. Queries
are the dev half of wikipedia-vital; the truncated vectors are scored on it too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from contriever_lite.batch import TokenBatch
from contriever_lite.build import new_encoder
from contriever_lite.checkpoint import SHIPPED
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.evaluate import evaluate
from contriever_lite.files import write_json
from contriever_lite.index_costs import bytes_per_vector, work_per_query
from contriever_lite.index_settings import IndexSettings
from contriever_lite.indexes import VectorIndex
from contriever_lite.presets import preset
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.runs import read_corpus
from contriever_lite.search import DenseIndex
from contriever_lite.train import train
from contriever_lite.truncation import first_numbers, principal_axes

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "million.py"
FILE = Path(__file__).resolve().parents[1] / "data" / "runs" / "indexes" / "indexes.json"
QUERIES, ALONE, K = 1000, 50, 100
PREFIXES = (8, 16, 32, 64, 128, 256, 512)
PASSAGES, NUMBERS = 21_015_324, 768  # of Wikipedia (Karpukhin et al. 2020), of BERT-base
Searches = list[dict[str, int]]  # what to choose at search, one after another
RESCORED: Searches = [{}, {"rescore": 5}]


def probes(*values: int) -> Searches:
    return [{"probes": value} for value in values]


SMALL = [
    (IndexSettings(), [{}]),
    (IndexSettings("int8"), [{}]),
    (IndexSettings("binary"), RESCORED),
    (IndexSettings("ivf", lists=100), probes(1, 4, 16, 64)),
    (IndexSettings("ivf-pq", lists=100, parts=64), probes(4, 16, 64)),
    (IndexSettings("hnsw"), [{"width": width} for width in (100, 200, 400)]),
]
MILLION = [
    (IndexSettings(), [{}]),
    (IndexSettings("int8"), [{}]),
    (IndexSettings("binary"), RESCORED),
    (IndexSettings("ivf"), probes(1, 4, 16, 64)),
    (IndexSettings("ivf-pq"), [*probes(4, 16, 64), {"probes": 64, "rescore": 5}]),
    (IndexSettings("hnsw"), [{"width": width} for width in (100, 200, 400)]),
]
LARGE = [
    IndexSettings(),
    IndexSettings("int8"),
    IndexSettings("binary"),
    IndexSettings("ivf", probes=64),
    IndexSettings("ivf-pq", parts=64, probes=64),
    IndexSettings("hnsw", width=200),
]


def compare(
    vectors: np.ndarray, queries: np.ndarray, kinds: list[tuple[IndexSettings, Searches]]
) -> list[dict]:
    """An entry for each search setting of each index; exact search first."""
    ids = [str(number) for number in range(len(vectors))]
    entries, exact = [], None
    for settings, searches in kinds:
        start = time.process_time()
        built = VectorIndex(vectors, ids, settings)
        building, size = time.process_time() - start, built.bytes_per_vector
        for search in searches:
            entry, rows = searched(built.with_settings(**search), queries)
            exact = rows if exact is None else exact
            entry |= {"build": round(building, 2), "bytes_per_vector": round(size, 2)}
            entry["recall@100"] = round(share(rows, exact), 4)
            entries.append(entry)
            print(entry["name"], entry["recall@100"], round(entry["seconds"], 5), flush=True)
    for entry in entries:
        entry["speed"] = round(entries[0]["seconds"] / entry["seconds"], 3)
        entry["speed_alone"] = round(entries[0]["seconds_alone"] / entry["seconds_alone"], 3)
    return entries


def searched(index: VectorIndex, queries: np.ndarray) -> tuple[dict, np.ndarray]:
    """What an index is, seconds a query, many at once and alone; and the K best rows of each."""
    d, n = index.faiss.d, len(index.ids)
    start = time.process_time()
    scores, rows = index.nearest(queries, K)
    middle = time.process_time()
    for query in queries[:ALONE]:
        index.nearest(query[None], K)
    end = time.process_time()
    again = f", rescored x{index.settings.rescore}" if index.settings.rescore else ""
    entry = {
        "name": str(index.settings),
        "index": index.settings.built + again,
        "kind": index.settings.kind,
        "settings": asdict(index.settings),
        "seconds": (middle - start) / len(queries),
        "seconds_alone": (end - middle) / len(queries[:ALONE]),
        "bytes_formula": round(bytes_per_vector(index.settings, d, n), 2),
        "work": round(work_per_query(index.settings, d, n)),
    }
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return entry, np.take_along_axis(rows, best, axis=1)


def share(found: np.ndarray, exact: np.ndarray) -> float:
    """Of the exact rows, the share that was found: indexes.agreement on rows."""
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)]))


def asked(collection: Collection) -> list[str]:
    return list(collection.queries.values())[:QUERIES]


def part(what: str, vectors: np.ndarray, queries: np.ndarray, kinds: list) -> dict:
    entries = compare(vectors, queries, kinds)
    return {
        "vectors": what,
        "documents": len(vectors),
        "dimension": vectors.shape[1],
        "queries": len(queries),
        "exact_queries_per_second": round(1 / entries[0]["seconds"], 1),
        "exact_queries_per_second_alone": round(1 / entries[0]["seconds_alone"], 1),
        "indexes": entries,
    }


def small(record: dict, folder: Path) -> None:
    """wikipedia-vital as the shipped bag encodes it."""
    collection, wiki = load_collection("wikipedia-vital", "dev"), Retriever.load(SHIPPED / "wiki")
    vectors, queries = wiki.encode(collection.texts()), wiki.encode(asked(collection))
    record.setdefault("collections", {})["wikipedia-vital"] = part(
        "the articles' leads, by the bag that ships", vectors, queries, SMALL
    )


def million(record: dict, folder: Path) -> None:
    """A million documents in blocks, then indexes of their vectors."""
    noted = folder.with_name(f"{folder.name}.json")
    if not folder.exists():
        command = [sys.executable, BENCHMARK, "--out", folder, "--json", noted]
        subprocess.run(command, check=True)
    record["blocks"] = json.loads(noted.read_text(encoding="utf-8"))
    vectors = np.array(EncodedCorpus.open(folder).vectors)
    queries = np.load(folder.with_name(f"{folder.name}-queries.npy"))[: QUERIES // 2]
    record.setdefault("collections", {})["million"] = part(
        "beginnings of two sentences of wikipedia-vital, by the bag that ships, cut to 64 "
        "principal axes", vectors, queries, MILLION,
    )  # fmt: skip


def wikipedia(record: dict, folder: Path) -> None:
    """Arithmetic for 21 million passages: bytes by formula; seconds of the million, times what the
    work of a query grows by."""
    found = record["collections"]["million"]
    entries = []
    for settings in LARGE:
        like = min(
            (e for e in found["indexes"] if e["kind"] == settings.kind),
            key=lambda e: unlike(e["settings"], settings),
        )
        grown = work_per_query(settings, NUMBERS, PASSAGES) / work_per_query(
            IndexSettings(**like["settings"]), found["dimension"], found["documents"]
        )
        size = bytes_per_vector(settings, NUMBERS, PASSAGES)
        entries.append({
            "name": str(settings),
            "kind": settings.kind,
            "bytes_per_vector": round(size, 1),
            "gigabytes": round(size * PASSAGES / 1e9, 2),
            "work": round(work_per_query(settings, NUMBERS, PASSAGES)),
            "from": like["name"],
            "seconds": round(like["seconds"] * grown, 5),
            "seconds_alone": round(like["seconds_alone"] * grown, 5),
        })  # fmt: skip
    record["wikipedia"] = {
        "passages": PASSAGES,
        "dimension": NUMBERS,
        "indexes": entries,
    }


def unlike(measured: dict, settings: IndexSettings) -> tuple[bool, int]:
    """How far a measured search is from these settings, rescoring and then probes and width."""
    far = sum(abs(measured[name] - getattr(settings, name)) for name in ("probes", "width"))
    return measured["rescore"] > 0, far


def truncation(record: dict, folder: Path) -> None:
    """Vectors cut to their first numbers, as they stand and along principal axes, on dev: of the
    bag that ships, of the demo's, and of the demo's trained so that each prefix serves."""
    collection = load_collection("wikipedia-vital", "dev")
    corpus, demo = read_corpus("wikipedia-vital", preset("demo").vocab_size), preset("demo")
    models = {
        "wiki": Retriever.load(SHIPPED / "wiki"),
        "demo": retriever_for(train(demo, corpus), corpus.tokenizer, demo),
        "nested": retriever_for(nested(demo, corpus), corpus.tokenizer, demo),
    }
    record["truncation"] = {"data": "wikipedia-vital", "split": "dev", "seed": 0, "models": {}}
    for name, model in models.items():
        documents = model.encode(collection.texts())
        queries = model.encode(list(collection.queries.values()))
        axes = principal_axes(documents)
        sizes = PREFIXES[::-1]
        record["truncation"]["models"][name] = {
            "dimensions": sizes,
            "energy": [round(float(v), 4) for v in energy(documents @ axes)[np.array(sizes) - 1]],
            **{way: [scores(collection, documents, queries, d, turn) for d in sizes]
               for way, turn in (("first", None), ("axes", axes))},
        }  # fmt: skip


class Nested(nn.Module):
    """A bag of which each training step sees the first d numbers alone, d drawn from PREFIXES: on
    average the loss of Matryoshka representation learning (Kusupati et al. 2022), a mean over
    prefixes, for the time of one (nested dropout, Rippel et al. 2014)."""

    def __init__(self, bag: nn.Module, seed: int) -> None:
        super().__init__()
        self.bag, self.dimension = bag, bag.dimension
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        whole = self.bag(batch)
        if not self.training:
            return whole
        drawn = torch.randint(len(PREFIXES), (), generator=self.generator)
        return F.normalize(whole[:, : PREFIXES[drawn]], dim=1)


def nested(config: TrainConfig, corpus: Corpus) -> nn.Module:
    return train(config, corpus, encoder=Nested(new_encoder(config, corpus), config.seed)).bag


def energy(turned: np.ndarray) -> np.ndarray:
    """The share of the vectors' energy in the first 1, 2, ... numbers."""
    return np.cumsum((turned**2).sum(axis=0)) / (turned**2).sum()


def scores(
    collection: Collection, documents: np.ndarray, queries: np.ndarray, d: int,
    axes: np.ndarray | None,
) -> dict[str, dict[str, float]]:  # fmt: skip
    index = DenseIndex(first_numbers(documents, d, axes), collection.document_ids())
    run = index.search(first_numbers(queries, d, axes), list(collection.queries))
    found = evaluate("truncated", run, collection).scores
    return {
        measure: {end: round(value, 5) for end, value in vars(found[measure]).items()}
        for measure in ("ndcg@10", "recall@100")
    }


PARTS = {each.__name__: each for each in (small, million, wikipedia, truncation)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--vectors", type=Path)
    arguments = parser.parse_args()
    import faiss

    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    record = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.part or PARTS:
            PARTS[name](record, arguments.vectors or Path(scratch) / "million")
            record.setdefault("recorded", {})[name] = circumstances()
            write_json({"command": "python scripts/indexes.py", **record}, FILE, overwrite=True)


if __name__ == "__main__":
    main()
