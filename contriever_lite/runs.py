"""Runs: a folder that a training leaves behind, and the record of how a figure came about.

RUN/config.json     every setting, resolved
RUN/metrics.jsonl   a line a step
RUN/state.pt        the state of an unfinished run (state.py)
RUN/run.json        the record: source, settings, commit, versions, device, seconds
RUN/model/          the model folder (checkpoint.py)
"""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from contriever_lite.config import TrainConfig, from_dict
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.documents import stream_documents
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.files import write_json
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.state import refuse_differences
from contriever_lite.tokens import train_tokenizer
from contriever_lite.train import fit, train
from contriever_lite.warm_start import load_start

LIBRARIES = ("contriever-lite", "torch", "tokenizers", "numpy", "faiss-cpu", "bm25s")


def read_documents(source: str | Path) -> list[tuple[str, str]]:
    """(title, text) of every document of a source (see documents.py), all in memory."""
    return list(stream_documents(source))


def read_corpus(source: str | Path, vocab_size: int, start: str = "") -> Corpus:
    """A corpus to train on: a prepared one is opened, anything else tokenised anew, with a
    vocabulary learnt from it, or that of the model `start` (warm_start.load_start)."""
    if (Path(source) / "manifest.json").is_file():
        return Corpus.open(source)
    documents = read_documents(source)
    if start:
        return build_corpus(documents, load_start(start)[1])
    tokenizer = train_tokenizer([f"{title} {text}" for title, text in documents], vocab_size)
    return build_corpus(documents, tokenizer)


def train_run(
    config: TrainConfig,
    source: str | Path,
    out: str | Path,
    resume: bool = False,
    save_every: float = 60.0,
) -> Retriever:
    """Train on a source's documents and leave the folder of the run at `out`.

    RUN/state.pt holds the run's state while it is under way, replaced every `save_every` seconds.
    Raises DataError if `out` exists. resume=True goes on with a run that was interrupted, to the
    same weights: it needs the same settings and documents, and refuses (ConfigError) others, and a
    run that is finished. Where no state was saved yet, it starts the run again.
    """
    out, seconds = Path(out), {}
    _refuse_unfit(out, resume)
    start = time.perf_counter()
    corpus = read_corpus(source, config.vocab_size, config.start)
    seconds["reading and tokenising"] = round(time.perf_counter() - start, 1)
    config, _ = fit(config, corpus)
    if resume:
        refuse_differences(read_config(out).to_dict(), config.to_dict(), out / "config.json")
    else:
        write_json(config.to_dict(), out / "config.json")
    start = time.perf_counter()
    encoder = train(
        config, corpus, out / "metrics.jsonl", state=out / "state.pt", save_every=save_every
    )
    seconds["training"] = round(time.perf_counter() - start, 1)
    record = {"source": str(source), "resumed": resume, **circumstances(config)}
    write_json({**record, "seconds": seconds}, out / "run.json", overwrite=resume)
    retriever = retriever_for(encoder, corpus.tokenizer, config)
    retriever.save(out / "model")  # last, whole or not at all: a run with a model is finished
    for left in out.glob("state.pt*"):
        left.unlink()
    return retriever


def _refuse_unfit(out: Path, resume: bool) -> None:
    if not resume and os.path.lexists(out):
        raise DataError(
            f"{out} exists already; choose another name or move it away first, or, if it is a run "
            "that was interrupted, go on with it: --resume"
        )
    if resume and (out / "model").exists():
        raise ConfigError(f"{out} is finished: its model is in {out / 'model'}; nothing to resume")
    if resume and not (out / "config.json").is_file():
        raise ConfigError(
            f"{out} is not a run: it has no config.json. To start one, leave --resume out"
        )


def circumstances(config: TrainConfig | None = None) -> dict[str, Any]:
    """What one needs to make a figure again: settings, commit, versions, device, date."""
    return {
        "config": config and config.to_dict(),
        "commit": commit(),
        "versions": {"python": platform.python_version(), **dict(_versions(LIBRARIES))},
        "device": device(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def commit() -> str | None:
    """The commit of the checkout this package runs from, "+" appended if files differ from it."""
    git = shutil.which("git")
    here = Path(__file__).parent
    if git is None:
        return None

    def ask(*words: str) -> str:
        done = subprocess.run([git, *words], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    head = ask("rev-parse", "--short=12", "HEAD")
    return (head + ("+" if ask("status", "--porcelain", "--", ".") else "")) or None


def device() -> str:
    """The GPU's name, or the processor's with the number of threads in use."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        name = next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads"


def read_config(run: str | Path) -> TrainConfig:
    """The settings of a run, from its folder. Raises CheckpointError where they are missing or
    broken, and ConfigError for a setting that this version does not know or allow."""
    file = Path(run) / "config.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(
            f"{run} is not a run: it has no config.json. Give a folder that `train --out` made."
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{file}: broken JSON: {error}. Copy the run's folder again."
        ) from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file}: {type(values).__name__} where settings {{...}} belong")
    return from_dict(values)
