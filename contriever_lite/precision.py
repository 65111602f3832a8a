"""In which numbers the encoder computes: float32, or half as many bits where the device has them.

Weights, gradients, the optimizer's moments and the loss stay float32; only the encoders' forward
and backward run in fewer bits. So the logits, which a temperature of .05 makes twenty times as
large, lose nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from contriever_lite.config import TrainConfig
from contriever_lite.errors import ConfigError

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def number_type(precision: str, device: torch.device) -> torch.dtype:
    """What config.precision means on a device.

    "auto" is bf16 on a GPU that has it natively (Ampere and later), fp16 on an older one, float32
    on a CPU. Raises ConfigError for fp16 on a CPU.
    """
    if precision == "auto" and device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    if precision == "fp16" and device.type == "cpu":
        raise ConfigError(
            "precision = 'fp16' needs a GPU, and there is none; set precision=float32, or bf16"
        )
    return TYPES.get(precision, torch.float32)


def new_scaler(dtype: torch.dtype, device: torch.device) -> torch.amp.GradScaler | None:
    """What keeps small gradients of fp16 from vanishing; the other types need none."""
    return torch.amp.GradScaler(device.type) if dtype == torch.float16 else None


@contextmanager
def prepared(
    config: TrainConfig, objective: nn.Module, device: torch.device
) -> Iterator[torch.amp.GradScaler | None]:
    """Within the block the objective's encoders compute in config.precision (with "mlm", its head
    as well), compiled if config.compile, and a GPU multiplies float32 matrices in TF32. Afterwards
    all is as before; names in a state_dict never change. Gives the scaler of the gradients."""
    dtype = number_type(config.precision, device)
    encoders = [
        getattr(objective, name) for name in ("encoder", "slow") if hasattr(objective, name)
    ]
    encoders = [getattr(encoder, "encoder", encoder) for encoder in encoders]  # of CachedGradients
    lowered = [objective] if config.objective == "mlm" else encoders
    inner = [getattr(encoder, "model", encoder) for encoder in encoders]
    before = torch.get_float32_matmul_precision()
    try:
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        for module in lowered if dtype != torch.float32 else []:
            module.forward = _forward_in(dtype, device, module.forward)
        for model in inner if config.compile else []:
            model.compile(dynamic=True)
        yield new_scaler(dtype, device)
    finally:
        torch.set_float32_matmul_precision(before)
        for module in lowered:
            vars(module).pop("forward", None)
        for model in inner:
            model._compiled_call_impl = None


def _forward_in(
    dtype: torch.dtype, device: torch.device, forward: Callable[..., Any]
) -> Callable[..., Any]:
    def low(*arguments: Any, **named: Any) -> Any:
        with torch.autocast(device.type, dtype):
            found = forward(*arguments, **named)
        return found.float() if isinstance(found, Tensor) else found

    return low
