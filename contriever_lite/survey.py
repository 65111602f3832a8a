"""One model on many collections: on every local one, and on CQADupStack's forums as one."""

from __future__ import annotations

from collections.abc import Iterator

from tqdm import tqdm

from contriever_lite.collection import Collection, load_collection
from contriever_lite.encoded import EncodedCorpus
from contriever_lite.errors import ConfigError
from contriever_lite.evaluate import Evaluation, evaluate_model
from contriever_lite.models import TextEncoder
from contriever_lite.registry import REGISTRY, locate
from contriever_lite.significance import macro_interval
from contriever_lite.wikipedia import NAMES

AVERAGED = "cqadupstack"
ALL = "all"
FORUMS = tuple(name for name in REGISTRY if name.startswith(f"{AVERAGED}/"))


def local_collections() -> list[str]:
    """Names of the collections whose files are on this machine, and wikipedia-vital. The miniature
    one is not among them, nor are the variants of wikipedia-vital."""
    apart = {*NAMES, *FORUMS, "tiny"}
    there = [name for name in REGISTRY if name not in apart and locate(name)]
    return ["wikipedia-vital", *there, *([AVERAGED] if all(map(locate, FORUMS)) else [])]


def survey(
    model: str, names: list[str], encoder: TextEncoder | None = None
) -> Iterator[Evaluation]:
    """A model on one collection after another, each on its own default split, with a bar."""
    bar = tqdm(names, "collections", unit=" collections", leave=False)
    for name in bar:
        bar.set_postfix_str(name)
        yield evaluate_named(model, name, encoder=encoder)


def evaluate_named(
    model: str,
    name: str,
    split: str | None = None,
    encoder: TextEncoder | None = None,
    titles: bool = True,
    encoded: EncodedCorpus | None = None,
) -> Evaluation:
    """A model on the collection of a name or folder; cqadupstack is the average of its forums.
    titles=False leaves the documents' titles out; encoded: their vectors (evaluate.retrieve).
    Raises ConfigError for the vectors of an average."""

    def one(part: str) -> Evaluation:
        collection = load_collection(part, split)
        searched = collection if titles else collection.without_titles()
        return evaluate_model(model, searched, encoder, encoded)

    if name == AVERAGED and encoded is not None:
        raise ConfigError(f"--vectors are of one collection: name a forum, as {FORUMS[0]}")
    if name == AVERAGED:
        return average(
            name, [one(forum) for forum in tqdm(FORUMS, name, unit=" forums", leave=False)]
        )
    return one(name)


def average(name: str, parts: list[Evaluation]) -> Evaluation:
    """Several collections as one: each score is the mean of the collections' means
    (significance.macro_interval); ids get their collection's name in front. Raises ConfigError
    unless all are of one model and split."""
    if len({(part.model, part.collection.split) for part in parts}) != 1:
        raise ConfigError(f"{name}: give evaluations of one model on one split, and at least one")
    corpus, queries, qrels, run, per_query = {}, {}, {}, {}, {}
    for part in parts:
        own = part.collection
        prefix = own.name.removeprefix(f"{name}/") + "/"
        corpus |= {prefix + id_: document for id_, document in own.corpus.items()}
        queries |= {prefix + id_: text for id_, text in own.queries.items()}
        for whole, each in ((qrels, own.qrels), (run, part.run)):
            for query, values in each.items():
                whole[prefix + query] = {prefix + id_: value for id_, value in values.items()}
        for measure, values in part.per_query.items():
            named = {prefix + query: value for query, value in values.items()}
            per_query.setdefault(measure, {}).update(named)
    scores = {m: macro_interval([part.per_query[m] for part in parts]) for m in per_query}
    name += parts[0].collection.name.partition(",")[1] and ", no titles"
    whole = Collection(name, parts[0].collection.split, corpus, queries, qrels)
    notes = tuple(f"{p.collection.name}: {note}" for p in parts for note in p.notes)
    seconds = sum(part.seconds for part in parts)
    return Evaluation(parts[0].model, whole, run, seconds, per_query, scores, notes)
