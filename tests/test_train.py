"""Training: it learns what it should, the same each time, and says where it cannot go on."""

import json
import math
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
import toy
from torch import nn

from contriever_lite.batch import batch_of_step
from contriever_lite.build import new_criterion, new_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, build_corpus, ragged
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError, TrainingError
from contriever_lite.evaluate import evaluate_model
from contriever_lite.loss import equation_1, info_nce
from contriever_lite.retriever import Retriever
from contriever_lite.rng import torch_stream
from contriever_lite.table_adam import TableAdam
from contriever_lite.train import (
    MEASURE_EVERY,
    fit,
    learning_rate,
    train,
)

SMALL = synthetic.SMALL
SHORT = SMALL.replace(steps=4)


def read(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def found(encoder: BagEncoder) -> float:
    """nDCG@10 of queries that share no word with any document."""
    retriever = Retriever(encoder, synthetic.corpus().tokenizer)
    return evaluate_model("bag", synthetic.hidden(), retriever).scores["ndcg@10"].mean


@lru_cache
def untrained() -> float:
    return found(new_encoder(SMALL, synthetic.corpus()))


def test_training_lowers_the_loss_and_finds_what_no_word_links(tmp_path: Path) -> None:
    """Query and document share no word, so an untrained encoder finds it by chance and BM25 never.
    They keep the same company in other documents, which is all that the objective can learn from.
    """
    encoder = train(SMALL, synthetic.corpus(), tmp_path / "log.jsonl")
    losses = [line["loss"] for line in read(tmp_path / "log.jsonl")]
    assert losses[0] == pytest.approx(math.log(SMALL.batch_size), abs=1)
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    lexical = evaluate_model("bm25", synthetic.hidden()).scores["ndcg@10"].mean
    assert lexical == 0
    assert untrained() < 0.3
    assert found(encoder) > 0.8


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "equation_1", "temperature": 1.0},
        {"symmetric": True, "query_views": 3},
        {"title_pairs": 0.5},
        {"idf_weights": False},
        {"loss": "decoupled"},
        {"loss": "sigmoid", "learn_temperature": True, "bias": -4.0},
        {"learn_temperature": True},
        {"skip_same_text": True},
        {"objective": "queue", "queue_size": 64},
        {"objective": "queue", "queue_size": 64, "batch_negatives": True, "key_gradient": True},
        {"objective": "moco", "queue_size": 64, "momentum": 0.9},
        {"objective": "moco", "queue_size": 64, "momentum": 0.9, "batch_negatives": True},
        {"objective": "moco", "queue_size": 64, "momentum": 0.5, "ship_slow": True},
        {"objective": "moco", "queue_size": 64, "momentum": 0.5, "momentum_schedule": "cosine"},
        {"objective": "moco", "queue_size": 64, "momentum": 0.9, "queue_noise": True},
    ],
    ids=lambda settings: " ".join(f"{name}={value}" for name, value in settings.items()),
)
def test_every_variant_learns(settings: dict) -> None:
    assert found(train(SMALL.replace(steps=20, **settings), synthetic.corpus())) > untrained() + 0.2


@pytest.mark.parametrize("settings", [{}, {"objective": "moco", "queue_size": 50}])
def test_cached_gradients_give_the_run_of_the_whole_batch(settings: dict) -> None:
    """No query of one token: its weight's gradient is 0, and Adam would follow the rounding."""
    config = SHORT.replace(query_tokens=(4, 6), query_delete=0, **settings)
    whole = train(config, synthetic.corpus())
    parts = train(config.replace(micro_batch=9), synthetic.corpus())
    assert isinstance(parts, BagEncoder), "unwrapped again"
    for name, expected in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], expected, rtol=1e-3, atol=1e-4)


def scattered(corpus, indices, rng, config) -> tuple:
    """Pairs of one's own: three tokens of a document from anywhere in it, and twelve."""
    rows = list(corpus.documents(indices).rows())
    return ragged([rng.choice(row, 3) for row in rows]), ragged([rng.choice(r, 12) for r in rows])


