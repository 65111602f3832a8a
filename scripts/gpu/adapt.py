"""A trained transformer, adapted to one collection's own documents, without a label:

    python scripts/gpu/adapt.py runs/gpu/run runs/gpu-scifact --data scifact --out parcel

Short query views against long key views of the same document, negatives from the batch. The run is
scored on the collection's test queries. --until as for scratch.py.
"""

import argparse
import shlex
import sys
from pathlib import Path

from sittings import Clock, score, sitting, train_within, watched, wrap

from contriever_lite.config import TrainConfig, with_settings
from contriever_lite.runs import read_config

LABEL = "transformer, then adapted"


def adapted(start: Path) -> TrainConfig:
    """The settings of the run it starts from, but for these."""
    return read_config(start).replace(
        start=str(start),
        objective="in_batch",
        query_tokens=(5, 24),
        query_views=2,
        key_crop=(0.5, 1.0),
        query_delete=0.2,
        temperature=0.05,
        symmetric=True,
        skip_same_text=True,
        momentum_schedule="constant",
        batch_size=256,
        steps=600,
        epochs=20.0,
        learning_rate=5e-5,
        warmup=0.1,
    )


def work(a: argparse.Namespace) -> None:
    clock, run = Clock(a.until), a.work / "run"
    config = with_settings(adapted(a.start), a.settings)
    options = {"judge": watched(a.watch), "evaluate_every": 100}
    train_within(clock, config, a.data, run, save_every=120.0, **options)
    clock.need(30, "the scores")
    command = shlex.join(["python", "scripts/gpu/adapt.py", *sys.argv[1:]])
    score(run, [a.data], a.label, command, a.work / "records")
    for part in wrap(run, a.work / "records", a.out):
        print(f"{part}: {part.stat().st_size:,} bytes")


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("start", type=Path, help="the run to start from")
    parser.add_argument("work", type=Path, help="the folder that keeps everything between calls")
    parser.add_argument("--data", default="scifact", help="whose documents, and test queries")
    parser.add_argument("--out", type=Path, required=True, help="where the parcel goes")
    parser.add_argument("--until", type=float, help="seconds of this call")
    parser.add_argument("--set", dest="settings", nargs="+", action="extend", default=[])
    parser.add_argument("--watch", default="scifact:train", help="development queries")
    parser.add_argument("--label", default=LABEL)
    arguments = parser.parse_args(words)
    return sitting(lambda: work(arguments))


if __name__ == "__main__":
    sys.exit(main())
