"""The vectors of all documents of a source, by any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contriever_lite.collection import load_collection
from contriever_lite.corpus import Corpus
from contriever_lite.documents import SUFFIXES, stream_documents
from contriever_lite.errors import ConfigError
from contriever_lite.hub import PREFIX
from contriever_lite.models import load_model
from contriever_lite.retriever import Retriever


def encode_documents(
    model: str, data: str, score: str | None = None
) -> tuple[Sequence[str], np.ndarray]:
    """(N ids, (N, D) vectors). model, score: as models.load_model has them. data: a collection's
    name or BEIR folder, whose own ids are given; or a prepared corpus, files (a pattern), or a data
    set of the hub, whose documents are numbered from 1. ConfigError if the model cannot read
    tokens."""
    encoder = load_model(model, score)
    if (Path(data) / "manifest.json").is_file():
        if not isinstance(encoder, Retriever):
            raise ConfigError(f"{model} cannot read the tokens of {data}; give it the documents")
        vectors = encoder.encode_corpus(Corpus.open(data))
    elif data.endswith(SUFFIXES) or data.startswith(PREFIX):
        vectors = encoder.encode(
            [f"{title} {text}".strip() for title, text in stream_documents(data)]
        )
    else:
        collection = load_collection(data)
        return collection.document_ids(), encoder.encode(collection.texts())
    return [str(number) for number in range(1, len(vectors) + 1)], vectors
