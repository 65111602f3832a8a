"""Fields that know their rules, on a small record."""

from dataclasses import dataclass

import pytest

from contriever_lite.errors import ConfigError
from contriever_lite.settings import check_settings, setting


@dataclass(frozen=True)
class Tea:
    kind: str = setting("green", "what leaves", choices=("green", "black"))
    grams: float = setting(2.0, "of leaves", above=0, high=9)
    cups: int | None = setting(None, "how many", low=1)
    heat: tuple[float, float] = setting((70.0, 80.0), "degrees, from and to", ordered=True)
    shares: tuple[int, int] = setting((2, 1), "in any order", low=0, below=5)
    milk: bool = setting(False, "a dash", needs={"kind": ("black",), "cups": (1, 2)})
    sugar: int = setting(0, "lumps", needs={"kind": ("black",)})

    def __post_init__(self) -> None:
        check_settings(self)


def test_defaults_and_values_at_the_edges_pass() -> None:
    assert Tea().milk is False
    tea = Tea(grams=9, cups=1, heat=[60, 60], shares=[4, 0], kind="black", milk=True)
    assert tea.grams == 9.0
    assert isinstance(tea.grams, float)
    assert tea.heat == (60.0, 60.0)
    assert tea.shares == (4, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "red"}, "kind = 'red': choose one of green, black"),
        ({"grams": 0}, "grams = 0.0: must be more than 0 and at most 9"),
        ({"grams": "two"}, "grams = 'two': must be of type float"),
        ({"grams": float("inf")}, "grams = inf: must be finite"),
        ({"cups": 0}, "cups = 0: must be at least 1"),
        ({"cups": 1.0}, "cups = 1.0: must be of type int | None"),
        ({"heat": (80, 70)}, "heat = (80.0, 70.0): the smaller number comes first"),
        ({"heat": (80,)}, "heat = (80,): must be of type tuple[float, float]"),
        ({"shares": (1, 5)}, "shares = (1, 5): must be at least 0 and less than 5"),
        ({"milk": 1}, "milk = 1: must be of type bool"),
        (
            {"milk": True},
            "milk = True with kind = 'green', which has no use for it; set milk=false, or "
            "kind=black",
        ),
        (
            {"milk": True, "sugar": 2, "cups": 1},
            "milk = True with kind = 'green', which has no use for it; set milk=false sugar=0, or "
            "kind=black",
        ),
        ({"milk": True, "kind": "black"}, "milk = True with cups = None"),
        ({"milk": True, "kind": "black", "cups": 3}, "or cups=1 or 2"),
    ],
)
def test_a_broken_rule_is_named(values: dict, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Tea(**values)
    assert message in str(error.value)
