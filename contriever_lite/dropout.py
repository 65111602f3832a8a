"""Dropout on a CPU with fewer random bits: PyTorch draws them one by one, on one thread."""

import torch
from torch import Tensor, nn

_VALUES = 2**16  # of 16 random bits


class Dropout(nn.Dropout):
    """`nn.Dropout` that on a CPU draws 16 random bits for each number, where PyTorch draws 64.

        y_i = x_i / (1 - p) with probability 1 - p, else 0,   p rounded to a multiple of 2^-16

    x, y: any shape. On a GPU, or compiled, it is `nn.Dropout` itself, which is fast there. The bits
    are from PyTorch's global generator, so that a seed or a restored state replays them.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Numbers of any shape, some set to 0 in training; in evaluation x itself."""
        dropped = round(self.p * _VALUES)
        elsewhere = x.device.type != "cpu" or torch.compiler.is_compiling()
        if elsewhere or not self.training or dropped in (0, _VALUES):
            return super().forward(x)
        kept = _sixteen_bits(x.shape) >= dropped - _VALUES // 2
        return x * kept.to(x.dtype).mul_(_VALUES / (_VALUES - dropped))


def _sixteen_bits(shape: torch.Size) -> Tensor:
    """Random integers from -2^15 to 2^15 - 1, four from each draw of the generator."""
    number = shape.numel()
    draws = torch.empty(-(-number // 4), dtype=torch.int64).random_(-(2**63), None)
    return draws.view(torch.int16)[:number].view(shape)


def use_fast_dropout(model: nn.Module) -> None:
    """Put `Dropout` in the place of every `nn.Dropout` of a model; it has no weights, and what is
    saved is the same."""
    for part in model.modules():
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, Dropout(child.p).train(child.training))
