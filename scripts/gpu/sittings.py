"""What the GPU scripts share: work in several sittings, steps that fit the time, scores, a parcel.

Some machines are lent for ten minutes at a time. Each script does as much as it can in one call,
leaves what it has in its folder, and goes on from there when it is called again.
"""

import json
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import UserError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.files import new_folder, write_json
from contriever_lite.retriever import Retriever
from contriever_lite.runs import read_config, train_run
from contriever_lite.stop import Stopped
from contriever_lite.train import train

COLLECTIONS = ("scifact", "squad-dev", "wikipedia-vital", "cranfield")
PART = 15_000_000  # bytes of a part of a parcel
AGAIN = 75  # exit status: call again ("temporary failure" in BSD's sysexits.h)


class Clock:
    """How many seconds of this call are left; `need` raises Stopped where they are too few."""

    def __init__(self, seconds: float | None) -> None:
        self.end = time.monotonic() + (seconds or float("inf"))

    def left(self) -> float:
        return self.end - time.monotonic()

    def need(self, seconds: float, what: str) -> None:
        if self.left() < seconds:
            raise Stopped(f"no time left for {what} in this call", signal.SIGALRM)

    @contextmanager
    def alarm(self) -> Iterator[None]:
        """SIGTERM when the time is over, on which a training saves its state and stops."""
        before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, min(max(self.left(), 0.01), 1e6))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def sitting(work: Callable[[], None]) -> int:
    """Run one call's work; the exit status says whether there is more to do."""
    try:
        work()
    except Stopped as stopped:
        print(f"{stopped}\nThe same command again goes on from here.")
        return AGAIN
    except UserError as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


def train_within(
    clock: Clock, config: TrainConfig, source: str | Path, out: Path, **options: object
) -> None:
    """Train the run `out`, or go on with it, until it is finished or the time is over."""
    if (out / "model").is_dir():
        return
    clock.need(20, f"{out.name}")
    with clock.alarm():
        train_run(config, source, out, resume=(out / "config.json").is_file(), **options)
    print(f"{out.name}: {config.steps:,} steps are done")


def seconds_a_step(config: TrainConfig, corpus: Corpus, steps: int = 12, untimed: int = 4) -> float:
    """Of a short training, its first steps not counted."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        train(config.replace(steps=steps), corpus, log)
        times = [json.loads(line)["seconds"] for line in log.read_text("utf-8").splitlines()]
    return max((times[-1] - times[untimed - 1]) / (steps - untimed), 1e-3)


def watched(name: str) -> Collection | None:
    """The development queries NAME:SPLIT that score the encoder while it trains."""
    data, _, split = name.partition(":")
    try:
        return load_collection(data, split or None)
    except (UserError, OSError) as error:
        print(f"not watched: {error}")
        return None


def score(run: Path, names: Sequence[str], label: str, command: str, records: Path) -> None:
    """A record (data/runs/README.md) of the run on each collection that is there."""
    retriever = Retriever.load(run)
    retriever.encoder.to("cuda" if torch.cuda.is_available() else "cpu")
    config = read_config(run)
    seconds = json.loads((run / "run.json").read_text("utf-8"))["seconds"]["training"]
    for name in names:
        file = records / f"{name}-{label.replace(' ', '-').replace(',', '')}-{config.seed}.json"
        if file.exists():
            continue
        try:
            found = evaluate_model(label, load_collection(name), retriever)
        except (UserError, OSError) as error:
            print(f"{name}: left out: {error}")
            continue
        write_json({**found.to_dict(), "label": label, "class": "raw text", "seed": config.seed,
                    "training_seconds": seconds, "command": command, **circumstances(config)},
                   file)  # fmt: skip
        print(f"{name}: nDCG@10 {found.scores['ndcg@10']}, R@100 {found.scores['recall@100']}")


def wrap(run: Path, records: Path, out: Path, part: int = PART) -> list[Path]:
    """The run without its states, its weights in bf16, and its records as one tar archive in parts
    of at most `part` bytes: `cat NAME.tar.* | tar x` opens it, and `Retriever.load` reads it."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        inside, tar = Path(folder) / run.name, Path(folder) / "parcel.tar"
        shutil.copytree(run, inside, ignore=shutil.ignore_patterns("states", "tensorboard"))
        weights = inside / "model" / "model.safetensors"
        tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(weights).items()}
        save_file(tensors, weights, metadata={"format": "pt"})
        shutil.copytree(records, inside / "records")
        with tarfile.open(tar, "w") as archive:
            archive.add(inside, run.name)
        return list(_parts(tar, out / f"{run.name}.tar", part))


def _parts(file: Path, name: Path, size: int) -> Iterator[Path]:
    with file.open("rb") as stream:
        for number, chunk in enumerate(iter(lambda: stream.read(size), b""), start=1):
            place = name.with_suffix(f".tar.{number:02d}")
            place.write_bytes(chunk)
            yield place


def unwrap(parts: Sequence[Path], folder: Path) -> Path:
    """Open a parcel again: `folder` becomes the run."""
    with new_folder(folder) as work, tempfile.TemporaryFile() as whole:
        for place in sorted(parts):
            whole.write(place.read_bytes())
        whole.seek(0)
        with tarfile.open(fileobj=whole) as archive:
            archive.extractall(work, filter="data")
        (inside,) = work.iterdir()
        for item in list(inside.iterdir()):
            item.rename(work / item.name)
        inside.rmdir()
    return folder
