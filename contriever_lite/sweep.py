"""Sweeps: one thing varied, all else equal, several seeds, compared on the same queries.

    trials = sweep({"crops": config, "crops + mask": config.replace(key_mask=0.1)}, corpus, dev)
    summary(trials)                                  mean over seeds, with an interval
    difference(trials, "crops + mask", "crops")      and whether the change is more than luck

A recorded sweep is one JSON file in data/runs/sweeps/, made by scripts/sweeps.py.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from contriever_lite.batch import Views
from contriever_lite.build import new_encoder
from contriever_lite.collection import Collection
from contriever_lite.config import TrainConfig
from contriever_lite.corpus import Corpus
from contriever_lite.errors import ConfigError, DataError
from contriever_lite.evaluate import MEASURES
from contriever_lite.judge import Judge
from contriever_lite.metrics import Interval
from contriever_lite.registry import repository
from contriever_lite.train import train
from contriever_lite.views import two_views

NewEncoder = Callable[[TrainConfig, Corpus], nn.Module]

# Student's t, .975 quantile, for 2, 3, ... 10 seeds
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Trial:
    """One run of one setting: per_query[measure][query id], and processor seconds of training."""

    setting: str
    seed: int
    seconds: float
    per_query: dict[str, dict[str, float]] = field(repr=False)
    encoder: nn.Module | None = field(default=None, repr=False)

    def score(self, measure: str = "ndcg@10") -> float:
        """The mean over queries."""
        return fmean(self.per_query[measure].values())


def sweep(
    settings: Mapping[str, TrainConfig],
    corpus: Corpus,
    collection: Collection,
    seeds: Sequence[int] = (0, 1, 2),
    views: Mapping[str, Views] | None = None,
    keep: bool = False,
    encoder: NewEncoder = new_encoder,
) -> list[Trial]:
    """Train each setting with each seed on the corpus, and score it on the collection's queries.

    seeds: added to each setting's own seed, so that settings share their random numbers unless
    their seeds differ. views: for some settings, a function of one's own in place of `two_views`.
    keep=True keeps the trained encoders in the trials. encoder: what makes a new encoder.
    """
    wanted = [(name, seed) for name in settings for seed in seeds]
    judge = Judge(collection)
    trials = []
    for name, seed in tqdm(wanted, "sweep", unit=" runs", leave=False, delay=2):
        config = settings[name].replace(seed=settings[name].seed + seed)
        start = time.process_time()
        own = (views or {}).get(name, two_views)
        trained = train(config, corpus, encoder=encoder(config, corpus), views=own)
        seconds = time.process_time() - start
        scores = judge(trained, corpus, config)
        trials.append(Trial(name, seed, seconds, scores, trained if keep else None))
    return trials


def summary(trials: Sequence[Trial], measure: str = "ndcg@10") -> dict[str, Interval]:
    """setting -> mean over seeds, with a 95 % interval for the mean over all seeds.

        ends = mean +- t sd / sqrt(n)

    for n seeds, sd their standard deviation, and t Student's quantile for n - 1 degrees of freedom.
    """
    scores: dict[str, list[float]] = {}
    for trial in trials:
        scores.setdefault(trial.setting, []).append(trial.score(measure))
    return {name: seed_interval(values) for name, values in scores.items()}


def seed_interval(values: Sequence[float]) -> Interval:
    """The interval of `summary`, from one score a seed; 2 to 10 seeds."""
    if not 2 <= len(values) <= len(T) + 1:
        raise ConfigError(f"{len(values)} seeds: an interval over seeds needs 2 to {len(T) + 1}")
    half = T[len(values) - 2] * stdev(values) / len(values) ** 0.5
    return Interval(fmean(values), fmean(values) - half, fmean(values) + half)


def difference(
    trials: Sequence[Trial],
    setting: str,
    baseline: str,
    measure: str = "ndcg@10",
    resamples: int = 2000,
) -> Interval:
    """The mean difference setting - baseline, with a 95 % bootstrap interval over both seeds and
    queries: each resample draws seeds and queries with replacement, the same for both settings.

    If 0 is inside, these runs cannot tell the two apart. Raises DataError for an unknown setting.
    """
    ours, theirs = (_matrix(trials, name, measure) for name in (setting, baseline))
    d = ours - theirs
    rng = np.random.default_rng(0)
    seeds, queries = (rng.integers(0, n, (resamples, n)) for n in d.shape)
    means = [d[s][:, q].mean() for s, q in zip(seeds, queries, strict=True)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(d.mean()), float(low), float(high))


def _matrix(trials: Sequence[Trial], setting: str, measure: str) -> np.ndarray:
    rows = [list(t.per_query[measure].values()) for t in trials if t.setting == setting]
    if not rows:
        names = sorted({trial.setting for trial in trials})
        raise DataError(f"no trial of {setting!r}; there are {', '.join(names)}")
    return np.array(rows)


def record(trials: Sequence[Trial], baseline: str) -> dict[str, Any]:
    """setting -> {measure: mean, low, high, seeds, versus}, seconds: what a recorded sweep holds.
    `versus` is the difference to the baseline."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(trial.setting for trial in trials):
        own = [trial for trial in trials if trial.setting == name]
        found[name] = {"seconds": round(fmean(trial.seconds for trial in own), 2)}
        for measure in MEASURES:
            versus = difference(trials, name, baseline, measure)
            values = [trial.score(measure) for trial in own]
            found[name][measure] = {
                **_rounded(seed_interval(values)),
                "seeds": [round(value, 5) for value in values],
                "versus": _rounded(versus),
            }
    return found


def _rounded(interval: Interval) -> dict[str, float]:
    return {end: round(value, 5) for end, value in vars(interval).items()}


def read_sweep(name: str, folder: str | Path | None = None) -> dict[str, Any]:
    """A recorded sweep by name, from data/runs/sweeps of the checkout or from another folder.

    {"question", "baseline", "command", ..., "results": {data: {setting: as in `record`}}}
    """
    checkout = repository()
    place = Path(folder) if folder else checkout and checkout / "data" / "runs" / "sweeps"
    file = place and place / f"{name}.json"
    if file is None or not file.is_file():
        raise DataError(f"no recorded sweep {name!r}; `python scripts/sweeps.py {name}` makes it")
    return json.loads(file.read_text(encoding="utf-8"))
