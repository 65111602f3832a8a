"""The chart of indexes: a curve an index, what it costs beside it, a look of its own."""

import matplotlib.pyplot as plt
import pytest

from contriever_lite.index_settings import KINDS
from contriever_lite.plots_search import index_chart


def entry(kind: str, speed: float, recall: float, size: float, rescore: int = 0) -> dict:
    return {
        "index": kind + ", rescored" * bool(rescore), "kind": kind, "speed": speed,
        "recall@100": recall, "bytes_per_vector": size, "settings": {"rescore": rescore},
    }  # fmt: skip


def test_a_curve_an_index_with_its_bytes() -> None:
    ax = index_chart([
        entry("ivf", 2, 0.7, 2138.3), entry("ivf", 1, 0.9, 2138.3), entry("exact", 1, 1, 2048),
    ])  # fmt: skip
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert drawn == {"ivf: 2,138 B": [[2, 0.7], [1, 0.9]], "exact: 2,048 B": [[1, 1]]}
    assert ax.get_xscale() == "log"
    assert {text.get_text() for text in ax.get_legend().get_texts()} == set(drawn)
    assert all((ax.get_title(), ax.get_xlabel(), ax.get_ylabel()))
    plt.close("all")


@pytest.mark.parametrize("own", [True, False])
def test_no_two_look_alike(own: bool) -> None:
    given = plt.subplots()[1] if own else None
    entries = [entry(kind, 1, 1, 1, rescore) for kind in KINDS for rescore in (0, 5)]
    ax = index_chart(entries, given)
    assert given is None or ax is given
    looks = {(e.get_color(), e.get_marker(), e.get_mfc() == "none") for e in ax.get_lines()}
    assert len(looks) == 2 * len(KINDS)
    plt.close("all")
