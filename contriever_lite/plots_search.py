"""Figures of search: what an index gains in speed and bytes, and what it misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contriever_lite.index_settings import KINDS
from contriever_lite.plots import DASHES, MARKERS, PALETTE, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def index_chart(indexes: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """To choose an index from: recall@100 over speed (queries a second, exact search 1), its bytes
    a vector in the legend. indexes: entries of data/runs/indexes/indexes.json; those of an index
    that differ in what is chosen at each search (probes, width) make its curve. A kind has one
    colour and marker, which is hollow where full vectors rescore."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(6.4, 5))[1]
    for name in dict.fromkeys(entry["index"] for entry in indexes):
        found = [entry for entry in indexes if entry["index"] == name]
        look = KINDS.index(found[0]["kind"])
        ax.plot(
            [entry["speed"] for entry in found], [entry["recall@100"] for entry in found],
            color=PALETTE[look], marker=MARKERS[look], linestyle=DASHES[look % len(DASHES)],
            mfc="none" if found[0]["settings"]["rescore"] else None, markersize=8,
            label=f"{name}: {found[0]['bytes_per_vector']:,.0f} B",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.legend(fontsize=10, ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.17))
    return label(ax, "Which index?", "queries a second, exact = 1", "recall@100 of exact search")
