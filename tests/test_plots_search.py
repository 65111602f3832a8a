"""The chart of indexes: a curve an index, what it costs beside it."""

import matplotlib.pyplot as plt

from contriever_lite.plots_search import index_chart


def entry(index: str, speed: float, recall: float, size: float) -> dict:
    return {"index": index, "speed": speed, "recall@100": recall, "bytes_per_vector": size}


def test_a_curve_an_index_with_its_bytes() -> None:
    ax = index_chart([
        entry("ivf", 2, 0.7, 2138.3), entry("ivf", 1, 0.9, 2138.3), entry("exact", 1, 1, 2048),
    ])  # fmt: skip
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert drawn == {"ivf, 2,138 bytes": [[2, 0.7], [1, 0.9]], "exact, 2,048 bytes": [[1, 1]]}
    assert ax.get_xscale() == "log"
    assert {text.get_text() for text in ax.get_legend().get_texts()} == set(drawn)
    assert all((ax.get_title(), ax.get_xlabel(), ax.get_ylabel()))
    alone = index_chart([entry("exact", 1, 1, 2048)], plt.subplots()[1])
    assert alone.get_legend() is None
    plt.close("all")
