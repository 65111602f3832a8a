"""One picture for each mechanism, the kind one draws on a slide: boxes, arrows, few words.

Each function draws on the axes given or on new ones, in the style of plots.py, and returns them.
"""

from math import cos, radians, sin
from typing import TYPE_CHECKING

from contriever_lite.plots import BLUE, GREY, ORANGE, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def canvas(width: float, height: float, ax: "Axes | None" = None) -> "Axes":
    """Empty axes of width x height units without frame or ticks; both ways a unit is as long."""
    import matplotlib.pyplot as plt

    if ax is None:
        ax = plt.subplots(figsize=(6.4, 6.4 * height / width))[1]
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def box(
    ax: "Axes", x: float, y: float, w: float, h: float, text: str = "", colour: str = GREY,
    filled: float = 0.25,
) -> None:  # fmt: skip
    """A rectangle with its lower left corner at (x, y) and a word in the middle."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), w, h, facecolor=to_rgba(colour, filled), edgecolor=colour))
    ax.text(x + w / 2, y + h / 2, text, ha="center", va="center")


def arrow(
    ax: "Axes", start: tuple[float, float], end: tuple[float, float], text: str = "",
    colour: str = GREY, dashed: bool = False,
) -> None:  # fmt: skip
    """An arrow from start to end; dashed where no gradient flows."""
    style = {"arrowstyle": "-|>", "color": colour, "linestyle": "--" if dashed else "-", "lw": 1.8}
    ax.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    ax.text(*middle, text, ha="center", va="bottom", fontsize=10)


def two_views(ax: "Axes | None" = None) -> "Axes":
    """One document, a letter a token, cut both ways: two crops that share their letters in the
    middle and have each lost two to deletion, and inverse cloze, whose key is what is left."""
    ax = canvas(20, 13, ax)
    document = "abcdefghijklmnop"
    strips = (
        (10.6, "document", GREY, document, ""),
        (7.4, "query", BLUE, "cdefghij", "dh"),
        (5.8, "key", ORANGE, "hijklmno", "jm"),
        (2.0, "query", BLUE, "ghijk", ""),
        (0.4, "key", ORANGE, "abcdeflmnop", ""),
    )
    for y, name, colour, letters, deleted in strips:
        ax.text(3.4, y + 0.5, name, ha="right", va="center")
        for letter in letters:
            x = 3.8 + document.index(letter)
            box(ax, x, y, 1, 1, letter, colour, 0.05 if letter in deleted else 0.2)
            if letter in deleted:
                ax.plot([x, x + 1], [y, y + 1], color=RED, lw=2)
    for y, words in (
        (12.0, "One document"),
        (8.8, "Two crops, drawn apart, and deletion"),
        (3.4, "Inverse cloze: the key is the rest"),
    ):
        ax.text(3.8, y, words, fontweight="bold", va="bottom")
    return ax


def queue(ax: "Axes | None" = None) -> "Axes":
    """Past keys in a ring, a number for the age of each batch of them, the darker the younger. The
    loss reads them all; then the step's own keys are pushed over the oldest."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Wedge

    ax, ages, (x, y) = canvas(20, 11.6, ax), 12, (15.2, 3.9)
    for age in range(1, ages + 1):
        turn = 180 - 360 / ages * age
        ring = Wedge((x, y), 3.9, turn - 180 / ages, turn + 180 / ages, width=1.6)
        ring.set(facecolor=to_rgba(ORANGE, 0.62 - 0.05 * age), edgecolor=GREY)
        ax.add_patch(ring)
        at = x + 3.1 * cos(radians(turn)), y + 3.1 * sin(radians(turn))
        ax.text(*at, str(age), ha="center", va="center", fontsize=10)
    ax.text(x, y, "queue:\nage in\npushes", ha="center", va="center", fontsize=10)
    box(ax, 0.1, 6.2, 4.5, 2, "encoder")
    box(ax, 7, 9.4, 2, 2, "q", BLUE)
    box(ax, 7, 2.9, 2, 2, "k", ORANGE, 0.6)
    box(ax, 13.2, 9.4, 4, 2, "loss")
    arrow(ax, (4.6, 7.6), (7, 9.9), colour=BLUE)
    arrow(ax, (9, 10.4), (13.2, 10.4), "gradient", BLUE)
    arrow(ax, (4.6, 6.8), (7, 4.6), dashed=True)
    arrow(ax, (9, 4.7), (13.2, 9.5), dashed=True)
    arrow(ax, (9, 3.9), (11.3, 3.9), "push", dashed=True)
    arrow(ax, (x, 7.8), (x, 9.4), dashed=True)
    return ax


