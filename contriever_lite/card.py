"""A model's results card: README.md for people, card.json for programs.

What is not recorded is not claimed: data, recipe and seconds come from the run's run.json, sizes
from the model's files, scores from what `eval --json` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from contriever_lite.checkpoint import model_folder
from contriever_lite.config import TrainConfig
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError
from contriever_lite.files import new_file, refuse_to_overwrite, write_json
from contriever_lite.report import read_records, report
from contriever_lite.retriever import Retriever
from contriever_lite.run_files import read_record

FILES = ("README.md", "card.json")
USE = "Ranking documents for a query by the {score} of their vectors, alone or fused with BM25."
WEAK = "Rare names, numbers and exact words: BM25 finds these more surely. Fuse with it."
BAG = "It knows words, not their order."
ORIGIN = "Whatever its training text lacks or gets wrong, it lacks or gets wrong too."
NO_SCORES = "No score was recorded: `contriever-lite eval --model {name} --data NAME --json FILE`."
NOT_STATED = "not stated: that of the training text decides"


def write_card(
    model: str | Path,
    out: str | Path,
    scores: Iterable[str | Path] = (),
    licence: str | None = None,
) -> list[Path]:
    """Write README.md and card.json about a model, named as in Retriever.load, into the folder
    `out`; return their paths.

    scores: files of `eval --json`. Raises CheckpointError where there is no model, DataError for a
    file that is no record, and where a card stands already, ConfigError where `out` is the name of
    a model that ships with the package.
    """
    paths = [Path(out) / name for name in FILES]
    for path in paths:
        refuse_to_overwrite(path)
    card = describe_model(model, list(scores), licence)
    if Path(out) == Path(model) and not Path(out).is_dir():
        raise ConfigError(
            f"{model} ships with the package and has its card: name a folder for another, --out DIR"
        )
    with new_file(paths[0]) as work:
        work.write_text(markdown(card, list(scores)), encoding="utf-8")
    write_json(card, paths[1])
    return paths


def describe_model(
    model: str | Path, scores: Sequence[str | Path] = (), licence: str | None = None
) -> dict[str, Any]:
    """All that the card says, as JSON has it."""
    retriever, run = Retriever.load(model), read_record(model_folder(model))
    encoder, bag = retriever.encoder, isinstance(retriever.encoder, BagEncoder)
    kind = "bag of word pieces" if bag else f"{encoder.model.config.model_type} transformer"
    score = "cosine" if encoder.normalise else "dot product"
    return {
        "name": Path(model).resolve().name,
        "encoder": kind,
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "dimensions": encoder.dimension,
        "word_pieces": retriever.tokenizer.get_vocab_size(),
        "longest_text_in_tokens": None if bag else encoder.reading.longest,
        "score": score,
        "data": run.get("source"),
        "recipe": _recipe(run.get("config") or {}, retriever.tokenizer.get_vocab_size()),
        "seconds": run.get("seconds"),
        "made_with": {key: run.get(key) for key in ("commit", "versions", "device", "date")},
        "scores": read_records(scores) if scores else [],
        "intended_use": USE.format(score=score),
        "limits": [*([BAG] if bag else []), WEAK, ORIGIN],
        "licence": licence or NOT_STATED,
    }  # fmt: skip


def _recipe(config: dict[str, Any], word_pieces: int) -> dict[str, Any]:
    """The settings that differ from their defaults, and those that always matter; no vocab_size
    where the vocabulary came with a start or a prepared corpus."""
    usual = TrainConfig().to_dict()
    always = {"seed", "objective", "batch_size", "steps", "temperature", "learning_rate"}
    found = {
        name: value for name, value in config.items()
        if name in always or name not in usual or json.dumps(usual[name]) != json.dumps(value)
    }  # fmt: skip
    if found.get("vocab_size") != word_pieces:
        found.pop("vocab_size", None)
    return found


def markdown(card: dict[str, Any], scores: Sequence[str | Path] = ()) -> str:
    """The card for people."""
    longest = card["longest_text_in_tokens"]
    reads = f"the first {longest} tokens of a text" if longest else "all of a text"
    parts = {
        f"# {card['name']}: a dense retriever": [
            f"A {card['encoder']} of {card['parameters']:,} parameters and {card['word_pieces']:,} "
            f"word pieces. It reads {reads} and makes a vector of {card['dimensions']:,} numbers; "
            f"vectors are compared by {card['score']}."
        ],
        "## Data and recipe": _making(card),
        "## Scores": [report(scores) if scores else NO_SCORES.format(name=card["name"])],
        "## Use and limits": [card["intended_use"], "", *(f"- {each}" for each in card["limits"])],
        "## Licence": [f"{card['licence'][0].upper()}{card['licence'][1:]}."],
    }
    blocks = ["\n".join([title, "", *lines]) for title, lines in parts.items()]
    return "\n\n".join(blocks) + "\n"


def _making(card: dict[str, Any]) -> list[str]:
    data, seconds = card["data"], (card["seconds"] or {}).get("training")
    words = ", ".join(data) if isinstance(data, list) else data or "not recorded"
    made = [f"{key} {value}" for key, value in card["made_with"].items() if isinstance(value, str)]
    lines = [f"Trained on: {words}."]
    if seconds is not None:
        lines.append(f"Training took {seconds:,.0f} seconds; {', '.join(made)}.")
    if card["recipe"]:
        rows = (f"| {name} | {value} |" for name, value in card["recipe"].items())
        lines += ["", "| setting | value |", "|---|---|", *rows]
    return lines
