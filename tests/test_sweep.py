"""Sweeps: the runs they promise, scored as evaluation scores, and intervals that mean something."""

import json
import math
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
import synthetic

from contriever_lite.build import new_encoder
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus, Ragged
from contriever_lite.encoder import BagEncoder
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.evaluate import MEASURES, evaluate_model
from contriever_lite.retriever import retriever_for
from contriever_lite.sweep import (
    Trial,
    difference,
    read_sweep,
    record,
    seed_interval,
    summary,
    sweep,
)
from contriever_lite.train import train
from contriever_lite.views import two_views

SHORT = synthetic.SMALL.replace(steps=6)


def trials_of(scores: dict[str, list[list[float]]]) -> list[Trial]:
    """setting -> seed -> query -> score"""
    return [
        Trial(name, seed, 1.0, {m: {f"q{i}": s for i, s in enumerate(row)} for m in MEASURES})
        for name, rows in scores.items()
        for seed, row in enumerate(rows)
    ]


def test_a_sweep_trains_every_setting_with_every_seed_and_scores_it() -> None:
    settings = {"short": SHORT, "cold": SHORT.replace(temperature=0.05)}
    found = sweep(settings, synthetic.corpus(), synthetic.world(), seeds=(0, 5), keep=True)
    assert [(t.setting, t.seed) for t in found] == [
        ("short", 0), ("short", 5), ("cold", 0), ("cold", 5)
    ]  # fmt: skip
    for trial in found:
        config = settings[trial.setting].replace(seed=trial.seed)
        encoder = train(config, synthetic.corpus())
        assert encoder.vectors.equal(trial.encoder.vectors)
        retriever = retriever_for(encoder, synthetic.corpus().tokenizer, config)
        expected = evaluate_model("bag", synthetic.world(), retriever)
        for measure in MEASURES:
            assert trial.per_query[measure] == expected.per_query[measure]
            assert trial.score(measure) == pytest.approx(expected.scores[measure].mean)
        assert trial.seconds > 0


def test_seeds_are_added_to_a_settings_own() -> None:
    """So a placebo, which differs in its seed alone, is drawn anew."""
    settings = {"same": SHORT, "other": SHORT.replace(seed=7)}
    same, later, other, _ = sweep(settings, synthetic.corpus(), synthetic.world(), seeds=(0, 7))
    assert other.per_query == later.per_query != same.per_query


def test_encoders_are_kept_only_when_asked() -> None:
    (trial,) = sweep({"a": SHORT.replace(steps=0)}, synthetic.corpus(), synthetic.world(), (0,))
    assert trial.encoder is None


def test_views_of_ones_own_take_the_place_of_two_views() -> None:
    calls = []

    def mine(
        corpus: Corpus, indices: np.ndarray, rng: np.random.Generator, config: TrainConfig
    ) -> tuple[Ragged, Ragged]:
        calls.append(len(indices))
        return two_views(corpus, indices, rng, config)

    settings = {"theirs": SHORT, "mine": SHORT}
    theirs, ours = sweep(
        settings, synthetic.corpus(), synthetic.world(), (0,), views={"mine": mine}
    )
    assert calls == [SHORT.batch_size] * SHORT.steps
    assert theirs.per_query == ours.per_query


def test_an_encoder_of_ones_own_is_the_one_that_is_trained() -> None:
    """Called with the setting and its seed, so that a run is still a function of them."""
    asked, made = [], []

    def own(config: TrainConfig, corpus: Corpus) -> BagEncoder:
        asked.append(config)
        made.append(new_encoder(config.replace(dimension=4), corpus))
        return made[-1]

    found = sweep({"own": SHORT}, synthetic.corpus(), synthetic.world(), (0, 1), None, True, own)
    assert asked == [SHORT.replace(seed=SHORT.seed + seed) for seed in (0, 1)]
    assert [trial.encoder for trial in found] == made
    assert found[0].encoder.dimension == 4


def test_the_interval_over_seeds_equals_its_formula() -> None:
    """mean +- t sd / sqrt(n), with t from Student's table"""
    found = summary(trials_of({"a": [[0.1, 0.3], [0.4, 0.4], [0.5, 0.7]]}))["a"]
    means = [0.2, 0.4, 0.6]
    half = 4.303 * stdev(means) / math.sqrt(3)
    assert found.mean == pytest.approx(fmean(means))
    assert found.high - found.mean == pytest.approx(half) == pytest.approx(found.mean - found.low)


def test_student_quantiles_are_the_published_ones() -> None:
    stats = pytest.importorskip("scipy.stats")
    for n in range(2, 11):
        values = [0.0] * (n - 1) + [1.0]
        found = seed_interval(values)
        expected = stats.t.ppf(0.975, n - 1) * stdev(values) / n**0.5
        assert found.high - found.mean == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("count", [0, 1, 11])
def test_an_interval_needs_two_to_ten_seeds(count: int) -> None:
    with pytest.raises(ConfigError, match=f"{count} seeds: an interval over seeds needs 2 to 10"):
        seed_interval([0.5] * count)


def test_the_interval_over_seeds_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    intervals = [seed_interval(list(row)) for row in rng.normal(0.6, 0.01, (2000, 3))]
    covered = np.mean([i.low <= 0.6 <= i.high for i in intervals])
    assert abs(covered - 0.95) < 5 * math.sqrt(0.95 * 0.05 / 2000)


def test_a_difference_is_paired_and_its_interval_counts_seeds_and_queries() -> None:
    rng = np.random.default_rng(0)
    queries = rng.uniform(0.2, 0.8, 200)
    base = [list(queries) for _ in range(3)]
    better = [list(queries + 0.05) for _ in range(3)]
    exact = difference(trials_of({"a": base, "b": better}), "b", "a")
    assert [exact.mean, exact.low, exact.high] == pytest.approx([0.05] * 3)
    shaky = [list(queries + 0.05 + shift) for shift in (-0.1, 0.0, 0.1)]
    found = difference(trials_of({"a": base, "b": shaky}), "b", "a")
    assert found.mean == pytest.approx(0.05)
    assert found.low < 0 < found.high, "three seeds that disagree cannot tell"
    noisy = [list(queries + rng.normal(0.05, 0.3, 200)) for _ in range(3)]
    found = difference(trials_of({"a": base, "b": noisy}), "b", "a")
    assert found.high - found.low > 0.02


def test_an_unknown_setting_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no trial of 'c'; there are a, b"):
        difference(trials_of({"b": [[1.0]], "a": [[0.5]]}), "c", "a")


def test_a_record_holds_every_setting_and_reads_back(tmp_path: Path) -> None:
    trials = trials_of({"a": [[0.1, 0.3], [0.4, 0.4]], "b": [[0.2, 0.4], [0.5, 0.5]]})
    found = record(trials, "a")
    assert list(found) == ["a", "b"]
    assert found["b"]["ndcg@10"]["versus"]["mean"] == pytest.approx(0.1)
    assert found["a"]["ndcg@10"]["versus"] == {"mean": 0, "low": 0, "high": 0}
    assert found["b"]["ndcg@10"]["seeds"] == pytest.approx([0.3, 0.5])
    (tmp_path / "mine.json").write_text(json.dumps({"results": {"world": found}}))
    assert read_sweep("mine", tmp_path)["results"]["world"] == json.loads(json.dumps(found))
    with pytest.raises(DataError, match=r"no recorded sweep 'other'; .*sweeps.py other"):
        read_sweep("other", tmp_path)
