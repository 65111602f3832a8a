"""A warm start: what is taken over, what is fresh, and that it helps on text it never saw."""

from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny
import torch

from contriever_lite.build import new_encoder
from contriever_lite.checkpoint import SHIPPED
from contriever_lite.corpus import build_corpus
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.retriever import Retriever
from contriever_lite.rng import torch_stream
from contriever_lite.runs import read_corpus, train_run
from contriever_lite.tokens import train_tokenizer
from contriever_lite.train import fit, train
from contriever_lite.warm_start import (
    MUTE,
    _on_words,
    load_start,
    new_transformer,
    stop_word_ids,
    warm_start,
    whitened,
)

SMALL = synthetic.SMALL


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of 32 dimensions trained on the synthetic world."""
    corpus = synthetic.corpus()
    folder = tmp_path_factory.mktemp("start") / "model"
    return Retriever(train(SMALL, corpus), corpus.tokenizer).save(folder)


def test_known_and_fresh_numbers_stand_side_by_side(known: Path) -> None:
    """v_t = (sqrt(share) known_t / mean_u |known_u|, sqrt(1 - share) fresh_t)"""
    corpus, config = synthetic.corpus(), SMALL.replace(start=str(known), dimension=96)
    encoder, old = warm_start(config, corpus), Retriever.load(known).encoder
    expected = old.vectors / old.vectors.norm(dim=1).mean()
    torch.testing.assert_close(encoder.vectors[:, :32], expected / 2**0.5)
    fresh = encoder.vectors[:, 32:]
    assert fresh.std().item() == pytest.approx(1 / 64**0.5 / 2**0.5, rel=0.05)
    assert torch.equal(fresh, warm_start(config, corpus).vectors[:, 32:])
    assert not torch.equal(fresh, warm_start(config.replace(seed=1), corpus).vectors[:, 32:])
    same = warm_start(config.replace(dimension=32), corpus)
    torch.testing.assert_close(same.vectors, expected)


def test_a_start_brings_its_share_and_its_axes_are_evened_out(known: Path) -> None:
    corpus, config = synthetic.corpus(), SMALL.replace(start=str(known), dimension=96)
    plain = warm_start(config, corpus).vectors
    other = warm_start(config.replace(start_share=0.8, start_whiten=0.5), corpus).vectors
    torch.testing.assert_close(other[:, 32:], plain[:, 32:] * (0.2 / 0.5) ** 0.5)
    assert other[:, :32].norm(dim=1).mean().item() == pytest.approx(0.8**0.5)
    vectors = Retriever.load(known).encoder.vectors.detach().double().numpy()
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    turned = vectors @ axes / values**0.25
    expected = torch.from_numpy(turned @ turned.T).float()
    found = other[:, :32] @ other[:, :32].T
    torch.testing.assert_close(found / found.norm(), expected / expected.norm())
    alone = warm_start(config.replace(dimension=32, start_share=0.8), corpus).vectors
    assert alone.norm(dim=1).mean().item() == pytest.approx(1), "no fresh numbers, no shares"


def test_whitening_evens_out_the_deviation_of_every_axis() -> None:
    x = torch.randn(400, 6, generator=torch_stream(0, "x")) * torch.tensor([9, 4, 3, 1, 0.5, 0.1])
    x += 2  # the covariance is about the mean, which stays
    white = whitened(x)
    torch.testing.assert_close(white.T.cov(), torch.eye(6), atol=1e-4, rtol=0)
    half = whitened(x, 0.5).T.cov()
    assert torch.all(half.diag()[:-1] > half.diag()[1:]), "largest first"
    torch.testing.assert_close(half.diag() ** 2, torch.linalg.eigvalsh(x.T.cov()).flip(0))
    turned = whitened(x, 0.0)
    torch.testing.assert_close(turned @ turned.T, x @ x.T, atol=1e-3, rtol=1e-4)


def test_an_axis_on_which_all_are_alike_stays() -> None:
    x = torch.randn(50, 3, generator=torch_stream(0, "x")) @ torch.diag(torch.tensor([2.0, 1, 0]))
    white = whitened(torch.cat([x, torch.ones(50, 1)], dim=1))
    assert white.isfinite().all()
    assert white.norm(dim=1).max() < 10


def test_the_weights_are_the_collections_own_idf(known: Path) -> None:
    config = SMALL.replace(start=str(known), dimension=32)
    warm, cold = (new_encoder(c, synthetic.corpus()) for c in (config, SMALL))
    assert torch.equal(warm.log_weights, cold.log_weights)


def test_it_knows_what_its_text_taught_before_the_first_step(known: Path) -> None:
    corpus = synthetic.corpus()
    warm = new_encoder(SMALL.replace(start=str(known), dimension=32), corpus)
    cold = new_encoder(SMALL, corpus)
    scores = [
        evaluate_model("bag", synthetic.hidden(), Retriever(e, corpus.tokenizer)).scores
        for e in (warm, cold)
    ]
    assert scores[0]["ndcg@10"].mean > scores[1]["ndcg@10"].mean + 0.3


def test_a_run_starts_from_a_model_by_its_folder(known: Path, tmp_path: Path) -> None:
    lines = [f'{{"text": "{text}"}}' for text in synthetic.world().texts()]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    config = SMALL.replace(start=str(known), dimension=48, epochs=1)
    retriever = train_run(config, tmp_path / "own.jsonl", tmp_path / "run")
    assert retriever.encoder.dimension == 48
    assert retriever.tokenizer.to_str() == Retriever.load(known).tokenizer.to_str()
    again = config.replace(start=str(tmp_path / "run"))
    assert load_start(again.start)[0].dimension == 48, "and the folder of a run will do"


def test_a_training_from_a_model_that_counts_words_once_reads_them_all(tmp_path: Path) -> None:
    texts = synthetic.world().texts()
    lines = [f'{{"text": "{text} {text}"}}' for text in texts]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    once = SMALL.replace(once=True, steps=2)
    first = train_run(once, tmp_path / "own.jsonl", tmp_path / "first")
    corpus = read_corpus(tmp_path / "own.jsonl", 0, str(tmp_path / "first"))
    assert corpus.lengths[0] == 2 * len(corpus.tokenizer.encode(texts[0]).ids)
    again = once.replace(start=str(tmp_path / "first"))
    second = train_run(again, tmp_path / "own.jsonl", tmp_path / "second")
    assert second.tokenizer.to_str() == first.tokenizer.to_str()
    assert Retriever.load(tmp_path / "first").tokenizer.to_str() == first.tokenizer.to_str()
    lost = build_corpus([("", text) for text in texts], first.tokenizer)
    with pytest.raises(ConfigError, match=r"each word of a text once, .* give the documents"):
        warm_start(again, lost)


def test_epochs_bound_the_steps() -> None:
    corpus = synthetic.corpus()
    batches = len(corpus) / SMALL.batch_size
    assert fit(SMALL.replace(epochs=2), corpus)[0].steps == round(2 * batches)
    assert fit(SMALL.replace(epochs=1000), corpus)[0].steps == SMALL.steps
    assert fit(SMALL.replace(epochs=0.01), corpus)[0].steps == 1
    config = fit(SMALL.replace(epochs=2), corpus)[0]
    assert fit(config, corpus)[0] == config


def test_stop_words_are_mute_and_stay_so() -> None:
    texts = ["what should I do about the tyre", "a tyre is a ring", "the ring of the wheel"] * 9
    tokenizer = train_tokenizer(texts, 200)
    corpus = build_corpus([("", text) for text in texts], tokenizer)
    config = SMALL.replace(stop_words="english", batch_size=4, steps=3)
    encoder = train(config, corpus)
    mute = stop_word_ids(tokenizer, "english")
    words = {tokenizer.id_to_token(number) for number in mute}
    assert {"what", "should", "i", "the"} <= words
    assert not {"tyre", "ring", "wheel"} & words
    assert (encoder.log_weights[mute] < MUTE + 1).all()
    retriever = Retriever(encoder, tokenizer)
    one, two = retriever.encode(["what should i do about the tyre", "tyre"])
    rest = retriever.encode(["tyre about"])[0] if "about" not in words else one
    assert abs(one @ two - rest @ two) < 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "nowhere"}, "start = 'nowhere': there is no such folder"),
        ({"dimension": 16}, "dimension = 16: .* has 32 already; give as many or more"),
    ],
)
def test_what_does_not_fit_is_refused(known: Path, changes: dict, message: str) -> None:
    config = SMALL.replace(**{"start": str(known), **changes})
    with pytest.raises(ConfigError, match=message):
        warm_start(config, synthetic.corpus())


def test_a_corpus_of_another_tokenizer_is_refused(known: Path) -> None:
    other = build_corpus([("", "some other text"), ("", "and more")], train_tokenizer(["abc"], 200))
    with pytest.raises(ConfigError, match="made by another tokenizer than start"):
        warm_start(SMALL.replace(start=str(known)), other)


def test_stop_words_of_other_languages() -> None:
    tokenizer = train_tokenizer(["les roues de la voiture, une roue"] * 9, 200)
    words = {tokenizer.id_to_token(number) for number in stop_word_ids(tokenizer, "french")}
    assert {"les", "la"} <= words
    assert not {"roue", "voiture"} & words


def test_a_language_without_a_list_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"stop_words = 'klingon': choose one of .*english"):
        stop_word_ids(synthetic.corpus().tokenizer, "klingon")


def test_the_model_that_ships_is_small_whole_and_useful() -> None:
    """16 MB at most; and without any training it finds more than an untrained bag could."""
    folder = SHIPPED / "wiki"
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 16_000_000
    encoder, tokenizer = load_start("wiki")
    assert (len(encoder.vectors), encoder.dimension) == (tokenizer.get_vocab_size(), 512)
    king, queen, tyre = Retriever(encoder, tokenizer).encode(["a king", "the queen", "a car tyre"])
    assert king @ queen > king @ tyre + 0.1
    corpus = read_corpus("wikipedia-vital", 0, "wiki")
    assert corpus.tokenizer.to_str() == tokenizer.to_str()


def test_words_of_a_transformer_stand_on_the_bags_axes_around_their_mean() -> None:
    tokenizer = synthetic.corpus().tokenizer
    bag = BagEncoder(tokenizer.get_vocab_size(), 8, generator=torch_stream(0, "test"))
    x = (bag.vectors - bag.vectors.mean(0)).detach()
    with torch.no_grad():
        bag.vectors += 3
    found = _on_words(bag, new_transformer(tiny.TINY, tokenizer)).model.get_input_embeddings()
    words = found.weight.detach()[:, :8]
    fresh = new_transformer(tiny.TINY, tokenizer).model.get_input_embeddings().weight
    assert words.std().item() == pytest.approx(fresh.std().item(), rel=1e-4)
    ratio = words.norm() / x.norm()
    torch.testing.assert_close(words @ words.T, ratio**2 * x @ x.T, rtol=1e-3, atol=1e-5)
    assert (words.square().sum(0).diff() < 0).all(), "the axis of most energy first"
