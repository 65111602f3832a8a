"""Make the recorded sweeps in data/runs/sweeps/ again: the book's comparisons that take too long
for a chapter.

    python scripts/sweeps.py augmentations     one of them
    python scripts/sweeps.py                   all that are not there
    ... --data scifact                         one collection only

Every sweep varies one thing around one base, the paper's recipe made small, and is scored on
development queries: the dev half of wikipedia-vital, the training claims of SciFact. A file that
exists is kept, and collections that it lacks are added; remove it to make it again.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from contriever_lite.augment import select
from contriever_lite.batch import TokenBatch
from contriever_lite.build import new_encoder
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged
from contriever_lite.files import write_json
from contriever_lite.runs import read_corpus
from contriever_lite.sweep import record, sweep
from contriever_lite.views import two_views

SWEEPS = Path(__file__).resolve().parents[1] / "data" / "runs" / "sweeps"
SPLITS = {"wikipedia-vital": "dev", "scifact": "train"}
BASE = TrainConfig(
    vocab_size=16_000, dimension=256, batch_size=256, steps=300, learning_rate=0.01
)  # all else as in the paper: two crops of 5 to 50 %, deletion .1, temperature .05
Settings = dict[str, TrainConfig]


def augmentations() -> tuple[str, Settings]:
    """Which pairs teach most? The paper's table 7, with the row for masking that it lacks."""
    crop = BASE.replace(query_delete=0.0, key_delete=0.0)
    return "crop", {
        "inverse cloze": crop.replace(pair="inverse_cloze"),
        "crop": crop,
        "crop + delete": BASE,
        "crop + replace": crop.replace(query_replace=0.1, key_replace=0.1),
        "crop + mask": crop.replace(query_mask=0.1, key_mask=0.1),
        "crop + delete words": BASE.replace(whole_words=True),
        "short query, long key": BASE.replace(query_tokens=(5, 24), key_crop=(0.5, 1.0)),
    }


def deletion() -> tuple[str, Settings]:
    """How much to delete, in both views? The paper's .1."""
    rates = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
    return "0.1", {str(r): BASE.replace(query_delete=r, key_delete=r) for r in rates}


def crops() -> tuple[str, Settings]:
    """How long are the crops? The paper's 5 to 50 %."""
    ranges = ((0.05, 0.5), (0.1, 0.5), (0.05, 0.25), (0.25, 0.75), (0.5, 1.0), (0.05, 1.0))
    return "5-50 %", {
        f"{low * 100:.0f}-{high * 100:.0f} %": BASE.replace(
            query_crop=(low, high), key_crop=(low, high)
        )
        for low, high in ranges
    }


def overlap() -> tuple[str, Settings]:
    """What may query and key share? The span, only other occurrences of its words, or no word."""
    cut = BASE.replace(pair="inverse_cloze", span_kept=0.0, query_delete=0.0, key_delete=0.0)
    short = cut.replace(query_tokens=(5, 24))
    return "crop", {
        "crop": BASE.replace(query_delete=0.0, key_delete=0.0),
        "inverse cloze, span kept": cut.replace(span_kept=1.0),
        "inverse cloze, span cut": cut,
        "inverse cloze, words cut": cut,
        "short query, span cut": short,
        "short query, words cut": short,
    }


def words_cut(
    corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig
) -> tuple[Ragged, Ragged]:
    """Views like two_views, but a key loses every token that its query has."""
    query, key = two_views(corpus, indices, rng, config)
    size = corpus.tokenizer.get_vocab_size()
    ours, theirs = (view.row_of_token() * size + view.tokens for view in (query, key))
    return query, select(key, ~np.isin(theirs, ours))


VIEWS = {f"{pair}, words cut": words_cut for pair in ("inverse cloze", "short query")}


def temperature() -> tuple[str, Settings]:
    """How sharp is the softmax? The paper's .05."""
    fixed = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return "0.05", {
        **{str(t): BASE.replace(temperature=t) for t in fixed},
        "learnt, from 0.05": BASE.replace(learn_temperature=True),
    }


