"""Fewer bits in the encoder, none fewer in the loss; all as before afterwards."""

import json
from pathlib import Path

import pytest
import synthetic
import tiny
import torch

from contriever_lite import precision
from contriever_lite.batch import batch_of_step
from contriever_lite.build import new_encoder, new_objective
from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError
from contriever_lite.fit import fit
from contriever_lite.precision import number_type, prepared
from contriever_lite.train import train

NOISY = tiny.MOCO.replace(queue_noise=True)
CORPUS, CPU, GPU = synthetic.corpus(), torch.device("cpu"), torch.device("cuda")


def test_what_auto_means(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    for native, expected in ((True, torch.bfloat16), (False, torch.float16)):  # noqa: B007
        assert number_type("auto", GPU) == expected
    assert asked == [False, False], "a T4 has bf16 by emulation alone"
    assert number_type("auto", CPU) == number_type("float32", GPU) == torch.float32
    assert number_type("bf16", CPU) == torch.bfloat16
    with pytest.raises(ConfigError, match="precision = 'fp16' needs a GPU"):
        train(tiny.TINY.replace(precision="fp16"), CORPUS)


def test_a_scaler_comes_with_fp16_alone() -> None:
    assert precision.new_scaler(torch.bfloat16, CPU) is None
    assert isinstance(precision.new_scaler(torch.float16, CPU), torch.amp.GradScaler)


def numbers(config: TrainConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, vectors) of the first step without dropout."""
    config, usable = fit(config.replace(dropout=0.0), CORPUS)
    objective = new_objective(config, new_encoder(config, CORPUS), CORPUS.tokenizer).train()
    pairs = batch_of_step(CORPUS, usable, config, 0)
    seen = []
    if config.objective != "mlm":
        objective.criterion.register_forward_pre_hook(lambda _, given: seen.append(given))
    with prepared(config, objective, CPU):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            loss, _ = objective(pairs)
        loss.backward()
    assert "forward" not in vars(objective.encoder)
    assert "forward" not in vars(objective)
    assert all(p.grad.dtype == torch.float32 for p in objective.parameters() if p.grad is not None)
    assert all(x.dtype == torch.float32 for given in seen for x in given[:2]), "a loss in float32"
    return loss.detach(), objective.encoder(pairs.query).detach()


@pytest.mark.parametrize("config", [tiny.TINY, NOISY, tiny.TINY.replace(objective="mlm")])
def test_bf16_is_near_float32_and_gone_afterwards(config: TrainConfig) -> None:
    exact, after = numbers(config)
    rough, after_rough = numbers(config.replace(precision="bf16"))
    assert rough.dtype == torch.float32
    assert rough != exact
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)
    assert torch.equal(after, after_rough), "outside, the encoder is exact again"


def test_a_run_in_bf16_learns_and_its_weights_are_float32(tmp_path: Path) -> None:
    config = tiny.MOCO.replace(precision="bf16", micro_batch=9, steps=3)
    encoder = train(config, CORPUS, tmp_path / "log")
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert lines[0]["gradient_norm"] == 0, "no negatives yet"
    assert all(line["gradient_norm"] > 0 for line in lines[1:])
    assert encoder.state_dict().keys() == new_encoder(config, CORPUS).state_dict().keys()


def test_matrices_in_tf32_on_a_gpu_alone_and_for_a_while() -> None:
    objective = new_objective(tiny.TINY, new_encoder(tiny.TINY, CORPUS))
    before = torch.get_float32_matmul_precision()
    with prepared(tiny.TINY, objective, GPU):
        assert torch.get_float32_matmul_precision() == "high"
    with prepared(tiny.TINY, objective, CPU):
        assert torch.get_float32_matmul_precision() == before
    assert torch.get_float32_matmul_precision() == before


def test_compiling_changes_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner models are compiled, for any length, and are plain again afterwards."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda call, **how: compiled.append(how) or call)
    config = tiny.MOCO.replace(compile=True, micro_batch=8)
    objective = new_objective(config, new_encoder(config, CORPUS))
    names = list(objective.state_dict())
    with prepared(config, objective, CPU):
        assert list(objective.state_dict()) == names
        assert objective.slow.encoder.model._compiled_call_impl is not None
    assert compiled == [{"dynamic": True}] * 2
    assert objective.slow.encoder.model._compiled_call_impl is None


def test_only_the_encoder_or_with_mlm_all_of_it_runs_in_fewer_bits() -> None:
    for config, lowered in ((tiny.TINY, False), (tiny.TINY.replace(objective="mlm"), True)):
        config, usable = fit(config.replace(precision="bf16"), CORPUS)
        objective = new_objective(config, new_encoder(config, CORPUS), CORPUS.tokenizer)
        seen, part = [], objective.transform if lowered else objective.criterion
        part.register_forward_pre_hook(
            lambda _, given, seen=seen: seen.append(torch.is_autocast_enabled("cpu"))
        )
        with prepared(config, objective, CPU):
            objective(batch_of_step(CORPUS, usable, config, 0))
        assert seen
        assert all(low == lowered for low in seen)


@pytest.mark.filterwarnings("ignore:torch.cuda.amp.GradScaler is enabled:UserWarning")
def test_fp16_on_a_gpu_has_its_scaler() -> None:
    config = tiny.TINY.replace(precision="fp16")
    objective = new_objective(config, new_encoder(config, CORPUS))
    with prepared(config, objective, GPU) as scaler:
        assert isinstance(scaler, torch.amp.GradScaler)
