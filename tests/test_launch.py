"""The command line under torchrun: one run, its signals, and the loss curve of a single process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import synthetic
import tiny

from contriever_lite import cli
from contriever_lite.retriever import Retriever

ROOT = Path(__file__).resolve().parent.parent
# Dropout differs between processes, and so does the rounding of a query of one token.
CONFIG = tiny.MOCO.replace(dropout=0.0, query_tokens=(4, 6), query_delete=0.0, steps=16)


def losses(run: Path) -> list[float]:
    log = run / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line)["loss"] for line in lines]


def test_two_processes_are_stopped_and_one_goes_on(tmp_path: Path) -> None:
    corpus = synthetic.corpus().save(tmp_path / "corpus")
    settings = [f"{name}={json.dumps(value)}" for name, value in CONFIG.to_dict().items()]
    words = ["train", "--data", str(corpus), "--set", *settings, "--out"]
    assert cli.main([*words, str(tmp_path / "one")]) == 0

    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out, environment = tmp_path / "two", {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *launch, "-m", "contriever_lite.cli", *words, str(out)],
        env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while process.poll() is None and len(losses(out)) < 2:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode != 0
    assert said.count("contriever-lite: stopped after step") == 2
    done = len(losses(out))
    assert 2 <= done < CONFIG.steps
    assert [path.name for path in (out / "states").iterdir()] == [f"step-{done}.pt"]
    assert not (out / "model").exists()

    assert cli.main([*words, str(out), "--resume"]) == 0
    assert losses(out) == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert Retriever.load(out).encode(["bome"]).shape == (1, CONFIG.dimension)