def test_views_of_ones_own_take_their_place() -> None:
    seen = []

    def watched(*arguments) -> tuple:
        seen.append(len(arguments[1]))
        return scattered(*arguments)

    assert found(train(SMALL, synthetic.corpus(), views=watched)) > untrained() + 0.2
    assert seen == [SMALL.batch_size] * SMALL.steps


def test_a_warm_start_trains_the_encoder_it_is_given() -> None:
    first = train(SHORT, synthetic.corpus())
    start = first.vectors.detach().clone()
    second = train(SHORT.replace(steps=2), synthetic.corpus(), encoder=first)
    assert second is first
    assert not torch.equal(second.vectors, start)
    still = train(SHORT.replace(steps=0), synthetic.corpus(), encoder=first)
    assert torch.equal(still.vectors, second.vectors), "not begun anew"


def test_the_slow_encoder_is_shipped_where_that_is_asked() -> None:
    config = SHORT.replace(objective="moco", momentum=1.0, queue_size=40)
    fast = train(config, synthetic.corpus())
    slow = train(config.replace(ship_slow=True), synthetic.corpus())
    start = new_encoder(config, synthetic.corpus())
    assert torch.equal(slow.vectors, start.vectors), "momentum 1: it never moved"
    assert not torch.equal(fast.vectors, start.vectors)


def dropping(seed: int = 0) -> toy.Dropping:
    """An encoder with dropout, as wide as the synthetic vocabulary."""
    encoder = toy.Dropping(seed)
    size = synthetic.corpus().tokenizer.get_vocab_size()
    encoder.table = nn.Parameter(torch.randn(size, 8, generator=torch_stream(seed, "wide")))
    return encoder


@pytest.mark.parametrize("settings", [{}, {"objective": "moco", "queue_size": 50}])
def test_dropout_is_a_function_of_seed_and_step(settings: dict) -> None:
    """Neither evaluation nor a global generator has a say, so that a resumed run is the same."""
    config = SHORT.replace(**settings)
    modes = []

    def evaluate(encoder: nn.Module, step: int) -> dict[str, float]:
        modes.append(encoder.training)
        encoder.eval()
        torch.rand(7)
        return {}

    plain = train(config, synthetic.corpus(), encoder=dropping())
    before = torch.get_rng_state()
    with torch.random.fork_rng():
        torch.manual_seed(77)
        watched = train(
            config, synthetic.corpus(), evaluate=evaluate, evaluate_every=1, encoder=dropping()
        )
    other = train(config.replace(seed=1), synthetic.corpus(), encoder=dropping())
    assert torch.equal(plain.table, watched.table)
    assert not torch.equal(plain.table, other.table)
    assert modes == [False] * 5, "evaluated without dropout"
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_equals_the_loop_written_out() -> None:
    """Views of the step, loss, gradient, learning rate of the step, update: nothing else."""
    config, corpus = SHORT, synthetic.corpus()
    encoder = new_encoder(config, corpus)
    optimizer = TableAdam(encoder.parameters(), betas=config.betas)
    for step in range(config.steps):
        pairs = batch_of_step(corpus, np.arange(len(corpus)), config, step)
        optimizer.zero_grad()
        q, k = encoder(pairs.query), encoder(pairs.key)
        info_nce(q, k, temperature=config.temperature).backward()
        optimizer.param_groups[0]["lr"] = learning_rate(config, step)
        optimizer.step()
    found = train(config, corpus)
    for name, expected in encoder.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], expected)


def test_equation_1_stays_in_its_range(tmp_path: Path) -> None:
    config = SMALL.replace(loss="equation_1", temperature=1.0, steps=20)
    train(config, synthetic.corpus(), tmp_path / "log.jsonl")
    losses = [line["loss"] for line in read(tmp_path / "log.jsonl")]
    assert all(-1 <= loss <= 0 for loss in losses)
    assert losses[-1] < losses[0]


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    states = [
        train(SHORT.replace(seed=seed), synthetic.corpus()).state_dict() for seed in (3, 3, 4)
    ]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name])
        assert not torch.equal(tensor, states[2][name])


