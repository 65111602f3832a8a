"""What a run reads at one step, for people: its documents and their views as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from contriever_lite.batch import PairBatch, TokenBatch, batch_of_step, documents_of_step
from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError
from contriever_lite.fit import fit
from contriever_lite.run_files import read_config, read_record
from contriever_lite.runs import Sources, read_corpus
from contriever_lite.sampling import first_numbers

ROWS, WIDTH = 8, 160  # shown, and characters of each


def show_batch(
    run: str | Path, step: int, data: Sources | None = None, everything: bool = False
) -> str:
    """The batch of step `step`, counted from 1 as in RUN/metrics.jsonl: of each pair the number of
    its document (from 0; of its window, if the run straddles), the query views and the key view.

    run: a run's folder, finished or not. data: its sources, by default those named in its run.json.
    everything: all pairs, uncut, instead of the first few. Raises ConfigError for a step that the
    run does not have, and where the sources are not named, or not those it was trained on.
    """
    config = read_config(run)
    if not 1 <= step <= config.steps:
        raise ConfigError(f"step is {step}; allowed: 1 to {config.steps}, as {run} has them")
    record = read_record(run)
    if "negatives" in record:
        raise ConfigError(f"{run} learnt from labels, whose steps cannot be shown; name a run of "
                          "`train`")  # fmt: skip
    corpus = read_corpus(data or _sources(run, record), config.vocab_size, config.start)
    fitted, usable = fit(config, corpus)
    if fitted.batch_size != config.batch_size:
        raise ConfigError(
            f"{run} has batches of {config.batch_size}, but the text is enough for "
            f"{fitted.batch_size}: it is not what the run was trained on; name that: --data SOURCE"
        )
    first = first_numbers(corpus, config)
    numbers = documents_of_step(usable, config, step - 1, first)
    pairs = batch_of_step(corpus, usable, config, step - 1)
    rows, width = (len(pairs), None) if everything else (min(ROWS, len(pairs)), WIDTH)
    lines = [f"step {step:,} of {config.steps:,}: {len(pairs):,} pairs, {rows:,} shown"]
    for row in range(rows):
        lines.append(_named(numbers[row], first, config))
        lines += [line[:width] for line in _views(pairs, row, corpus.tokenizer)]
    return "\n".join(lines)


def _sources(run: str | Path, record: dict[str, Any]) -> Sources:
    if not record.get("source"):
        raise ConfigError(f"{run} does not say what it was trained on; name it: --data SOURCE")
    return record["source"]


def _named(number: int, first: tuple[int, ...], config: TrainConfig) -> str:
    source = int(np.searchsorted(first, number, side="right"))
    kind = "window" if config.straddle else "document"
    of = f" of source {source}" if len(first) > 1 else ""
    return f"{kind} {number - first[source - 1]:,}{of}"


def _views(pairs: PairBatch, row: int, tokenizer: Tokenizer) -> Iterator[str]:
    for place in range(row, len(pairs.query), len(pairs)):
        yield f"  query: {_text(pairs.query, place, tokenizer)}"
    yield f"  key: {_text(pairs.key, row, tokenizer)}"


def _text(side: TokenBatch, row: int, tokenizer: Tokenizer) -> str:
    return tokenizer.decode(side.rows(row, row + 1).tokens.tolist(), skip_special_tokens=False)
