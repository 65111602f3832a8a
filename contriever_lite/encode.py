"""The vectors of all documents of a source, by any model: in memory, or block by block on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from contriever_lite.blocks import ENCODED, encode_blocks
from contriever_lite.collection import load_documents
from contriever_lite.corpus import Corpus
from contriever_lite.documents import SUFFIXES, stream_documents
from contriever_lite.encoded import Documents, EncodedCorpus, parts
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.hub import PREFIX
from contriever_lite.models import TextEncoder, load_model
from contriever_lite.retriever import Retriever


def encode_documents(
    model: str, data: str, score: str | None = None, device: str = "cpu"
) -> tuple[Sequence[str], np.ndarray]:
    """(N ids, (N, D) vectors). model, score, device: as models.load_model has them. data: a
    collection's name or BEIR folder, whose own ids are given; or a prepared corpus, files (a
    pattern), or a data set of the hub, whose documents are numbered from 1. DataError if there is
    no document, ConfigError if the model cannot read tokens."""
    encoder, documents = _open(model, data, score, device)
    everything = next(parts(documents, sys.maxsize), None)
    if everything is None:
        raise DataError(f"there are no documents in {data}")
    return everything.ids, everything.encode(encoder)


def encode_to_folder(
    model: str, data: str, folder: str | Path, score: str | None = None,
    block: int | None = None, resume: bool = False, device: str = "cpu",
) -> EncodedCorpus:  # fmt: skip
    """The same at constant memory, into a folder (blocks.encode_blocks) that is gone on with if it
    was cut off. Files are read as a stream; a collection stands in memory."""
    encoder, documents = _open(model, data, score, device)
    return encode_blocks(encoder, documents, folder, ENCODED if block is None else block, resume)


def _open(model: str, data: str, score: str | None, device: str) -> tuple[TextEncoder, Documents]:
    encoder = load_model(model, score, device=device)
    if (Path(data) / "manifest.json").is_file():
        if not isinstance(encoder, Retriever):
            raise ConfigError(f"{model} cannot read the tokens of {data}; give it the documents")
        return encoder, Corpus.open(data)
    if data.endswith(SUFFIXES) or data.startswith(PREFIX):
        stream = enumerate(stream_documents(data), 1)
        return encoder, ((str(n), f"{title} {text}".strip()) for n, (title, text) in stream)
    collection = load_documents(data)
    return encoder, zip(collection.document_ids(), collection.texts(), strict=True)