def losses() -> tuple[str, Settings]:
    """Does the loss matter, at the base's temperature?"""
    return "InfoNCE", {
        "InfoNCE": BASE,
        "InfoNCE, symmetric": BASE.replace(symmetric=True),
        "equation 1 as printed": BASE.replace(loss="equation_1"),
        "decoupled": BASE.replace(loss="decoupled"),
        "sigmoid, learnt": BASE.replace(loss="sigmoid", temperature=0.1, learn_temperature=True),
    }


def batch_steps() -> tuple[str, Settings]:
    """How many negatives, at equal steps? A batch of B has B - 1; larger batches see more text."""
    return "256", {str(b): BASE.replace(batch_size=b) for b in (2, 4, 16, 64, 256, 1024)}


def batch_compute() -> tuple[str, Settings]:
    """How many negatives, at equal pairs seen? A larger batch makes fewer steps, its learning rate
    scaled by the square root of its size."""
    return "256", {
        str(b): BASE.replace(
            batch_size=b,
            steps=BASE.batch_size * BASE.steps // b,
            learning_rate=BASE.learning_rate * math.sqrt(b / BASE.batch_size),
        )
        for b in (16, 64, 256, 1024)
    }


RATES = (0.003, 0.01, 0.03, 0.1)
SIZES = (256, 1024, 4096, 16_384)
MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


def queue() -> tuple[str, Settings]:
    """Past keys without a slow encoder: at which learning rate and queue size does it break?"""
    small = BASE.replace(batch_size=64, objective="queue")
    return "in-batch, 63, rate 0.01", {
        "in-batch, 63, rate 0.01": small.replace(objective="in_batch"),
        **{
            f"{size} keys, rate {rate}": small.replace(queue_size=size, learning_rate=rate)
            for size in SIZES
            for rate in RATES
        },
    }


def in_batch_rates() -> tuple[str, Settings]:
    """What the learning rate does without a queue: the control of `queue`."""
    small = BASE.replace(batch_size=64)
    return "rate 0.01", {f"rate {rate}": small.replace(learning_rate=rate) for rate in RATES}


def momentum() -> tuple[str, Settings]:
    """Which momentum for which queue?"""
    small = BASE.replace(batch_size=64, objective="moco")
    return "in-batch, 63", {
        "in-batch, 63": small.replace(objective="in_batch"),
        **{
            f"{size} keys, m {m}": small.replace(queue_size=size, momentum=m)
            for size in SIZES[:3]
            for m in MOMENTA
        },
    }


class SharedMatrix(nn.Module):
    """A bag, then one matrix that the vectors of all texts pass through; it starts as identity."""

    def __init__(self, config: TrainConfig, corpus: Corpus) -> None:
        super().__init__()
        self.bag = new_encoder(config.replace(normalise=False), corpus)
        self.matrix = nn.Parameter(torch.eye(config.dimension))
        self.dimension = config.dimension

    def forward(self, batch: TokenBatch) -> torch.Tensor:
        return F.normalize(self.bag(batch) @ self.matrix, dim=1)


def momentum_shared() -> tuple[str, Settings]:
    """Which momentum for which queue, once the encoder has a weight that all texts share? (Chapter
    07: a bag and a matrix; all words start with the same weight.)"""
    small = BASE.replace(batch_size=64, dimension=64, idf_weights=False)
    return "in-batch, 63", {
        "in-batch, 63": small,
        **{
            f"{size} keys, m {m}": small.replace(objective="moco", queue_size=size, momentum=m)
            for size in (64, *SIZES[:3])
            for m in MOMENTA
            if m != 0.5
        },
    }


def equal_time() -> tuple[str, Settings]:
    """In-batch against MoCo at equal negatives (K = 1,023), and at equal text or equal time: the
    larger batch makes fewer steps, its learning rate scaled as in `batch_compute`."""
    large = BASE.replace(batch_size=1024, learning_rate=2 * BASE.learning_rate)
    return "MoCo, m 0.9", {
        "MoCo, m 0.9": BASE.replace(objective="moco", momentum=0.9, queue_size=1023),
        "in-batch, 1024, 75 steps": large.replace(steps=75),
        "in-batch, 1024, 120 steps": large.replace(steps=120),
        "in-batch, 256 (fewer negatives)": BASE,
    }


