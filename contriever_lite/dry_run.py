"""A look at a run before it starts: is everything there, and what will it take?"""

import os
import shutil
from pathlib import Path

import torch

from contriever_lite.batch import batch_of_step
from contriever_lite.build import new_encoder
from contriever_lite.circumstances import device
from contriever_lite.config import TrainConfig
from contriever_lite.errors import DataError
from contriever_lite.estimate import memory, operations, parameters, seconds_a_step, tokens
from contriever_lite.fit import fit
from contriever_lite.precision import number_type
from contriever_lite.runs import read_corpus, refuse_other_settings, refuse_unfit

STATES = 3  # of a run's folder: the last two and the one that is being written


def dry_run(config: TrainConfig, source: str | Path, out: str | Path, resume: bool = False) -> str:
    """Everything a run does before its first step, and what the steps will need, as a few lines.

    The corpus is read, the start model loaded, the encoder made, part of a batch timed; nothing is
    written. Raises what the run itself would raise.
    """
    refuse_unfit(Path(out), resume)
    corpus = read_corpus(source, config.vocab_size, config.start)
    config, usable = fit(config, corpus)
    if resume:
        refuse_other_settings(Path(out), config)
    encoder = new_encoder(config, corpus)
    gpu = torch.cuda.is_available()
    number_type(config.precision, torch.device("cuda" if gpu else "cpu"))
    pairs = batch_of_step(corpus, usable, config, 0)
    needed, work = memory(config, encoder, pairs), operations(config, encoder, pairs)
    on_disk = needed["weights"] + needed["optimizer"] + needed["slow encoder"] + needed["queue"]
    free = _free(Path(out), STATES * on_disk)
    seconds = seconds_a_step(config, corpus, usable, encoder)
    parts = ", ".join(f"{name} {_bytes(size)}" for name, size in needed.items() if size)
    flops = f", {work:.2g} floating-point operations" if work else ""
    return "\n".join([
        f"parameters   {parameters(encoder)[0]:,}",
        f"corpus       {len(corpus):,} documents, {len(corpus.tokens):,} tokens",
        f"a step       {len(pairs):,} pairs, {sum(tokens(pairs, config)):,} tokens{flops}",
        f"memory       {_bytes(sum(needed.values()))}: {parts}",
        f"disk         {_bytes(STATES * on_disk)} for {STATES} states; {_bytes(free)} free",
        f"time         {_time(config.steps * seconds)} for {config.steps:,} steps of "
        f"{seconds:.3g} s on {device()}, without evaluations",
    ])  # fmt: skip


def _free(out: Path, needed: int) -> int:
    """Free bytes where `out` will be. Raises DataError if it cannot be made there."""
    place = next(parent for parent in out.absolute().parents if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise DataError(f"{out} cannot be made: {place} is not a folder that can be written to")
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DataError(
            f"{out}: {_bytes(free)} are free and the run's states take {_bytes(needed)}; make room "
            "or choose another --out"
        )
    return free


def _bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _time(seconds: float) -> str:
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} seconds"
