"""Pictures of mechanisms, continued: transformers, and what happens around a training run.

As in diagrams.py, each function draws on the axes given or on new ones and returns them.
"""

from typing import TYPE_CHECKING

from contriever_lite.diagrams import arrow, box, canvas
from contriever_lite.plots import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bag_and_transformer(ax: "Axes | None" = None) -> "Axes":
    """The same three words read twice, from below: a bag adds up a vector for each; a transformer
    gives each its place, lets every token look at every token in each layer, and takes the mean."""
    ax, words = canvas(20, 13.4, ax), ("dog", "bites", "man")
    for left, name, colour in ((0.3, "bag", ORANGE), (10.5, "transformer", BLUE)):
        ax.text(left + 4.4, 12.6, name, ha="center", fontweight="bold")
        for i, word in enumerate(words):
            box(ax, left + 3.1 * i, 0.2, 2.7, 1.2, word)
            box(ax, left + 3.1 * i, 2.6, 2.7, 1.2, "vector" if colour == ORANGE else "", colour)
            arrow(ax, (left + 1.35 + 3.1 * i, 1.4), (left + 1.35 + 3.1 * i, 2.6))
            top = 3.8 if colour == ORANGE else 8.8
            arrow(ax, (left + 1.35 + 3.1 * i, top), (left + 4.45, 10.8), colour=colour)
        box(ax, left + 3.1, 10.8, 2.7, 1.2, "sum" if colour == ORANGE else "mean", colour, 0.5)
    for i in range(3):
        ax.text(11.85 + 3.1 * i, 3.2, f"+ place {i + 1}", ha="center", va="center", fontsize=10)
        for layer, bottom in enumerate((3.8, 6.3)):
            box(ax, 10.5 + 3.1 * i, bottom + 1.3, 2.7, 1.2, f"layer {layer + 1}", BLUE, 0.15)
            for j in range(3):
                ends = (11.85 + 3.1 * j, bottom), (11.85 + 3.1 * i, bottom + 1.3)
                ax.plot(*zip(*ends, strict=True), color=GREY, lw=1.2)
    return ax