def test_a_run_depends_on_no_global_generator_and_touches_none() -> None:
    one = train(SHORT, synthetic.corpus()).state_dict()
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    other = train(SHORT, synthetic.corpus()).state_dict()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert random.getstate() == before[0]
    for now, then in zip(np.random.get_state(), before[1], strict=True):  # noqa: NPY002
        assert np.array_equal(now, then)
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_log_has_a_complete_line_for_every_step(tmp_path: Path) -> None:
    config = SHORT.replace(steps=MEASURE_EVERY + 2)
    train(config, synthetic.corpus(), tmp_path / "log.jsonl")
    lines = read(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == list(range(1, config.steps + 1))
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    for step, line in enumerate(lines):
        measured = {"accuracy", "mean_rank", "deviation"} if step % MEASURE_EVERY == 0 else set()
        always = {"step", "seconds", "loss", "learning_rate", "pairs_per_second"}
        assert set(line) == always | measured
        assert line["pairs_per_second"] > 0
        assert line["learning_rate"] == pytest.approx(learning_rate(config, step))
        assert 0 <= line.get("accuracy", 0) <= 1
    first = new_criterion(SHORT)(*vectors_of_step(new_encoder(SHORT, synthetic.corpus()), 0))
    assert lines[0]["loss"] == pytest.approx(first.item(), rel=1e-5)


def vectors_of_step(encoder: BagEncoder, step: int) -> list[torch.Tensor]:
    corpus = synthetic.corpus()
    pairs = batch_of_step(corpus, np.arange(len(corpus)), SHORT, step)
    return [encoder(pairs.query), encoder(pairs.key)]


def test_a_log_that_is_there_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 0, "mine": true}\n')
    train(SHORT, synthetic.corpus(), log)
    assert [line["step"] for line in read(log)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [(4, 0, [0, 4]), (4, 2, [0, 2, 4]), (5, 2, [0, 2, 4, 5]), (3, 1, [0, 1, 2, 3]), (0, 5, [0])],
)
def test_evaluation_is_called_when_promised_and_joins_the_log(
    tmp_path: Path, steps: int, every: int, expected: list[int]
) -> None:
    calls, weights = [], []

    def evaluate(encoder: BagEncoder, step: int) -> dict[str, float]:
        calls.append(step)
        weights.append(encoder.vectors.detach().clone())
        return {"dev": step / 2}

    config = SHORT.replace(steps=steps)
    encoder = train(config, synthetic.corpus(), tmp_path / "log.jsonl", evaluate, every)
    assert calls == expected
    scored = {line["step"]: line["dev"] for line in read(tmp_path / "log.jsonl") if "dev" in line}
    assert scored == {step: step / 2 for step in expected}
    assert torch.equal(weights[0], new_encoder(config, synthetic.corpus()).vectors)
    assert torch.equal(weights[-1], encoder.vectors)


def test_evaluation_changes_nothing() -> None:
    def evaluate(encoder: BagEncoder, step: int) -> dict[str, float]:
        return {"ndcg": found(encoder)}

    plain = train(SHORT, synthetic.corpus())
    watched = train(SHORT, synthetic.corpus(), evaluate=evaluate, evaluate_every=1)
    assert torch.equal(plain.vectors, watched.vectors)


def test_no_step_gives_the_encoder_of_the_start() -> None:
    encoder = train(SHORT.replace(steps=0), synthetic.corpus())
    start = new_encoder(SHORT, synthetic.corpus())
    assert all(torch.equal(t, encoder.state_dict()[n]) for n, t in start.state_dict().items())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path: Path) -> None:
    config = SHORT.replace(normalise=False, learning_rate=1e30, steps=50, warmup=0)
    with pytest.raises(TrainingError, match=r"the loss is \S+ at step \d+; lower") as error:
        train(config, synthetic.corpus(), tmp_path / "log.jsonl")
    lines = read(tmp_path / "log.jsonl")
    assert f"at step {len(lines) + 1};" in str(error.value), "the steps before it are in the log"
    assert all(math.isfinite(line["loss"]) for line in lines)
    assert "learning_rate" in str(error.value)


