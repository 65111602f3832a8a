"""The SLURM script, with a cluster of two machines played by this one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import synthetic

from contriever_lite.beir_writer import write_beir
from contriever_lite.cli import main

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "slurm" / "train.sbatch"
SETTINGS = ["steps=6", "dimension=16", "batch_size=16", "vocab_size=400", "window=32"]
STUBS = {
    "srun": """#!/bin/bash
for node in 0 1; do "$@" & done
wait -n && wait -n
""",
    "scontrol": """#!/bin/bash
echo "$@" >> "$CALLS"
if [[ $1 == show ]]; then echo localhost; fi
""",
}


@pytest.fixture
def submit(tmp_path: Path):
    """Run the script as SLURM would, on two machines of one process each."""
    write_beir(synthetic.world(), tmp_path / "world")
    for name, text in STUBS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    job = {"JOB_ID": "7", "JOB_NODELIST": "n[1-2]", "JOB_NUM_NODES": "2", "GPUS_ON_NODE": "1",
           "CPUS_PER_TASK": "1"}  # fmt: skip
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    slurm = {f"SLURM_{name}": value for name, value in job.items()}
    setting = os.environ | slurm | {"PATH": path, "CALLS": str(tmp_path / "calls")}

    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", SCRIPT, *words], cwd=tmp_path, env=setting, text=True, capture_output=True
        )

    return run


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_two_machines_train_as_one_and_a_finished_run_is_left(submit, tmp_path: Path) -> None:
    words = ["--data", str(tmp_path / "world"), "--set", *SETTINGS, "--out"]
    done = submit(*words, str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert main(["train", *words, str(tmp_path / "one")]) == 0
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    again = submit(*words, str(tmp_path / "two"))
    assert (again.returncode, again.stdout) == (0, f"{tmp_path / 'two'} is finished\n")


def test_a_run_that_was_cut_off_is_queued_again_and_gone_on_with(submit, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--data", str(tmp_path / "world"), "--out", str(run), "--set", *SETTINGS]
    assert main(["train", *words, "--save-every", "0"]) == 0
    before = losses(run)
    shutil.rmtree(run / "model")
    assert submit(*words, "dimension=8").returncode != 0  # a failure: other settings
    assert "requeue 7" in (tmp_path / "calls").read_text()
    assert submit(*words).returncode == 0
    assert (run / "model").is_dir()
    assert losses(run) == before


def test_the_run_must_be_named(submit) -> None:
    done = submit("--data", "world")
    assert (done.returncode, done.stderr) == (2, "give --out RUN\n")
