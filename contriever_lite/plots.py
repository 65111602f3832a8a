"""Every figure the book draws, in one style: legible on a light and a dark page, on a phone, and by
colour-blind readers (Okabe and Ito's palette, markers and labels beside colour).

Each function takes plain data, draws on the axes given or on new ones, and returns them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
MARKERS = "osD^vP"
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx", "--", "\\\\")
GREY = "#808080"


def use_style() -> None:
    """Set matplotlib's defaults for the book: transparent, mid-grey lettering, large type."""
    import matplotlib as mpl

    mpl.rcParams.update({
        "figure.figsize": (6.4, 3.8),
        "figure.dpi": 110,
        "savefig.transparent": True,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "axes.edgecolor": GREY,
        "axes.labelcolor": GREY,
        "axes.titlecolor": GREY,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": mpl.cycler(color=PALETTE),
        "axes.grid": True,
        "grid.color": GREY,
        "grid.alpha": 0.25,
        "text.color": GREY,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "legend.frameon": False,
        "font.size": 12,
        "lines.linewidth": 2.2,
        "figure.constrained_layout.use": True,
    })  # fmt: skip


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots()[1]


def label(ax: "Axes", title: str, x: str, y: str) -> "Axes":
    """Title and axis labels; every figure has all three, with units."""
    ax.set(title=title, xlabel=x, ylabel=y)
    return ax


def lines(series: Mapping[str, tuple[Sequence[float], ...]], ax: "Axes | None" = None) -> "Axes":
    """One curve per name: name -> (x, y), or (x, y, low, high) with a band, told apart by colour
    and dashes, and by marker where few points."""
    ax = _axes(ax)
    for i, (name, (x, y, *band)) in enumerate(series.items()):
        marker = MARKERS[i % len(MARKERS)] if len(x) <= 20 else None
        colour, dashes = PALETTE[i % len(PALETTE)], DASHES[i % len(DASHES)]
        ax.plot(x, y, label=name, marker=marker, color=colour, linestyle=dashes)
        if band:
            ax.fill_between(x, *band, color=colour, alpha=0.2, linewidth=0)
    if len(series) > 1:
        ax.legend()
    return ax


def intervals(scores: Mapping[str, tuple[float, float, float]], ax: "Axes | None" = None) -> "Axes":
    """A dot with its interval for each name: name -> (mean, low, high), the first on top."""
    ax = _axes(ax)
    places = np.arange(len(scores))[::-1]
    for i, (place, (mean, low, high)) in enumerate(zip(places, scores.values(), strict=True)):
        colour = PALETTE[i % len(PALETTE)]
        ax.errorbar(
            mean, place, xerr=[[mean - low], [high - mean]],
            fmt=MARKERS[i % len(MARKERS)], color=colour, capsize=4, markersize=8,
        )  # fmt: skip
        ax.annotate(f"{mean:.3f}", (mean, place), (0, 9), textcoords="offset points", ha="center")
    ax.set_yticks(places, list(scores))
    ax.set_ylim(-0.6, len(scores) - 0.3)
    ax.grid(axis="y", visible=False)
    return ax


def forest(
    groups: Mapping[str, Sequence[tuple[float, float, float]]], legend: Sequence[str] = (),
    ax: "Axes | None" = None,
) -> "Axes":  # fmt: skip
    """Differences about 0: name -> (mean, low, high) of each, close together, the first on top;
    filled where the interval leaves 0 out. legend: what the first, second, ... of a name are."""
    ax = _axes(ax)
    place, ticks = 0, []
    for found in groups.values():
        ticks.append(place - (len(found) - 1) / 2)
        for i, (mean, low, high) in enumerate(found):
            look = i % len(MARKERS) if legend else 0
            ax.errorbar(
                mean, place, xerr=[[mean - low], [high - mean]], fmt=MARKERS[look], lw=1.4,
                color=PALETTE[look], mfc=PALETTE[look] if low > 0 or high < 0 else "none",
                label=legend[i] if legend and len(ticks) == 1 else None,
            )  # fmt: skip
            place -= 1
        place -= 1
    ax.legend(ncols=len(legend), loc="upper left") if legend else None
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_yticks(ticks, list(groups))
    ax.grid(axis="y", visible=False)
    return ax


def histogram(
    samples: Mapping[str, Sequence[float]], bins: int | Sequence[float] = 40,
    ax: "Axes | None" = None,
) -> "Axes":  # fmt: skip
    """Overlaid distributions: name -> values, as shares of each sample."""
    ax = _axes(ax)
    edges = np.histogram_bin_edges(np.concatenate([np.asarray(v) for v in samples.values()]), bins)
    for i, (name, values) in enumerate(samples.items()):
        share = np.full(len(values), 1 / max(1, len(values)))
        colour = PALETTE[i % len(PALETTE)]
        ax.hist(values, edges, weights=share, alpha=0.55, label=name, color=colour)
    ax.legend()
    return ax


def bars(values: Mapping[str, float], ax: "Axes | None" = None) -> "Axes":
    """A horizontal bar for each name, the first on top, its value written beside it."""
    ax = _axes(ax)
    places = np.arange(len(values))[::-1]
    drawn = ax.barh(places, list(values.values()), color=BLUE)
    ax.bar_label(drawn, fmt="%.3g", padding=4, color=GREY)
    ax.set_yticks(places, list(values))
    ax.grid(axis="y", visible=False)
    return ax


def stacked(parts: Mapping[str, Mapping[str, float]], ax: "Axes | None" = None) -> "Axes":
    """Horizontal bars made of parts: bar -> part -> length, the first bar on top; parts differ in
    colour and hatching."""
    ax = _axes(ax)
    places = np.arange(len(parts))[::-1]
    left = np.zeros(len(parts))
    for i, name in enumerate(dict.fromkeys(name for bar in parts.values() for name in bar)):
        width = np.array([bar.get(name, 0.0) for bar in parts.values()])
        ax.barh(
            places, width, left=left, label=name, edgecolor="white",
            color=PALETTE[i % len(PALETTE)], hatch=HATCHES[i % len(HATCHES)],
        )  # fmt: skip
        left += width
    ax.set_yticks(places, list(parts))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    return ax


def scatter(
    x: Sequence[float], y: Sequence[float], names: Sequence[str] = (), ax: "Axes | None" = None
) -> "Axes":
    """Points, with a name beside each where names are given, and the diagonal x = y."""
    ax = _axes(ax)
    ax.scatter(x, y, color=BLUE, alpha=0.75, edgecolors="none")
    low, high = min(*x, *y), max(*x, *y)
    ax.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle="--")
    for point in zip(names, x, y, strict=bool(names)) if names else ():
        ax.annotate(point[0], point[1:], (5, 4), textcoords="offset points", fontsize=10)
    return ax


def heatmap(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], ax: "Axes | None" = None,
    digits: int = 2,
) -> "Axes":  # fmt: skip
    """A matrix with its numbers written in, rows from the top."""
    ax = _axes(ax)
    ax.imshow(values, cmap="cividis", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (i, j), value in np.ndenumerate(values):
        ink = "white" if value < middle else "black"
        ax.text(j, i, f"{value:.{digits}f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    ax.set_yticks(range(len(rows)), rows)
    ax.grid(visible=False)
    return ax
