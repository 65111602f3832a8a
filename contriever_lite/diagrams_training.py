"""Pictures of mechanisms, continued: transformers, what happens around a training run, evaluation.

As in diagrams.py, each function draws on the axes given or on new ones and returns them.
"""

from typing import TYPE_CHECKING

from contriever_lite.diagrams import arrow, box, canvas
from contriever_lite.plots import BLUE, GREY, ORANGE, RED

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


def kill_and_resume(ax: "Axes | None" = None) -> "Axes":
    """A run of twelve steps that saves its state after steps 4 and 8, and the same run killed in
    step 11: it goes on from the last state, does steps 9 and 10 again, and ends at the same
    weights."""
    ax = canvas(20, 12.6, ax)
    left, wide, last = 2.6, 1.15, 12

    def steps(first: int, to: int, y: float, again: int = 0) -> None:
        for n in range(first, to + 1):
            look = (ORANGE, 0.4) if n <= again else (BLUE, 0.25)
            box(ax, left + wide * (n - 1), y, wide, 1.3, str(n), *look)

    for y, name in ((9.6, "never\nstopped"), (5.6, "killed"), (1.0, "resumed")):
        ax.text(2.3, y + 0.65, name, ha="right", va="center")
    steps(1, last, 9.6)
    steps(1, 10, 5.6)
    steps(9, last, 1.0, again=10)
    ax.text(left + 10.5 * wide, 6.25, "kill -9", color=RED, ha="left", va="center")
    for n in (4, 8):
        box(ax, left + wide * n - 1.1, 3.2, 2.2, 1.2, "state", GREY)
        arrow(ax, (left + wide * n, 5.6), (left + wide * n, 4.4))
    arrow(ax, (left + wide * 8, 3.2), (left + wide * 8.4, 2.3))
    for y in (9.6, 1.0):
        box(ax, 18.0, y, 1.6, 1.3, "θ", BLUE, 0.45)
        arrow(ax, (left + wide * last, y + 0.65), (18.0, y + 0.65), colour=BLUE)
    arrow(ax, (18.8, 6.9), (18.8, 9.6))
    arrow(ax, (18.8, 5.6), (18.8, 2.3))
    ax.text(18.8, 6.25, "same bits", ha="center", va="center")
    ax.text(left + wide * 9, 0.7, "again", ha="center", va="top", color=ORANGE)
    ax.text(left, 11.2, "steps", va="bottom")
    return ax


def gathered(ax: "Axes | None" = None) -> "Axes":
    """One step of MoCo on three GPUs, from above: each encodes its share of the documents; the keys
    go round, so that all queues stay alike; the gradients are averaged, so that all weights do."""
    ax = canvas(20, 13.2, ax)
    for i in range(3):
        left = 0.4 + 6.7 * i
        ax.text(left + 2.9, 12.5, f"GPU {i}", ha="center", fontweight="bold")
        box(ax, left, 10.8, 5.8, 1.2, f"documents, part {i + 1}")
        box(ax, left, 8.2, 2.6, 1.2, "q", BLUE)
        box(ax, left + 3.2, 8.2, 2.6, 1.2, "k", ORANGE)
        for x in (left + 1.3, left + 4.5):
            arrow(ax, (x, 10.8), (x, 9.4))
        arrow(ax, (left + 4.5, 8.2), (left + 4.5, 7.2), dashed=True)
        box(ax, left + 3.2, 3.8, 2.6, 1.2, "queue", ORANGE, 0.1)
        arrow(ax, (left + 4.5, 6.0), (left + 4.5, 5.0), dashed=True)
        box(ax, left, 3.8, 2.6, 1.2, "loss")
        arrow(ax, (left + 1.3, 8.2), (left + 1.3, 5.0), colour=BLUE)
        arrow(ax, (left + 3.2, 4.4), (left + 2.6, 4.4), dashed=True)
        arrow(ax, (left + 1.3, 3.8), (left + 1.3, 1.6), colour=BLUE)
        box(ax, left + 3.2, 6.0, 2.6, 1.2, "all k", ORANGE, 0.5)
        if i < 2:
            arrow(ax, (left + 5.8, 6.6), (left + 9.9, 6.6), dashed=True)
            arrow(ax, (left + 9.9, 6.9), (left + 5.8, 6.9), dashed=True)
    box(ax, 0.4, 0.4, 19.2, 1.2, "gradients, averaged over all GPUs", BLUE, 0.3)
    return ax


def one_number(ax: "Axes | None" = None) -> "Axes":
    """How an evaluation becomes one number, from above, and the six decisions on the way (red) that
    move it."""
    ax = canvas(20, 15, ax)
    box(ax, 0.2, 13.2, 5.6, 1.4, "documents")
    box(ax, 0.2, 9.4, 5.6, 1.4, "queries")
    box(ax, 0.2, 5.5, 5.6, 1.4, "judgements")
    stages = (
        (11.3, "search", "titles?   dot or cosine?", BLUE),
        (8.4, "ranking", "itself left out?   ties?", GREY),
        (5.5, "measure", "recall capped?", GREY),
        (2.6, "average", "which queries count?", GREY),
    )
    for y, name, question, colour in stages:
        box(ax, 8.2, y, 4.2, 1.4, name, colour)
        ax.text(12.8, y + 0.7, question, color=RED, va="center", fontsize=11)
        if y > 3:
            arrow(ax, (10.3, y), (10.3, y - 1.5))
    arrow(ax, (5.8, 13.9), (8.2, 12.5))
    arrow(ax, (5.8, 10.3), (8.2, 11.6))
    arrow(ax, (5.8, 6.2), (8.2, 6.2))
    arrow(ax, (10.3, 2.6), (10.3, 1.4))
    ax.text(10.3, 0.7, "mean [low, high]", ha="center", va="center", fontweight="bold")
    return ax
