"""What only a GPU can show. Skipped without one; `pytest -m gpu tests` runs these alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import synthetic
import tiny
import torch

from contriever_lite.batch import PairBatch, batch_of_step
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.cached import CachedGradients
from contriever_lite.config import TrainConfig
from contriever_lite.fit import fit
from contriever_lite.models import load_model
from contriever_lite.precision import number_type, prepared
from contriever_lite.prefetch import Prefetch
from contriever_lite.retriever import Retriever
from contriever_lite.rng import torch_globals
from contriever_lite.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
CORPUS, GPU = synthetic.corpus(), torch.device("cuda")
WIDE = tiny.MOCO.replace(dimension=128, heads=4, queue_size=4096, dropout=0.0)


def pairs_of(config: TrainConfig, step: int = 0) -> PairBatch:
    config, usable = fit(config, CORPUS)
    return batch_of_step(CORPUS, usable, config, step)


@pytest.mark.parametrize(("precision", "error"), [("bf16", 0.05), ("fp16", 0.01)])
def test_half_the_bits_give_nearly_the_same_vectors(precision: str, error: float) -> None:
    if precision == "bf16" and number_type("auto", GPU) != torch.bfloat16:
        pytest.skip("no bf16 in this GPU's hardware")
    pairs, found = pairs_of(WIDE).to(GPU), {}
    for name in ("float32", precision):
        config = WIDE.replace(precision=name)
        objective = new_objective(config, new_encoder(config, CORPUS)).to(GPU).eval()
        with prepared(config, objective, GPU), torch.no_grad():
            found[name] = objective.encoder(pairs.query)
        assert found[name].dtype == torch.float32
    apart = (found[precision] - found["float32"]).norm(dim=1) / found["float32"].norm(dim=1)
    assert 0 < apart.max() < error


def test_the_gpu_computes_what_the_processor_computes() -> None:
    torch.set_float32_matmul_precision("highest")
    encoder, pairs = new_encoder(WIDE, CORPUS).eval(), pairs_of(WIDE)
    with torch.no_grad():
        here = encoder(pairs.both)
        there = encoder.to(GPU)(pairs.both.to(GPU)).cpu()
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", [synthetic.SMALL, WIDE], ids=["bag", "transformer"])
def test_a_model_loaded_on_the_gpu_encodes_there(config: TrainConfig, tmp_path: Path) -> None:
    torch.set_float32_matmul_precision("highest")
    folder = Retriever(new_encoder(config, CORPUS), CORPUS.tokenizer).save(tmp_path / "model")
    here, there = load_model(str(folder)), load_model(str(folder), device="cuda")
    assert next(there.encoder.parameters()).device.type == "cuda"
    texts = synthetic.world().texts()[:30]
    found = there.encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, here.encode(texts), atol=1e-4, rtol=1e-4)


def test_cached_gradients_replay_dropout_on_cuda() -> None:
    """The second forward drops the units that the first one dropped: else another gradient."""
    config = tiny.TINY.replace(dropout=0.3)
    pairs, gradients = pairs_of(config).to(GPU), []
    rows = 8
    for cache in (False, True):
        encoder = new_encoder(config, CORPUS).to(GPU).train()
        starts = range(0, len(pairs.both), rows)
        with torch_globals(0, "dropout", GPU):
            if cache:
                vectors = CachedGradients(encoder, rows)(pairs.both)
            else:
                vectors = torch.cat([encoder(pairs.both.rows(i, i + rows)) for i in starts])
            vectors.square().mean().backward()
        learnt = (p.grad for p in encoder.parameters() if p.grad is not None)
        gradients.append(torch.cat([g.flatten() for g in learnt]))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_dropout_on_cuda_is_a_function_of_seed_and_step() -> None:
    config = tiny.TINY.replace(dropout=0.3)
    encoder, rows = new_encoder(config, CORPUS).to(GPU).train(), pairs_of(config).query.to(GPU)

    def vectors(seed: int, step: int) -> torch.Tensor:
        with torch_globals(seed, "dropout", GPU, step=step), torch.no_grad():
            return encoder(rows)

    torch.rand(7, device=GPU)  # what came before does not matter
    assert torch.equal(vectors(0, 3), vectors(0, 3))
    assert not torch.equal(vectors(0, 3), vectors(0, 4))
    assert not torch.equal(vectors(0, 3), vectors(1, 3))


def test_prefetched_batches_arrive_on_the_gpu_unchanged() -> None:
    with Prefetch(lambda step: pairs_of(tiny.TINY, step), range(6), GPU) as batches:
        for step, batch in batches:
            there = pairs_of(tiny.TINY, step)
            assert batch.query.tokens.device.type == "cuda"
            assert torch.equal(batch.query.tokens.cpu(), there.query.tokens)
            assert torch.equal(batch.key.lengths.cpu(), there.key.lengths)


def test_compiled_and_plain_train_alike(tmp_path: Path) -> None:
    losses = {}
    for compiled in (False, True):
        config = tiny.MOCO.replace(compile=compiled, dropout=0.0)
        train(config, CORPUS, tmp_path / f"{compiled}.jsonl")
        losses[compiled] = curve(tmp_path / f"{compiled}.jsonl")
    assert losses[True] == pytest.approx(losses[False], rel=1e-2)


def curve(log: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def test_a_step_never_copies_the_queue() -> None:
    """Logits aside, a step with a queue of 128 MB needs no more memory than a step without."""
    rows, width, peaks = 8, 128, {}
    for size in (64, 1 << 18):
        config = WIDE.replace(queue_size=size, batch_size=rows, queue_noise=True)
        objective = new_objective(config, new_encoder(config, CORPUS)).to(GPU).train()
        pairs = pairs_of(config).to(GPU)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        objective(pairs, measure=False)[0].backward()
        objective.after_step()
        peaks[size] = torch.cuda.max_memory_allocated() - before
    queue, logits = 4 * width * (1 << 18), 4 * rows * (1 << 18)
    assert peaks[1 << 18] - peaks[64] < 6 * logits < queue


@pytest.mark.parametrize("objective", ["in_batch", "moco", "mlm"])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_twenty_steps_and_their_resume(objective: str, precision: str, tmp_path: Path) -> None:
    """Killed after ten steps, the run goes on along the same curve. Kernels that add in no fixed
    order may move the last digits on a GPU; on a processor they do not."""
    config = tiny.MOCO.replace(objective=objective, steps=20, precision=precision)
    whole, log = tmp_path / "whole.jsonl", tmp_path / "log.jsonl"
    train(config, CORPUS, whole)

    def break_at_ten(_: torch.nn.Module, step: int) -> dict[str, float]:
        if step == 10:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        train(config, CORPUS, log, break_at_ten, 10, state=tmp_path / "states", save_every=0)
    train(config, CORPUS, log, state=tmp_path / "states")
    losses = curve(log)
    assert len(losses) == 20
    assert losses == pytest.approx(curve(whole), rel=2e-2)
    assert losses[-1] < max(losses)
