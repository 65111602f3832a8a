"""What a run will need: near what is measured, and an advice that fits."""

import math
from types import SimpleNamespace

import pytest
import synthetic
import tiny
import torch

from contriever_lite import incidents
from contriever_lite.batch import PairBatch, batch_of_step
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.config import TrainConfig
from contriever_lite.dry_run import dry_run
from contriever_lite.errors import DataError, TrainingError
from contriever_lite.estimate import (
    ACTIVATIONS,
    fitting,
    memory,
    operations,
    parameters,
    seconds_a_step,
    tokens,
)
from contriever_lite.fit import fit
from contriever_lite.memory import LiveBytes
from contriever_lite.optimizer import new_optimizer

CORPUS = synthetic.corpus()
WIDE = tiny.TINY.replace(dimension=32, layers=1)


def pairs_of(config: TrainConfig, step: int = 0) -> PairBatch:
    config, usable = fit(config, CORPUS)
    return batch_of_step(CORPUS, usable, config, step)


@pytest.mark.parametrize(
    "config",
    [
        WIDE,
        WIDE.replace(micro_batch=8),
        WIDE.replace(objective="moco", queue_size=400, queue_noise=True),
        WIDE.replace(objective="mlm"),
        synthetic.SMALL.replace(dimension=64),
    ],
    ids=["in-batch", "cached", "moco", "mlm", "bag"],
)
def test_memory_is_near_what_is_measured(config: TrainConfig) -> None:
    with LiveBytes() as held:
        encoder = new_encoder(config, CORPUS)
        objective = new_objective(config, encoder, CORPUS.tokenizer).train()
        optimizer = new_optimizer(config, objective)
        for step in range(2):
            optimizer.zero_grad()
            objective(pairs_of(config, step), measure=False)[0].backward()
            optimizer.step()
            objective.after_step()
    expected = memory(config, encoder, pairs_of(config))
    assert held.peak / 2 < sum(expected.values()) < held.peak * 2
    assert expected["weights"] == sum(p.numel() for p in encoder.parameters()) * 4
    assert (expected["slow encoder"] > 0) == (expected["queue"] > 0) == (config.objective == "moco")


def test_tokens_are_counted_with_their_frame() -> None:
    pairs = pairs_of(WIDE)
    query, key = (len(side.tokens) + 2 * len(side) for side in (pairs.query, pairs.key))
    assert tokens(pairs, WIDE) == (query + key, 0)
    assert tokens(pairs, WIDE.replace(specials=False)) == (query + key - 4 * len(pairs), 0)
    assert tokens(pairs, tiny.MOCO) == (query, key)
    assert tokens(pairs, WIDE.replace(objective="mlm")) == (key, 0)
    bag = synthetic.SMALL.replace(objective="queue", key_gradient=True, batch_negatives=True)
    assert tokens(pairs, bag) == (len(pairs.query.tokens) + len(pairs.key.tokens), 0)


def test_operations_equal_the_formula() -> None:
    encoder, pairs = new_encoder(tiny.MOCO, CORPUS), pairs_of(tiny.MOCO)
    count, dense = parameters(encoder)
    tables = encoder.model.embeddings
    rest = (tables.word_embeddings, tables.position_embeddings, tables.token_type_embeddings)
    assert dense == count - sum(table.weight.numel() for table in rest)
    query, key = tokens(pairs, tiny.MOCO)
    mean = (query + key) / (2 * len(pairs))
    forward = 2 * dense + 4 * 2 * 16 * mean
    assert operations(tiny.MOCO, encoder, pairs) == pytest.approx(forward * (3 * query + key))
    cached = operations(tiny.MOCO.replace(micro_batch=4), encoder, pairs)
    assert cached == pytest.approx(forward * (4 * query + key))
    assert operations(synthetic.SMALL, new_encoder(synthetic.SMALL, CORPUS), pairs) == 0


