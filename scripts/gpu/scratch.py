"""A transformer from raw text alone, in the minutes you have:

    python scripts/gpu/scratch.py runs/gpu --text simplewiki.jsonl.xz enwiki.jsonl.xz --out parcel

1 tokenise the text; 2 time a few steps and fix how many fit into --minutes; 3 masked language
modelling; 4 contrast, with preset one-gpu; 5 scores; 6 a parcel of weights, curves and records in
--out. With --until SECONDS a call ends in time (exit status 75), and the same command goes on.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from sittings import (
    COLLECTIONS,
    Clock,
    score,
    seconds_a_step,
    sitting,
    train_within,
    watched,
    wrap,
)

from contriever_lite.config import TrainConfig, with_settings
from contriever_lite.corpus import Corpus
from contriever_lite.files import write_json
from contriever_lite.prepare import prepare_corpus
from contriever_lite.presets import preset
from contriever_lite.vocabulary import Vocabulary
from contriever_lite.warm_start import start_tokenizer

LABEL = "transformer, from scratch"
MASKED_BATCH = 512


def corpus_of(a: argparse.Namespace, config: TrainConfig) -> Corpus:
    """Of the text, in pieces of the start's vocabulary, or of one learnt from the text."""
    place = a.work / "corpus"
    if place.is_dir():
        return Corpus.open(place)
    learnt = Vocabulary(config.vocab_size)
    tokenizer = start_tokenizer(config.start) if config.start else learnt
    unfinished = place.with_name("corpus.part").is_dir()
    corpus = prepare_corpus(a.text, place, tokenizer, a.workers, resume=unfinished)
    print(f"corpus: {len(corpus):,} documents, {len(corpus.tokens):,} tokens")
    return corpus


def masked(config: TrainConfig) -> TrainConfig:
    """The same encoder guessing hidden tokens of longer texts."""
    changes = {"key_crop": (0.5, 1.0), "key_delete": 0.0, "learning_rate": 5e-4, "temperature": 1.0}
    batch = min(MASKED_BATCH, config.batch_size)
    return config.replace(objective="mlm", batch_size=batch, micro_batch=None, **changes)


def planned(a: argparse.Namespace, config: TrainConfig, corpus: Corpus) -> dict[str, float]:
    """Steps of the two trainings, from seconds a step: measured once, then kept."""
    file = a.work / "plan.json"
    if not file.is_file():
        times = {"masked": seconds_a_step(masked(config), corpus)} if a.masked else {}
        times["contrast"] = seconds_a_step(config, corpus)
        minutes = {"masked": a.minutes * a.masked, "contrast": a.minutes * (1 - a.masked)}
        steps = {name: max(2, int(60 * minutes[name] / times[name])) for name in times}
        write_json({"steps": steps, "seconds_a_step": times}, file)
    plan = json.loads(file.read_text("utf-8"))
    print(f"plan: {plan}")
    return plan["steps"]


def work(a: argparse.Namespace) -> None:
    clock = Clock(a.until)
    config = with_settings(preset(a.preset), a.settings)
    corpus, run = corpus_of(a, config), a.work / "run"
    clock.need(60, "the plan")
    steps = planned(a, config, corpus)
    if a.masked:
        train_within(clock, masked(config).replace(steps=steps["masked"]), a.work / "corpus",
                     a.work / "masked", save_every=120.0)  # fmt: skip
        config = config.replace(start=str(a.work / "masked"))
    config = config.replace(steps=steps["contrast"])
    options = {"judge": watched(a.watch), "evaluate_every": max(1, config.steps // 8)}
    train_within(clock, config, a.work / "corpus", run, save_every=120.0, **options)
    clock.need(60, "the scores")
    command = shlex.join(["python", "scripts/gpu/scratch.py", *sys.argv[1:]])
    score(run, a.collections, a.label, command, a.work / "records")
    clock.need(20, "the parcel")
    for part in wrap(run, a.work / "records", a.out):
        print(f"{part}: {part.stat().st_size:,} bytes")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path, help="the folder that keeps everything between calls")
    parser.add_argument("--text", nargs="+", required=True, help="sources that `prepare` reads")
    parser.add_argument("--out", type=Path, required=True, help="where the parcel goes")
    parser.add_argument("--minutes", type=float, default=15, help="of training, in all")
    parser.add_argument("--masked", type=float, default=0.25, help="share of them for step 3")
    parser.add_argument("--until", type=float, help="seconds of this call")
    parser.add_argument("--preset", default="one-gpu")
    parser.add_argument("--set", dest="settings", nargs="+", action="extend", default=[])
    parser.add_argument("--watch", default="scifact:train", help="development queries")
    parser.add_argument("--collections", nargs="*", default=COLLECTIONS)
    parser.add_argument("--label", default=LABEL)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args(words)
    return sitting(lambda: work(arguments))


if __name__ == "__main__":
    sys.exit(main())
