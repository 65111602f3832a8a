"""What each command of the command line does, given its parsed arguments."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contriever_lite.errors import ConfigError
from contriever_lite.options import refuse

if TYPE_CHECKING:
    from contriever_lite.models import TextEncoder

CPU = "cpu"


def demo(arguments: Namespace) -> None:
    """Train, compare with BM25, show examples."""
    from contriever_lite.demo import demo

    demo(arguments.out, arguments.json)


def data(arguments: Namespace) -> None:
    """list, get, info or check."""
    from contriever_lite import registry
    from contriever_lite.check import check

    action, name = arguments.action, arguments.name
    if action == "list":
        print(registry.overview())
    elif not name:
        what = "folder" if action == "check" else "collection"
        raise ConfigError(f"data {action} needs the name of a {what}; `data list` shows all names")
    elif action == "get":
        print(registry.get(name))
    elif action == "info":
        print(registry.info(name))
    else:
        print(check(registry.get(name) if name in registry.REGISTRY else name))


def encode(arguments: Namespace) -> None:
    """Write the vectors of a source's documents, with their ids: a file, or a folder in blocks."""
    from contriever_lite.encode import encode_documents, encode_to_folder
    from contriever_lite.files import new_file

    a, device = arguments, arguments.device or CPU
    if a.model == "bm25":
        raise ConfigError("bm25 scores words and makes no vectors: name a run or an encoder")
    if a.block is not None or a.resume:
        made = encode_to_folder(a.model, a.data, a.out, a.score, a.block, a.resume, device)
        print(f"{made.folder}: {made.documents:,} vectors of {made.dimension} dimensions")
        return
    path = Path(a.out.removesuffix(".npz") + ".npz")
    with new_file(path) as work:
        ids, vectors = encode_documents(a.model, a.data, a.score, device)
        np.savez(work, ids=np.array(ids), vectors=vectors)
    print(f"{path}: {len(vectors):,} vectors of {vectors.shape[1]} dimensions")


def open_encoder(arguments: Namespace, force: bool = False) -> TextEncoder | None:
    """What --model, --score and --device name; None for bm25, which makes no vectors."""
    from contriever_lite.models import load_model

    a = arguments
    if a.model == "bm25":
        refuse(a, "bm25 scores words and makes no vectors", "--score", "--device")
        return None
    return load_model(a.model, a.score, force, device=a.device or CPU)


def search(arguments: Namespace) -> None:
    """Print the best documents for one query."""
    from contriever_lite.collection import load_documents
    from contriever_lite.encoded import EncodedCorpus
    from contriever_lite.evaluate import retrieve
    from contriever_lite.metrics import ranking

    a = arguments
    if a.query != a.query.encode("utf-8", "replace").decode("utf-8"):
        raise ConfigError(f"the query {a.query!r} is not UTF-8; type it again, or set LANG")
    collection, encoder = load_documents(a.data), open_encoder(a)
    encoded = EncodedCorpus.open(a.vectors) if a.vectors else None
    run = retrieve(a.model, collection, {"query": a.query}, a.k, encoder, encoded)
    scores = run["query"]
    for place, document in enumerate(ranking(scores), 1):
        text = collection.corpus[document]
        title = text["title"] or document
        print(f"{place:3}  {scores[document]:.3f}  {title}: {text['text'][:90]}")
    if not scores:
        print("No document shares a word with this query.")


def export(arguments: Namespace) -> None:
    """Write a folder that SentenceTransformer loads."""
    from contriever_lite.retriever import Retriever

    print(Retriever.load(arguments.model).export(arguments.out))
