"""A training step with and without memory kept from step to step: a ratio from one run.

    python benchmarks/memory.py [--steps 20]

Two fresh processes train the bag on the same batches of wikipedia-vital; one first calls
`keep_freed_memory`. Printed: the median step of each, their ratio, and page faults a step.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch

from contriever_lite import build, presets, runs, train
from contriever_lite.batch import batch_of_step
from contriever_lite.memory import keep_freed_memory
from contriever_lite.table_adam import TableAdam


def measure(keep: bool, steps: int) -> dict[str, float]:
    """Median seconds and page faults of a step, in this process."""
    if keep:
        keep_freed_memory()
    settings = presets.preset("laptop")
    corpus = runs.read_corpus("wikipedia-vital", settings.vocab_size)
    settings, usable = train.fit(settings, corpus)
    encoder = build.new_encoder(settings, corpus)
    objective = build.new_objective(settings, encoder)
    optimizer = TableAdam(encoder.parameters(), lr=settings.learning_rate)
    seconds, faults = [], []
    for step in range(steps + 3):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        loss, _ = objective(batch_of_step(corpus, usable, settings, step), measure=False)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return {"seconds": statistics.median(seconds[3:]), "faults": statistics.mean(faults[3:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--child", choices=["keep", "free"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(arguments.child == "keep", arguments.steps)))
        return
    found = {}
    for child in ("free", "keep"):
        command = [sys.executable, __file__, "--steps", str(arguments.steps), "--child", child]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found[child] = json.loads(done.stdout)
        print(f"{child}: {found[child]['seconds'] * 1e3:.0f} ms a step, "
              f"{found[child]['faults']:,.0f} page faults")  # fmt: skip
    ratio = found["free"]["seconds"] / found["keep"]["seconds"]
    print(f"keeping memory: {ratio:.2f} times as fast, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
