"""The checks of chapter 10: right answers pass, each known slip is told apart."""

from collections.abc import Callable

import numpy as np
import pytest
import synthetic
import torch

from contriever_lite.batch import batch_of_step
from contriever_lite.corpus import Corpus, offsets_of
from contriever_lite.estimate import memory, parameters
from contriever_lite.exercises_gpu import (
    _needed,
    check_batch,
    check_hours,
    check_momentum,
    check_scale,
)
from contriever_lite.presets import preset
from contriever_lite.transformer import Reading, TransformerEncoder, new_model


@pytest.mark.parametrize("check", [check_hours, check_scale, check_momentum, check_batch])
def test_a_function_that_returns_nothing(check: Callable[[Callable], str]) -> None:
    assert check(lambda *_: None) == "Not yet: the function returns nothing."


def hours(pairs: float, tokens: float, size: float, peak: float, share: float) -> float:
    return pairs * tokens * 2 * size * (3 + 1) / (peak * 1e12 * share) / 3600


def test_hours() -> None:
    assert check_hours(hours).startswith("Right: the paper's run takes one H100")
    slips = {
        0.5: "Half",
        1.5: "The keys get no gradient",
        0.75: "Keys are encoded too",
        3600: "That is seconds",
        60: "That is minutes",
        0.4: "No GPU reaches its peak",
    }
    for factor, hint in slips.items():
        verdict = check_hours(lambda *case, by=factor: by * hours(*case))
        assert verdict.startswith("Not yet:")
        assert hint in verdict
    assert check_hours(lambda *case: 7 * hours(*case)).endswith("should be 31.8.")


def test_scale() -> None:
    def right(scale: float, good: int, finite: bool) -> tuple[float, int]:
        if not finite:
            return scale / 2, 0
        return (scale * 2, 0) if good == 2 else (scale, good + 1)

    assert check_scale(right).startswith("Right")

    def never_resets(scale: float, good: int, finite: bool) -> tuple[float, int]:
        return (scale / 2, good) if not finite else right(scale, good, finite)

    assert "Not yet: after step 7" in check_scale(never_resets)
    assert "Not yet: after step 3" in check_scale(lambda scale, good, finite: (scale, 0))


def test_momentum() -> None:
    assert check_momentum(lambda bits: 1 - 2.0**-bits).startswith("Right")
    assert "the weight stands still" in check_momentum(lambda bits: 1 - 2.0 ** -(bits + 1))
    assert "the weight still moves" in check_momentum(lambda bits: 1 - 2.0 ** -(bits - 1))
    assert "between 0 and 1" in check_momentum(lambda bits: 2.0)
    assert check_momentum(lambda bits: torch.tensor(1 - 2.0**-bits)).startswith("Right")


def test_batch() -> None:
    def right(gib: float, size: float, dimension: int, layers: int, tokens: int, queue: int) -> int:
        best = batch = 1
        while batch < 2**20:
            total = 20 * size + queue * (4 * dimension + 16)
            total += batch * tokens * layers * 20 * dimension * 2 + 12 * batch * (batch + queue)
            best = batch if total <= 0.9 * gib * 2**30 else best
            batch *= 2
        return best

    assert check_batch(right).startswith("Right: 256 on 14.56 GiB")
    assert check_batch(lambda *case: 2 * right(*case)).startswith("Not yet: 512 on 14.56 GiB takes")


@pytest.mark.parametrize(
    "wrong",
    [
        {"gib": 1e9},
        {"weights": 16},
        {"queue_bytes": 0},
        {"score": 4},
        {"score": 0},
        {"own": 0},
    ],
    ids=str,
)
def test_batch_counts_every_part(wrong: dict[str, float]) -> None:
    take = {"gib": 2**30, "weights": 20, "queue_bytes": 1, "score": 12, "own": 1} | wrong

    def function(gib: float, size: float, d: int, layers: int, tokens: int, queue: int) -> int:
        def needed(batch: int) -> float:
            scores = take["score"] * batch * (take["own"] * batch + queue)
            keys = take["queue_bytes"] * queue * (4 * d + 16)
            return take["weights"] * size + keys + batch * tokens * layers * 40 * d + scores

        return max(2**n for n in range(20) if needed(2**n) <= 0.9 * gib * take["gib"])

    assert check_batch(function).startswith("Not yet")


def test_batch_without_an_end() -> None:
    assert check_batch(lambda *case: float("inf")).startswith("Not yet: inf on 14.56 GiB takes inf")


def test_the_exercise_counts_memory_as_the_package_does() -> None:
    config = preset("paper").replace(batch_size=64, precision="bf16", dropout=0.0)
    offsets, titles = offsets_of(np.full(64, 256)), np.zeros(64, np.int32)
    corpus = Corpus(np.zeros(64 * 256, np.int32), offsets, titles, synthetic.corpus().tokenizer)
    pairs = batch_of_step(corpus, np.arange(64), config, 0)
    with torch.device("meta"):
        sizes = config.dimension, config.layers, config.heads, config.dropout
        encoder = TransformerEncoder(new_model(config.vocab_size, *sizes), Reading(0, 1, 2))
    ours = _needed(64, parameters(encoder)[0], 768, 12, 65, config.queue_size)
    assert ours == pytest.approx(sum(memory(config, encoder, pairs).values()), rel=0.1)
