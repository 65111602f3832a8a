"""Cards are known by the names that CUDA gives them."""

import pytest

from contriever_lite.errors import ConfigError
from contriever_lite.hardware import CARDS, card, found_device, hours


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-32GB", "V100"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
    ],
)
def test_the_card_of_a_device(device: str, name: str) -> None:
    found = card(device)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("device", ["AMD EPYC, 1 threads", "NVIDIA T400", "Quadro T4000", "L404"])
def test_a_device_that_is_not_listed(device: str) -> None:
    assert card(device) is None


def test_names_differ_and_the_older_ones_have_no_bf16() -> None:
    assert len({known.name for known in CARDS}) == len(CARDS)
    assert {known.name for known in CARDS if not known.bf16} == {"T4", "V100"}


def test_hours() -> None:
    h100 = card("NVIDIA H100 80GB HBM3")
    assert h100 is not None
    assert hours(989e12 * 3600, h100, share=1.0) == pytest.approx(1.0)
    assert hours(989e12 * 3600, h100, share=0.25, cards=8) == pytest.approx(0.5)


def test_a_device_that_is_here() -> None:
    assert found_device("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["meta", "gpu", "cuda:99", ""])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device = '{name}' .*; choose one of cpu") as error:
        found_device(name)
    assert "\n" not in str(error.value)
