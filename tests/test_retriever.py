"""Retrievers: the same vectors after saving, and in sentence-transformers after exporting."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.batch import TokenBatch
from contriever_lite.build import new_encoder
from contriever_lite.corpus import Corpus, build_corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import CheckpointError, DataError
from contriever_lite.models import load_model
from contriever_lite.retriever import Retriever, retriever_for
from contriever_lite.rng import torch_stream
from contriever_lite.sentence_encoder import SentenceEncoder
from contriever_lite.tokens import train_tokenizer

TEXTS = [*synthetic.world().texts()[:20], *synthetic.world().queries.values(), "", "xyz", "a b c"]


@lru_cache
def retriever() -> Retriever:
    corpus = synthetic.corpus()
    return Retriever(new_encoder(synthetic.SMALL, corpus), corpus.tokenizer)


def test_a_row_for_every_text_in_order() -> None:
    vectors = retriever().encode(TEXTS)
    assert vectors.shape == (len(TEXTS), synthetic.SMALL.dimension)
    assert vectors.dtype == np.float32
    alone = np.concatenate([retriever().encode([text]) for text in TEXTS])
    np.testing.assert_allclose(vectors, alone, atol=1e-6)
    np.testing.assert_array_equal(vectors, retriever().encode(tuple(TEXTS)))


@pytest.mark.parametrize("batch_size", [1, 7, len(TEXTS), 1000])
def test_the_size_of_batches_plays_no_part(batch_size: int) -> None:
    vectors = retriever().encode(TEXTS, batch_size)
    np.testing.assert_allclose(vectors, retriever().encode(TEXTS), atol=1e-6)


def test_a_corpus_is_encoded_from_its_tokens(tmp_path: Path) -> None:
    texts = [f"{d['title']} {d['text']}" for d in synthetic.world().corpus.values()]
    expected = retriever().encode(texts)
    np.testing.assert_allclose(retriever().encode_corpus(synthetic.corpus()), expected, atol=1e-6)
    corpus = Corpus.open(synthetic.corpus().save(tmp_path / "corpus"))
    opened = Retriever.load(retriever().save(tmp_path / "model"))
    np.testing.assert_allclose(opened.encode_corpus(corpus, 7), expected, atol=1e-6)


def test_a_corpus_of_another_tokenizer_is_refused() -> None:
    other = build_corpus([("a", "b")], train_tokenizer(TEXTS, 300))
    with pytest.raises(DataError, match=r"another tokenizer .* prepare --tokenizer RUN/model"):
        retriever().encode_corpus(other)
    once = synthetic.SMALL.replace(once=True)
    with pytest.raises(DataError, match="another tokenizer"):
        retriever_for(retriever().encoder, retriever().tokenizer, once).encode_corpus(
            synthetic.corpus()
        )


@pytest.mark.parametrize("training", [True, False])
def test_the_encoder_is_left_in_the_mode_it_was_in(training: bool) -> None:
    class Watched(BagEncoder):
        def forward(self, batch: TokenBatch) -> torch.Tensor:
            modes.append(self.training)
            if fail:
                raise RuntimeError
            return super().forward(batch)

    modes, fail, tokenizer = [], False, synthetic.corpus().tokenizer
    encoder = Watched(tokenizer.get_vocab_size(), 4, generator=torch_stream(0, "test"))
    watched = Retriever(encoder.train(training), tokenizer)
    watched.encode(TEXTS)
    assert (encoder.training, modes) == (training, [False])
    fail = True
    with pytest.raises(RuntimeError):
        watched.encode(TEXTS)
    assert encoder.training == training


def test_an_empty_text_and_no_text_at_all() -> None:
    assert retriever().encode([]).shape == (0, synthetic.SMALL.dimension)
    assert (retriever().encode(["", " \n"]) == 0).all()


def test_saved_and_loaded_vectors_are_identical(tmp_path: Path) -> None:
    folder = retriever().save(tmp_path / "run" / "model")
    for place in (folder, str(folder), folder.parent):
        np.testing.assert_array_equal(
            Retriever.load(place).encode(TEXTS), retriever().encode(TEXTS)
        )
    with pytest.raises(DataError, match="exists already"):
        retriever().save(folder)
    with pytest.raises(CheckpointError, match=r"there is no folder .*nowhere; give one that"):
        Retriever.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="is not a model folder"):
        Retriever.load(tmp_path / "empty")


def test_a_run_that_counts_words_once_reads_texts_so() -> None:
    encoder, tokenizer = retriever().encoder, retriever().tokenizer
    plain = retriever_for(encoder, tokenizer, synthetic.SMALL)
    once = retriever_for(encoder, tokenizer, synthetic.SMALL.replace(once=True))
    twice, single = "nusa bome nusa", "bome nusa"
    np.testing.assert_array_equal(once.encode([twice]), plain.encode([single]))
    assert not np.allclose(plain.encode([twice]), plain.encode([single]))


@pytest.mark.parametrize("once", [False, True])
def test_an_export_encodes_to_the_same_vectors_in_sentence_transformers(
    once: bool, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    config = synthetic.SMALL.replace(once=once)
    own = retriever_for(retriever().encoder, retriever().tokenizer, config)
    folder = own.export(tmp_path / "exported")
    expected = own.encode(TEXTS)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(theirs, expected, atol=1e-6)
    ours = load_model(str(folder))
    assert isinstance(ours, SentenceEncoder)
    assert ours.cosine
    np.testing.assert_allclose(ours.encode(TEXTS), expected, atol=1e-6)
    with pytest.raises(DataError, match="exists already"):
        own.export(folder)


def test_a_bag_that_does_not_normalise_cannot_be_exported(tmp_path: Path) -> None:
    tokenizer = synthetic.corpus().tokenizer
    size, generator = tokenizer.get_vocab_size(), torch_stream(0, "test")
    plain = Retriever(BagEncoder(size, 4, normalise=False, generator=generator), tokenizer)
    with pytest.raises(CheckpointError, match="train with normalise=true to export"):
        plain.export(tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []
    loaded = Retriever.load(plain.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.encode(TEXTS), plain.encode(TEXTS))
