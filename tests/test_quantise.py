"""Eight bits a number: how far off, and what stays exact."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contriever_lite.quantise import dequantise, quantise


@given(st.integers(1, 6), st.integers(1, 9), st.sampled_from([1e-6, 0.1, 1.0, 1e4]))
def test_a_number_moves_by_at_most_half_a_level(rows: int, columns: int, size: float) -> None:
    """scale_i = max_j |x_ij| / 127, q_ij = round(x_ij / scale_i)"""
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows)) * size
    levels, scales = quantise(x)
    assert levels.dtype == torch.int8
    assert torch.equal(scales, x.abs().amax(dim=1, keepdim=True) / 127)
    assert torch.equal(levels, (x / scales).round().to(torch.int8))
    assert ((dequantise(levels, scales) - x).abs() <= scales * 0.5001).all()
    assert levels.abs().amax(dim=1).eq(127).all(), "each row uses its whole range"


def test_zeros_stay_zeros() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    levels, scales = quantise(x)
    assert dequantise(levels, scales)[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(dequantise(levels, scales)[1], x[1], atol=0.01, rtol=0)


def test_scales_of_half_the_bits_are_float32() -> None:
    x = torch.tensor([[0.3, -0.7]], dtype=torch.bfloat16)
    levels, scales = quantise(x)
    assert scales.dtype == torch.float32
    assert scales.item() == pytest.approx(x.abs().max().item() / 127, rel=1e-6)
    assert (dequantise(levels, scales) - x).abs().max() <= scales / 2 * 1.001