def corpus_of(*texts: str) -> Corpus:
    return build_corpus([("", text) for text in texts], synthetic.corpus().tokenizer)


def test_a_batch_is_never_larger_than_the_documents_that_serve() -> None:
    some = [document["text"] for document in synthetic.world().corpus.values()][:10]
    corpus = corpus_of("", *some, "a", "")
    config, usable = fit(TrainConfig(batch_size=4096), corpus)
    assert config.batch_size == 10
    assert usable.tolist() == list(range(1, 11)), "documents of two tokens or more"
    assert config == TrainConfig(batch_size=10)
    encoder = train(SMALL.replace(batch_size=4096, steps=3), corpus)
    assert encoder.vectors.isfinite().all()
    assert fit(SMALL, synthetic.corpus())[0] == SMALL


@pytest.mark.parametrize("texts", [("",), ("a", "b", "c"), ("a word", "b", "")])
def test_a_corpus_that_is_too_small_is_refused(texts: tuple[str, ...]) -> None:
    corpus = corpus_of(*texts)
    many = int((corpus.lengths >= 2).sum())
    with pytest.raises(ConfigError, match=f"{many} of {len(texts)} documents have two tokens"):
        train(SMALL, corpus)


@pytest.mark.parametrize(
    ("warmup", "steps"), [(0.0, 7), (0.1, 100), (0.25, 10), (1.0, 8), (0.5, 1)]
)
@pytest.mark.parametrize("rate", ["cosine", "linear"])
def test_the_schedule_equals_its_formula(warmup: float, steps: int, rate: str) -> None:
    config = TrainConfig(warmup=warmup, steps=steps, learning_rate=0.3, rate=rate)
    rates = [learning_rate(config, step) for step in range(steps)]
    w = math.ceil(warmup * steps)
    for step, found in enumerate(rates):
        if step < w:
            expected = 0.3 * (step + 1) / w
        elif rate == "linear":
            expected = 0.3 * (steps - step) / (steps - w)
        else:
            expected = 0.3 * (1 + math.cos(math.pi * (step - w) / (steps - w))) / 2
        assert found == pytest.approx(expected)
    assert max(rates) == pytest.approx(0.3), "the peak is reached"
    assert min(rates) > 0, "no step is wasted"
    peak = int(np.argmax(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_schedule_at_its_ends() -> None:
    config = TrainConfig(warmup=0.1, steps=1000, learning_rate=1.0)
    assert learning_rate(config, 0) == pytest.approx(0.01)
    assert learning_rate(config, 99) == 1
    assert learning_rate(config, 100) == 1
    assert learning_rate(config, 550) == pytest.approx(0.5)
    assert learning_rate(config, 999) < 1e-5


def test_the_encoder_starts_from_the_seed_and_the_documents() -> None:
    corpus = synthetic.corpus()
    encoder = new_encoder(SMALL, corpus)
    assert encoder.vectors.shape == (corpus.tokenizer.get_vocab_size(), SMALL.dimension)
    frequency = torch.from_numpy(corpus.document_frequency())
    idf = torch.log(1 + (len(corpus) - frequency + 0.5) / (frequency + 0.5))
    torch.testing.assert_close(encoder.log_weights.exp()[:, 0], idf.float())
    flat = new_encoder(SMALL.replace(idf_weights=False, normalise=False), corpus)
    assert flat.log_weights.eq(0).all()
    assert not flat.normalise
    assert torch.equal(flat.vectors, encoder.vectors), "the same draw"
    assert not torch.equal(new_encoder(SMALL.replace(seed=1), corpus).vectors, encoder.vectors)


def test_the_loss_comes_with_its_settings() -> None:
    q, k = vectors_of_step(new_encoder(SMALL, synthetic.corpus()), 1)
    for symmetric in (False, True):
        config = TrainConfig(temperature=0.3, symmetric=symmetric)
        expected = info_nce(q, k, temperature=0.3, symmetric=symmetric)
        assert torch.equal(new_criterion(config)(q, k), expected)
    config = TrainConfig(temperature=0.3, loss="equation_1")
    assert torch.equal(new_criterion(config)(q, k), equation_1(q, k, temperature=0.3))
