"""Every objective for a few steps, and whole trainings: the same code for one process and for two.

    RANK=0 WORLD_SIZE=2 MASTER_ADDR=localhost MASTER_PORT=... python two_processes.py OUT

Each process writes what it found to OUT/RANK.pt. Run by test_distributed.py.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

import synthetic
import torch
import torch.distributed as dist
import toy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from contriever_lite.cached import CachedGradients
from contriever_lite.criterion import Criterion
from contriever_lite.distributed import gather, others, rank, world
from contriever_lite.key_queue import KeyQueue
from contriever_lite.loss import decoupled, info_nce
from contriever_lite.objective import InBatch, MoCo, Queue
from contriever_lite.train import train

STEPS, DOCUMENTS, VIEWS, SIZE = 3, 6, 2, 10


def encoder() -> toy.Dropping:
    return toy.Dropping(dropout=0.0)


def in_batch(function=info_nce, rows: int | None = None, learnt: bool = False, **settings):
    inner = CachedGradients(encoder(), rows) if rows else encoder()
    skip = settings.pop("skip_same_text", False)
    return InBatch(inner, Criterion(function, 0.3, learnt, **settings), skip_same_text=skip)


def with_queue(kind: type, *, rows: int | None = None, **settings):
    inner = CachedGradients(encoder(), rows) if rows else encoder()
    return kind(inner, Criterion(info_nce, 0.3), KeyQueue(SIZE, toy.DIMENSION), **settings)


OBJECTIVES = {
    "in-batch": in_batch,
    "in-batch, both directions": partial(in_batch, symmetric=True),
    "in-batch, same text skipped": partial(in_batch, skip_same_text=True),
    "in-batch, cached": partial(in_batch, rows=4, symmetric=True),
    "in-batch, learnt temperature": partial(in_batch, learnt=True),
    "in-batch, decoupled": partial(in_batch, decoupled),
    **{
        f"queue, {batch=}, {gradient=}": partial(
            with_queue, Queue, batch_negatives=batch, key_gradient=gradient
        )
        for batch in (False, True)
        for gradient in (False, True)
    },
    "queue, cached, same text skipped": partial(
        with_queue, Queue, rows=3, batch_negatives=True, key_gradient=True, skip_same_text=True
    ),
    "moco": partial(with_queue, MoCo, momentum=0.8),
    "moco, batch negatives": partial(
        with_queue, MoCo, momentum=0.8, batch_negatives=True, skip_same_text=True
    ),
}

# Queries of one token would have a gradient of 0 for its weight (vectors have length 1), and Adam
# makes a step of whatever rounding leaves there.
SMALL = synthetic.SMALL.replace(steps=8, query_tokens=(4, 6), query_delete=0)
TRAININGS = {
    "in-batch": {"symmetric": True, "query_views": 2},
    "in-batch, cached": {"micro_batch": 7},
    "queue": {"objective": "queue", "batch_negatives": True, "key_gradient": True},
    "moco": {"objective": "moco", "momentum": 0.5, "queue_size": 50, "skip_same_text": True},
}


def mean(x: Tensor) -> Tensor:
    """Over the processes."""
    x = x.detach().clone()
    if world() > 1:
        dist.all_reduce(x)
    return x / world()


def steps_of(objective: nn.Module) -> dict:
    """Losses, measures and gradients of a few steps of descent, and the state after them."""
    forward = DistributedDataParallel(objective, broadcast_buffers=False) if world() > 1 else None
    found = {"losses": [], "measures": [], "gradients": []}
    for step in range(STEPS):
        pairs = toy.pairs(DOCUMENTS, VIEWS, step).part(rank(), world())
        loss, measures = (forward or objective)(pairs)
        loss.backward()
        found["losses"].append(mean(loss))
        found["measures"].append({name: mean(value) for name, value in measures.items()})
        found["gradients"].append(
            {name: p.grad.clone() for name, p in objective.named_parameters() if p.requires_grad}
        )
        with torch.no_grad():
            for parameter in objective.parameters():
                if parameter.grad is not None:
                    parameter -= 0.05 * parameter.grad
                    parameter.grad = None
        objective.after_step()
    return {**found, "state": objective.state_dict()}


def training(settings: dict, log: Path) -> dict:
    """The log and the weights of a training of the bag."""
    looked = []

    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        looked.append(step)
        return {"norm": encoder.vectors.norm().item()}

    config = SMALL.replace(**settings)
    weights = train(config, synthetic.corpus(), log, evaluate, 4).state_dict()
    lines = [json.loads(line) for line in log.read_text().splitlines()] if rank() == 0 else None
    return {"weights": weights, "log": lines, "looked": looked}


def gathered() -> dict[str, Tensor]:
    """Rows of each process's own, gathered; and the gradient each gets back."""
    b = 6 // world()
    own = torch.arange(12.0).view(2, 6, 1)[:, rank() * b : (rank() + 1) * b]
    x = own.flatten(0, 1).requires_grad_()
    everything, rest = gather(x, views=2), others(x)
    loss = (everything * torch.arange(12.0)[:, None]).sum() + 100 * rest.sum()
    loss.backward()
    return {"everything": everything.detach(), "rest": rest.detach(), "gradient": x.grad}


def everything(out: Path) -> dict:
    """All cases; under several processes every process must call this."""
    return {
        "gather": gathered(),
        "objectives": {name: steps_of(make()) for name, make in OBJECTIVES.items()},
        "trainings": {
            name: training(settings, out / f"{name}.jsonl") for name, settings in TRAININGS.items()
        },
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo")
    torch.save(everything(folder), folder / f"{os.environ['RANK']}.pt")
    dist.destroy_process_group()