def in_batch(ax: "Axes | None" = None) -> "Axes":
    """The scores of a batch of six texts, each query's in a row, one text being another's copy. The
    diagonal holds the positives; the softmax runs along a row, and down a column if symmetric."""
    names, copies = ("Tire", "Rice", "Jazz", "Tire, copied", "Road", "Moon"), {(0, 3), (3, 0)}
    ax, side = canvas(16, 10.8, ax), 1.3
    for i, name in enumerate(names):
        top = 6.7 - side * i
        ax.text(4.2, top + side / 2, name, ha="right", va="center")
        ax.text(4.9 + side * i, 8.2, name, rotation=45, va="bottom")
        for j in range(len(names)):
            look = ("-", GREY, 0.05) if i != j else ("+", BLUE, 0.45)
            look = ("?", RED, 0.35) if (i, j) in copies else look
            box(ax, 4.5 + side * j, top, side, side, *look)
    for x, y, w, h, dashes in ((4.5, 5.4, 7.8, side, "-"), (8.4 - side, 0.2, side, 7.8, "--")):
        ax.plot([x, x + w, x + w, x, x], [y, y, y + h, y + h, y], dashes, color=BLUE, lw=3)
    ax.text(12.6, 6.05, "softmax", va="center", color=BLUE)
    ax.text(12.6, 2.15, "-  negative\n+  positive\n?  false\n    negative", va="center")
    ax.text(4.2, 8.2, "queries", ha="right", fontweight="bold")
    ax.text(12.6, 8.2, "keys", fontweight="bold")
    return ax


def moco_step(ax: "Axes | None" = None) -> "Axes":
    """One step of MoCo, from left to right, in the order of its numbers: the encoder above, which
    learns, and its slow copy below, which follows; dashed where no gradient flows."""
    ax = canvas(20, 12.4, ax)
    box(ax, 0.1, 9.4, 3.6, 2.2, "encoder\nθ", BLUE)
    box(ax, 16.2, 9.4, 3.6, 2.2, "encoder\nθ'", BLUE, 0.4)
    box(ax, 0.1, 1.4, 3.6, 2.2, "slow copy\n$θ_k$", ORANGE)
    box(ax, 16.2, 1.4, 3.6, 2.2, "slow copy\n$θ_k$'", ORANGE, 0.4)
    box(ax, 6, 9.6, 1.8, 1.8, "q", BLUE)
    box(ax, 6, 1.6, 1.8, 1.8, "k", ORANGE)
    box(ax, 10.2, 1.6, 3.8, 1.8, "queue", ORANGE, 0.1)
    box(ax, 9.4, 5.7, 3.2, 1.8, "3 loss")
    arrow(ax, (3.7, 10.5), (6, 10.5), "1", BLUE)
    arrow(ax, (3.7, 2.5), (6, 2.5), "2", dashed=True)
    arrow(ax, (7.8, 9.9), (9.9, 7.5), colour=BLUE)
    arrow(ax, (7.5, 3.4), (9.9, 5.7), dashed=True)
    arrow(ax, (12.1, 3.4), (12.1, 5.7), dashed=True)
    arrow(ax, (12.6, 7.2), (16.2, 9.8), colour=BLUE)
    ax.text(14.1, 8.9, "4 step", ha="right")
    arrow(ax, (7.8, 2.5), (10.2, 2.5), "5 push", dashed=True)
    arrow(ax, (18, 9.4), (18, 3.6), dashed=True)
    ax.text(17.7, 6.3, "6 follow", ha="right")
    ax.text(10, 0.1, "$θ_k$' = $m\\,θ_k$ + $(1 - m)\\,$θ'", ha="center")
    return ax


def ablation(ax: "Axes | None" = None) -> "Axes":
    """An ablation: the same seeds and queries scored (in tenths) under the base and under one
    change, the differences cell by cell, and their mean with its interval."""
    import numpy as np

    ax = canvas(20, 12.2, ax)
    base, changed = np.array([list(map(int, row)) for row in (
        "583617", "593526", "483618", "683727", "584636", "593529"
    )]).reshape(2, 3, 6)  # fmt: skip
    for x, y, name, values, colour in (
        (2.2, 7.4, "base", base, GREY),
        (2.2, 1.6, "one change", changed, BLUE),
        (12.6, 6.6, "difference", changed - base, ORANGE),
    ):
        ax.text(x, y + 3.3, name, fontweight="bold")
        for (i, j), value in np.ndenumerate(values):
            text = f"{value:+d}" if name == "difference" and value else str(value)
            box(ax, x + j, y + 2 - i, 1, 1, text, colour, 0.1 + 0.3 * (value != 0) * (x > 9))
    for y in (7.4, 1.6):
        ax.text(1.9, y + 1.5, "seeds", rotation=90, ha="right", va="center")
        ax.text(5.2, y - 0.2, "queries", ha="center", va="top")
        arrow(ax, (8.6, y + 1.5), (12.3, 8.1 if y > 5 else 7.3))
    differences = changed - base
    middle, half = differences.mean(), 2 * differences.std() / differences.size**0.5
    low, middle, high = (15.6 + 5 * end for end in (middle - half, middle, middle + half))
    arrow(ax, (15.6, 6.4), (15.6, 4.6))
    ax.plot([15.6, 15.6], [2.2, 4.4], "--", color=GREY)
    ax.plot([low, middle, high], [3.3] * 3, "|-", color=ORANGE, lw=2.2, markersize=14)
    ax.plot(middle, 3.3, "o", color=ORANGE, markersize=10)
    ax.text(15.6, 2.0, "0\nmean, and how sure", ha="center", va="top")
    return ax