def equal_negatives() -> tuple[str, Settings]:
    """In-batch against MoCo at equal negatives (the paper's table 6): K = 1,023 each."""
    queue = {"batch_size": 256, "queue_size": 1023}
    return "in-batch, 1024", {
        "in-batch, 1024": BASE.replace(batch_size=1024),
        "in-batch, 256 (fewer negatives)": BASE,
        "queue, no slow encoder": BASE.replace(objective="queue", **queue),
        "queue + batch, both sides learn (XBM)": BASE.replace(
            objective="queue", batch_negatives=True, key_gradient=True, **queue
        ),
        "MoCo, m 0.9": BASE.replace(objective="moco", momentum=0.9, **queue),
        "MoCo, m 0.99": BASE.replace(objective="moco", momentum=0.99, **queue),
        "MoCo, m 0.999": BASE.replace(objective="moco", momentum=0.999, **queue),
        "MoCo, m 0.99, slow one shipped": BASE.replace(
            objective="moco", momentum=0.99, ship_slow=True, **queue
        ),
    }


def data_size() -> tuple[str, Settings]:
    """How many documents to train on, at equal steps? Queries and search are over all of them."""
    return "100 %", dict.fromkeys(("10 %", "30 %", "100 %"), BASE)


SHARES = {"10 %": 0.1, "30 %": 0.3}


def documents(corpus: Corpus, share: float) -> Corpus:
    """A share of the documents, drawn without replacement: a smaller share is part of a larger."""
    order = np.random.default_rng(0).permutation(len(corpus))
    return corpus if share == 1 else corpus.take(order[: round(share * len(corpus))])


def placebo() -> tuple[str, Settings]:
    """What differs where nothing does? The base again and again, with other random numbers."""
    return "base", {
        "base": BASE,
        **{f"placebo {i}": BASE.replace(seed=1000 * i) for i in range(1, 9)},
    }


PARTS: dict[str, Callable[[], tuple[str, Settings]]] = {
    part.__name__: part
    for part in (augmentations, deletion, crops, overlap, temperature, losses, batch_steps,
                 batch_compute, queue, in_batch_rates, momentum, momentum_shared,
                 equal_negatives, equal_time,
                 data_size, placebo)
}  # fmt: skip
ENCODERS = {"momentum_shared": SharedMatrix}
SEEDS = {"augmentations": (0, 1, 2, 3, 4), "equal_negatives": (0, 1, 2, 3, 4)}


def make(name: str, data: str) -> None:
    """Run one sweep on one collection, and add it to its file."""
    file = SWEEPS / f"{name}.json"
    done = json.loads(file.read_text()) if file.exists() else {"results": {}}
    if data in done["results"]:
        return
    baseline, settings = PARTS[name]()
    corpus = read_corpus(data, BASE.vocab_size)
    seeds = SEEDS.get(name, (0, 1, 2))
    collection, trials = load_collection(data, SPLITS[data]), []
    for share in dict.fromkeys(SHARES.get(label, 1.0) for label in settings):
        group = {k: v for k, v in settings.items() if SHARES.get(k, 1.0) == share}
        part, encoder = documents(corpus, share), ENCODERS.get(name, new_encoder)
        trials += sweep(group, part, collection, seeds, VIEWS, encoder=encoder)
    base = BASE.to_dict()
    changes = {
        label: {k: v for k, v in config.to_dict().items() if v != base[k]}
        for label, config in settings.items()
    }
    for label in changes.keys() & VIEWS.keys():
        changes[label]["views"] = VIEWS[label].__name__
    for label in changes.keys() & SHARES.keys():
        changes[label]["share of documents"] = SHARES[label]
    found = {
        "sweep": name,
        "question": PARTS[name].__doc__,
        "command": f"python scripts/sweeps.py {name}",
        "splits": SPLITS,
        "seeds": seeds,
        "baseline": baseline,
        "settings": changes,
        "results": {**done["results"], data: record(trials, baseline)},
        **circumstances(BASE),
    }
    write_json(found, file, overwrite=True)
    for label, result in found["results"][data].items():
        print(f"{data:16} {label:40} {result['ndcg@10']['mean']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="*", metavar="SWEEP", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--data", choices=SPLITS, action="append")
    arguments = parser.parse_args()
    for name in arguments.part or PARTS:
        if name not in PARTS:
            parser.error(f"no sweep {name!r}; choose of {', '.join(PARTS)}")
        for data in arguments.data or SPLITS:
            make(name, data)


if __name__ == "__main__":
    main()
