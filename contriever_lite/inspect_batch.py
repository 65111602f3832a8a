"""What a run reads at one step, for people: its documents and their views as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from contriever_lite.batch import TokenBatch, batch_of_step, documents_of_step
from contriever_lite.errors import ConfigError
from contriever_lite.runs import read_config, read_corpus
from contriever_lite.sampling import first_numbers
from contriever_lite.train import fit

ROWS, WIDTH = 8, 160  # shown, and characters of each


def show_batch(
    run: str | Path, step: int, data: list[str] | None = None, everything: bool = False
) -> str:
    """The batch of step `step`, counted from 1 as in RUN/metrics.jsonl: of each pair the number of
    its document (or window, if the run straddles), the query view and the key view.

    run: a run's folder, finished or not; read from it: config.json, and where data is None the
    sources in run.json. everything: all pairs, uncut, instead of the first few. Raises ConfigError
    for a step that the run does not have, and where the sources are not known.
    """
    config = read_config(run)
    if not 1 <= step <= config.steps:
        raise ConfigError(f"step is {step}; allowed: 1 to {config.steps}, as {run} has them")
    corpus = read_corpus(data or _sources(Path(run)), config.vocab_size, config.start)
    fitted, usable = fit(config, corpus)
    if fitted.batch_size != config.batch_size:
        raise ConfigError(
            f"{run} has batches of {config.batch_size}, but this text is enough for "
            f"{fitted.batch_size}: it is not what the run was trained on"
        )
    first = first_numbers(corpus, config)
    numbers = documents_of_step(usable, config, step - 1, first)
    pairs = batch_of_step(corpus, usable, config, step - 1)
    rows = len(numbers) if everything else min(ROWS, len(numbers))
    width = None if everything else WIDTH
    kind = "window" if config.straddle else "document"
    lines = [f"step {step:,} of {config.steps:,}: {len(pairs):,} pairs, {rows:,} shown"]
    for row in range(rows):
        source = int(np.searchsorted(first, numbers[row], side="right"))
        of = f" of source {source}" if len(first) > 1 else ""
        lines.append(f"{kind} {numbers[row] - first[source - 1]:,}{of}")
        views = [(f"query {view + 1}" if pairs.views > 1 else "query", pairs.query,
                  view * len(pairs) + row) for view in range(pairs.views)]  # fmt: skip
        for name, side, place in (*views, ("key", pairs.key, row)):
            lines.append(f"  {name}: {_text(side, place, corpus.tokenizer)[:width]}")
    return "\n".join(lines)


def _sources(run: Path) -> list[str]:
    record = run / "run.json"
    found = json.loads(record.read_text(encoding="utf-8")).get("source") if record.is_file() else []
    if not found:
        raise ConfigError(f"{run} does not say what it was trained on; name it: --data SOURCE")
    return [found] if isinstance(found, str) else found


def _text(side: TokenBatch, row: int, tokenizer: Tokenizer) -> str:
    return tokenizer.decode(side.rows(row, row + 1).tokens.tolist(), skip_special_tokens=False)
