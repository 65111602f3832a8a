"""Make data/runs/sweeps/transformer.json again: chapter 08's bag and small transformers, compared.

    python scripts/sweep_transformer.py                what is not there yet, each with three seeds
    python scripts/sweep_transformer.py "bag, same steps" ...

Trained on all leads of wikipedia-vital. To encode them all costs a transformer more than its
training here, so that every fifth lead is searched, with the development queries that ask for them.
A setting that is in the file is kept; the baseline is trained again each time, to compare with.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import nn

from contriever_lite.build import new_encoder
from contriever_lite.circumstances import circumstances
from contriever_lite.collection import Collection, load_collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.files import write_json
from contriever_lite.retriever import Retriever
from contriever_lite.runs import read_corpus
from contriever_lite.sweep import record, sweep
from contriever_lite.train import train
from contriever_lite.transformer import FirstToken

FILE = Path(__file__).resolve().parents[1] / "data" / "runs" / "sweeps" / "transformer.json"
DATA, EVERY, SEEDS = "wikipedia-vital", 5, (0, 1, 2)
VIEWS = {"query_tokens": (5, 24), "key_crop": (0.1, 0.5), "batch_size": 128, "steps": 100}
BAG = TrainConfig(vocab_size=16_000, dimension=128, learning_rate=1e-2, **VIEWS)
BASE = TrainConfig(
    encoder="transformer", vocab_size=16_000, dimension=128, layers=2, heads=4, dropout=0.0,
    learning_rate=2e-3, weight_decay=0.01, clip=1.0, **VIEWS,
)  # fmt: skip
MLM = {"objective": "mlm", "batch_size": 64, "steps": 100, "learning_rate": 2e-3}
BASELINE = "bag, same steps"


def shelf(collection: Collection, every: int = EVERY) -> Collection:
    """Every so manieth document, and the queries that ask for them."""
    corpus = dict(list(collection.corpus.items())[::every])
    qrels = {id_: found for id_, found in collection.qrels.items() if found.keys() & corpus.keys()}
    queries = {id_: collection.queries[id_] for id_ in qrels}
    return dataclasses.replace(collection, corpus=corpus, queries=queries, qrels=qrels)


def on_words(config: TrainConfig, corpus: Corpus) -> nn.Module:
    """A transformer whose word vectors are those of a bag, trained first, of the same seed."""
    bag = train(BAG.replace(seed=config.seed, steps=3 * BAG.steps), corpus)
    with tempfile.TemporaryDirectory() as folder:
        Retriever(bag, corpus.tokenizer).save(Path(folder) / "bag")
        return new_encoder(config.replace(start=str(Path(folder) / "bag")), corpus)


def after_mlm(config: TrainConfig, corpus: Corpus) -> nn.Module:
    """The same, then masked language modelling on whole leads of at most 64 tokens."""
    encoder = on_words(config, corpus)
    guess = config.replace(**MLM, window=64, key_crop=(1.0, 1.0), key_delete=0.0)
    return train(guess, corpus, encoder=encoder)


def first_token(config: TrainConfig, corpus: Corpus) -> nn.Module:
    """The transformer of `on_words`, pooled by [CLS]."""
    encoder = on_words(config, corpus)
    return FirstToken(encoder.model, encoder.reading)


NewEncoder = Callable[[TrainConfig, Corpus], nn.Module]
SETTINGS: dict[str, tuple[TrainConfig, NewEncoder]] = {
    "bag, 0 steps": (BAG.replace(steps=0), new_encoder),
    "bag, third of the steps": (BAG.replace(steps=BAG.steps // 3), new_encoder),
    BASELINE: (BAG, new_encoder),
    "bag, 3 times the steps": (BAG.replace(steps=3 * BAG.steps), new_encoder),
    "bag, 25 times the steps": (BAG.replace(steps=25 * BAG.steps), new_encoder),
    "transformer, random": (BASE, new_encoder),
    "transformer on words, 0 steps": (BASE.replace(steps=0), on_words),
    "transformer on words, third of the steps": (BASE.replace(steps=BASE.steps // 3), on_words),
    "transformer on words": (BASE, on_words),
    "transformer on words, 3 times the steps": (BASE.replace(steps=3 * BASE.steps), on_words),
    "transformer on words, MLM": (BASE, after_mlm),
    "transformer on words, [CLS]": (BASE, first_token),
    "transformer on words, dot": (BASE.replace(normalise=False), on_words),
}


def main() -> None:
    done = json.loads(FILE.read_text())["results"][DATA] if FILE.exists() else {}
    names = [name for name in sys.argv[1:] or SETTINGS if name not in done]
    if unknown := [name for name in names if name not in SETTINGS]:
        sys.exit(f"no setting {unknown[0]!r}; choose of {', '.join(SETTINGS)}")
    corpus, collection = read_corpus(DATA, BASE.vocab_size), shelf(load_collection(DATA, "dev"))
    config, encoder = SETTINGS[BASELINE]
    base = sweep({BASELINE: config}, corpus, collection, SEEDS, encoder=encoder)
    for name in names:
        config, encoder = SETTINGS[name]
        own = sweep({name: config}, corpus, collection, SEEDS, encoder=encoder)
        done[name] = record(base if name == BASELINE else [*base, *own], BASELINE)[name]
        write(done, collection)
        print(f"{name:45} {done[name]['ndcg@10']['mean']:.3f} {done[name]['seconds']:.0f} s")


def write(done: dict[str, dict], collection: Collection) -> None:
    """The file, with the settings in the order of SETTINGS."""
    base = BASE.to_dict()
    found = {
        "sweep": "transformer",
        "question": "What does context buy, and what does it cost, at this size?",
        "command": "python scripts/sweep_transformer.py",
        "splits": {DATA: "dev"},
        "searched": {"documents": len(collection.corpus), "queries": len(collection.queries)},
        "seeds": SEEDS,
        "baseline": BASELINE,
        "settings": {
            name: {
                **{k: v for k, v in SETTINGS[name][0].to_dict().items() if v != base[k]},
                "encoder from": SETTINGS[name][1].__name__,
            }
            for name in SETTINGS
            if name in done
        },
        "results": {DATA: {name: done[name] for name in SETTINGS if name in done}},
        **circumstances(BASE),
    }
    write_json(found, FILE, overwrite=True)


if __name__ == "__main__":
    main()
