"""Figures of search: what an index gains in speed and bytes, and what it misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contriever_lite.plots import label, lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def index_chart(indexes: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """To choose an index from: recall@100 over speed (queries a second, exact search 1), a curve an
    index, its bytes a vector in the legend. indexes: entries of data/runs/indexes/indexes.json;
    those of an index that differ in what is chosen at each search (probes, width) make its curve.
    """
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for entry in indexes:
        name = f"{entry['index']}, {entry['bytes_per_vector']:,.0f} bytes"
        speeds, recalls = curves.setdefault(name, ([], []))
        speeds.append(entry["speed"])
        recalls.append(entry["recall@100"])
    ax = lines(curves, ax)
    ax.set_xscale("log")
    if ax.get_legend():
        ax.legend(fontsize=9, loc="lower left")
    return label(ax, "Which index?", "queries a second, exact = 1", "recall@100 of exact search")
