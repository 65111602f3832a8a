"""Runs: a folder that a training leaves behind, and the record of how a figure came about.

RUN/config.json     every setting, resolved
RUN/metrics.jsonl   a line a step
RUN/states/         the last states and the best, to go on from (state.py)
RUN/run.json        the record: source, settings, commit, versions, device, seconds
RUN/model/          the model folder (checkpoint.py)
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from tokenizers import Tokenizer
from torch import nn

from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.documents import stream_documents
from contriever_lite.errors import CheckpointError, ConfigError, DataError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.files import locked, write_json
from contriever_lite.journal import last_seconds
from contriever_lite.mixture import mix
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.run_files import read_config
from contriever_lite.settings import refuse_differences
from contriever_lite.tokens import train_tokenizer
from contriever_lite.train import fit, train
from contriever_lite.warm_start import start_tokenizer

Sources = str | Path | Sequence[str | Path]


def read_documents(source: str | Path) -> list[tuple[str, str]]:
    """(title, text) of every document of a source (see documents.py), all in memory."""
    return list(stream_documents(source))


def read_corpus(source: Sources, vocab_size: int, start: str = "") -> Corpus:
    """A corpus to train on: a prepared one is opened, anything else tokenised anew, with a
    vocabulary learnt from it, or that of the model `start` (start_tokenizer). Several sources
    become one (mixture.mix): what is not prepared is read with the tokenizer of what is."""
    found = [
        Corpus.open(each) if (Path(each) / "manifest.json").is_file() else read_documents(each)
        for each in listed(source)
    ]
    prepared = [each.tokenizer for each in found if isinstance(each, Corpus)]
    texts = [each for each in found if not isinstance(each, Corpus)]
    if prepared:
        tokenizer = prepared[0]
    elif start:
        tokenizer = start_tokenizer(start)
    else:
        documents = chain.from_iterable(texts)
        tokenizer = train_tokenizer([f"{title} {text}" for title, text in documents], vocab_size)
    return mix([e if isinstance(e, Corpus) else build_corpus(e, tokenizer) for e in found])


def _processes() -> PartialState:
    """The others wait while the first one scores the model: for as long as half a day."""
    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(hours=12))


def listed(source: Sources) -> list[str | Path]:
    """One source or several, as a list."""
    return [source] if isinstance(source, (str, Path)) else list(source)


def train_run(
    config: TrainConfig,
    source: Sources,
    out: str | Path,
    resume: bool = False,
    judge: Collection | None = None,
    **options: Any,
) -> Retriever:
    """Train on the documents of a source, or of several (sampling.py), and leave the folder of the
    run at `out`.

    options: those of train.train, such as save_every and keep; RUN/states holds the run's states.
    judge: a collection that scores the encoder every options["evaluate_every"] steps, in the log;
    the best state by nDCG@10 then stays too. Give it development queries: to choose is to train.
    Raises DataError if `out` exists. resume=True goes on with a run that was interrupted, to the
    same weights: it needs the same settings and documents, and refuses (ConfigError) others, and a
    run that is finished. Where no state was saved yet, it starts the run again. The record's
    seconds of training then go on from those of the log. Of several processes the first alone
    writes.
    """
    sources, out, processes = [str(each) for each in listed(source)], Path(out), _processes()
    refuse_unfit(out, resume)
    processes.wait_for_everyone()  # all have looked, before the first one writes
    start = time.perf_counter()
    corpus = read_corpus(source, config.vocab_size, config.start)
    reading = time.perf_counter() - start
    config, _ = fit(config, corpus, processes.num_processes)
    _settle(config, sources, out, resume, write=processes.is_main_process)
    processes.wait_for_everyone()
    start = time.perf_counter()
    options.setdefault("evaluate", judge and partial(_scores, judge, corpus.tokenizer, config))
    with _own(out, resume, write=processes.is_main_process):
        encoder = train(config, corpus, out / "metrics.jsonl", state=out / "states", **options)
    training = time.perf_counter() - start
    retriever = retriever_for(encoder, corpus.tokenizer, config)
    if processes.is_main_process:
        record = {**_named(sources), "resumed": resume, **circumstances(config)}
        write_json(record | _seconds(out, reading, training), out / "run.json", overwrite=True)
        retriever.save(out / "model")  # last, whole or not at all: a run with a model is finished
    processes.wait_for_everyone()
    return retriever


def _seconds(out: Path, reading: float, training: float) -> dict[str, dict[str, float]]:
    """Of a run in several sittings, `training` is the last one's; the log has those before too."""
    training = max(training, last_seconds(out / "metrics.jsonl"))
    return {
        "seconds": {"reading and tokenising": round(reading, 1), "training": round(training, 1)}
    }


def _scores(
    judge: Collection, tokenizer: Tokenizer, config: TrainConfig, encoder: nn.Module, step: int
) -> dict[str, float]:
    retriever = retriever_for(encoder, tokenizer, config)
    scores = evaluate_model(f"step {step}", judge, retriever).scores
    return {measure: round(scores[measure].mean, 4) for measure in ("ndcg@10", "recall@100")}


@contextmanager
def _own(out: Path, resume: bool, write: bool) -> Iterator[None]:
    """The run's folder for the process that writes, alone; removed if a setting ends a new run
    before its first step, so that its name is free for the corrected command."""
    try:
        with locked(out) if write else nullcontext():
            yield
    except (ConfigError, CheckpointError):
        log = out / "metrics.jsonl"
        begun = any((out / "states").glob("*.pt")) or (log.is_file() and log.stat().st_size)
        if write and not (resume or begun):
            shutil.rmtree(out)
        raise


def finish_processes() -> bool:
    """Part in good order; returns whether this is the first process, which speaks for all."""
    processes = PartialState()
    first = processes.is_main_process
    processes.destroy_process_group()
    return first


def _settle(config: TrainConfig, sources: list[str], out: Path, resume: bool, write: bool) -> None:
    """Compare the settings with those of the run that goes on, or write them and the sources."""
    if resume:
        refuse_other_settings(out, config)
    elif write:
        write_json(config.to_dict(), out / "config.json")
        write_json(_named(sources), out / "run.json")


def refuse_other_settings(out: Path, config: TrainConfig) -> None:
    """Raise ConfigError unless the run at `out` was begun with these."""
    refuse_differences(read_config(out).to_dict(), config.to_dict(), out / "config.json")


def _named(sources: list[str]) -> dict[str, str | list[str]]:
    return {"source": sources[0] if len(sources) == 1 else sources}


def refuse_unfit(out: Path, resume: bool) -> None:
    """Raise DataError for a new run whose folder is there already, and ConfigError for one to go on
    with that is finished or not there."""
    is_run = (out / "config.json").is_file()
    if not resume and os.path.lexists(out):
        raise DataError(
            f"{out} exists already; choose another name or move it away first"
            + (", or, as it is a run, go on with it: --resume" if is_run else "")
        )
    if resume and (out / "model").exists():
        raise ConfigError(f"{out} is finished: its model is in {out / 'model'}; nothing to resume")
    if resume and not is_run:
        raise ConfigError(
            f"{out} is not a run: it has no config.json. To start one, give a name that is free, "
            "without --resume"
        )
