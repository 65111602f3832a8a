"""The scripts for a GPU, from the first text to the parcel, at a size for one processor core."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import adapt
import numpy as np
import pytest
import scratch
import sittings
import synthetic

from contriever_lite.collection import load_collection
from contriever_lite.report import read_records
from contriever_lite.retriever import Retriever
from contriever_lite.runs import read_config
from contriever_lite.stop import Stopped
from contriever_lite.views import two_views

SMALL = [
    'start=""', "vocab_size=600", "dimension=16", "layers=1", "heads=2", "batch_size=8",
    "queue_size=24", "precision=float32", "window=32",
]  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "world.jsonl"
    documents = list(synthetic.world().corpus.values())[:50]
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


@pytest.fixture(scope="module")
def run(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scratch.py called again and again, each time with no time for the next training."""
    work = tmp_path_factory.mktemp("gpu")
    words = [str(work), "--text", str(text), "--out", str(work / "parcel"), "--minutes", "0.002"]
    words += ["--set", *SMALL, "--watch", "tiny:dev", "--collections", "tiny", "no-such-name"]
    words += ["--workers", "1"]
    assert scratch.main([*words, "--until", "30"]) == sittings.AGAIN  # a corpus, no plan
    assert (work / "corpus").is_dir()
    assert not (work / "plan.json").exists()
    assert scratch.main([*words, "--until", "10000"]) == 0
    return work / "run"


def test_from_text_to_scores(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = run.parent
    steps = json.loads((work / "plan.json").read_text())["steps"]
    masked, config = read_config(work / "masked"), read_config(run)
    assert masked.objective == "mlm"
    assert masked.steps == steps["masked"]
    assert config.objective == "moco"
    assert config.steps == steps["contrast"]
    assert config.start == str(work / "masked")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    watched = [line for line in lines if "ndcg@10" in line]
    assert watched[0]["step"] == 0
    assert watched[-1]["step"] == config.steps
    (record,) = read_records([work / "records"])
    assert record["data"] == "tiny"
    assert record["class"] == "raw text"
    assert record["config"]["steps"] == config.steps
    assert record["queries"] == len(load_collection("tiny").queries)


def test_the_parcel_opens_to_the_same_encoder_in_bf16(run: Path, tmp_path: Path) -> None:
    parts = sittings.wrap(run, run.parent / "records", tmp_path / "out", part=20_000)
    assert len(parts) > 1
    assert all(part.stat().st_size <= 20_000 for part in parts)
    assert len(list((run.parent / "parcel").iterdir())) >= 1
    folder = sittings.unwrap(parts[::-1], tmp_path / "opened")
    assert not (folder / "states").exists()
    assert (folder / "metrics.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    assert read_records([folder / "records"]) == read_records([run.parent / "records"])
    opened, whole = Retriever.load(folder), Retriever.load(run)
    assert {p.dtype for p in opened.encoder.parameters()} == {
        next(whole.encoder.parameters()).dtype
    }
    texts = list(load_collection("tiny").texts())
    a, b = opened.encode(texts), whole.encode(texts)
    assert not np.array_equal(a, b), "bf16 keeps 8 bits"
    np.testing.assert_allclose(a, b, atol=0.05)


def test_adaptation(run: Path, tmp_path: Path) -> None:
    words = [str(run), str(tmp_path), "--data", "tiny", "--watch", "tiny:dev"]
    words += ["--out", str(tmp_path / "parcel"), "--set", "steps=3", "batch_size=8"]
    assert adapt.main(words) == 0
    config = read_config(tmp_path / "run")
    assert (config.objective, config.start, config.dimension) == ("in_batch", str(run), 16)
    (record,) = read_records([tmp_path / "records"])
    assert (record["label"], record["data"]) == (adapt.LABEL, "tiny")
    assert adapt.main([*words[:-1], "nonsense=1"]) == 1


def test_they_need_no_library_of_the_search_wing() -> None:
    """The machines they are for have PyTorch and its company, and often nothing else."""
    lacking = ["faiss", "bm25s", "Stemmer", "datasets", "pyarrow", "pandas", "matplotlib", "ranx"]
    script = f"import sys; sys.modules.update(dict.fromkeys({lacking})); import scratch, adapt"
    here = Path(scratch.__file__).parent
    done = subprocess.run([sys.executable, "-c", script], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_training_that_the_clock_stops_goes_on(text: Path, tmp_path: Path) -> None:
    """As long as its state is saved in between, the weights are those of one sitting."""
    config = scratch.with_settings(
        scratch.preset("one-gpu"), [*SMALL, "steps=60", "vocab_size=300", "objective=in_batch"]
    )
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    sittings.train_within(sittings.Clock(None), config, text, whole)
    drawn = []

    def soon(*arguments: Any) -> Any:
        """At the twentieth batch the time is over."""
        drawn.append(1)
        if len(drawn) == 20:
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        return two_views(*arguments)

    with pytest.raises(Stopped, match=r"stopped after step (1|2)\d, "):
        sittings.train_within(
            sittings.Clock(None), config, text, halves, views=soon, save_every=1e9
        )
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    sittings.train_within(sittings.Clock(None), config, text, halves)
    weights = [(folder / "model/model.safetensors").read_bytes() for folder in (whole, halves)]
    assert weights[0] == weights[1]


def test_without_time_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(Stopped, match="no time left for the scores"):
        sittings.Clock(1).need(60, "the scores")
    assert sittings.Clock(None).left() == float("inf")
    train = scratch.preset("one-gpu")
    with pytest.raises(Stopped, match="no time left for run"):
        sittings.train_within(sittings.Clock(1), train, "nowhere", tmp_path / "run")
    assert not (tmp_path / "run").exists()