def test_the_advice_is_the_largest_that_fits() -> None:
    config = TrainConfig(batch_size=1000, encoder="transformer")
    needed = {"weights": 100, "activations": 8000, "scores": 1000}
    batch, micro = fitting(config, needed, 5000)
    free = 0.9 * 5000 - 100
    assert (batch, micro) == (256, 512)
    assert batch * 9 <= free < 2 * batch * 9
    assert micro * 4 + 1000 <= free < 2 * micro * 4 + 1000
    assert fitting(config, needed, 100) == (0, 0), "not even the weights"
    assert fitting(config, needed, 10**9) == (512, 1024), "never more than there is"


def test_a_gpu_that_is_too_small_says_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    small = SimpleNamespace(total_memory=2 * 2**20)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: small)
    objective = new_objective(WIDE, new_encoder(WIDE, CORPUS))
    pattern = r"GiB are needed at batch_size = 16\. Set batch_size=\d+ or micro_batch=\d+ \(cached"
    with (
        pytest.raises(TrainingError, match=pattern),
        incidents.enough_memory(WIDE, objective, lambda step: pairs_of(WIDE, step)),
    ):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_a_dry_run_says_what_it_takes_and_writes_nothing(tmp_path, monkeypatch) -> None:
    corpus = CORPUS.save(tmp_path / "corpus")
    out = tmp_path / "runs" / "one"
    lines = dict(line.split(maxsplit=1) for line in dry_run(tiny.MOCO, corpus, out).splitlines())
    assert list(lines) == ["parameters", "corpus", "a", "memory", "disk", "time"]
    encoder = new_encoder(tiny.MOCO, CORPUS)
    assert lines["parameters"] == f"{parameters(encoder)[0]:,}"
    assert lines["corpus"] == f"120 documents, {len(CORPUS.tokens):,} tokens"
    assert f"16 pairs, {sum(tokens(pairs_of(tiny.MOCO), tiny.MOCO)):,} tokens" in lines["a"]
    assert "slow encoder" in lines["memory"]
    assert "for 8 steps of" in lines["time"]
    assert not out.parent.exists()
    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=10))
    with pytest.raises(DataError, match=r"10 bytes are free and the run's states take .* make"):
        dry_run(tiny.MOCO, corpus, out)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file is not a folder that can be written to"):
        dry_run(tiny.MOCO, corpus, tmp_path / "file" / "run")
    assert math.isfinite(sum(memory(tiny.MOCO, encoder, pairs_of(tiny.MOCO)).values()))


def test_memory_equals_its_formula() -> None:
    config = tiny.MOCO.replace(micro_batch=8)
    encoder, pairs = new_encoder(config, CORPUS), pairs_of(config)
    p, (learning, _), width = parameters(encoder)[0], tokens(pairs, config), 2 * 16
    activations = learning * width * ACTIVATIONS * 4 * 8 / (2 * len(pairs))
    assert memory(config, encoder, pairs) == {
        "weights": 4 * p, "gradients": 4 * p, "optimizer": 8 * p, "slow encoder": 4 * p,
        "queue": 40 * (4 * 16 + 16), "activations": round(activations),
        "scores": 12 * len(pairs) * (len(pairs) + 40),
    }  # fmt: skip
    config = WIDE.replace(objective="mlm", precision="bf16")
    encoder, found = new_encoder(config, CORPUS), memory(config, new_encoder(config, CORPUS), pairs)
    learning = tokens(pairs, config)[0]
    assert found["activations"] == learning * 32 * ACTIVATIONS * 2
    words = CORPUS.tokenizer.get_vocab_size()
    assert found["scores"] == 12 * round(config.masked * learning) * words


def test_a_timed_step_is_a_whole_step() -> None:
    config, usable = fit(WIDE, CORPUS)
    encoder, before = new_encoder(config, CORPUS), new_encoder(config, CORPUS)
    assert seconds_a_step(config, CORPUS, usable, encoder) > 0
    pairs = zip(encoder.parameters(), before.parameters(), strict=True)
    assert any(not torch.equal(after, start) for after, start in pairs)
