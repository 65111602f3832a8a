"""Pictures of what happens after training: lists that are fused, labels, reading both at once."""

from typing import TYPE_CHECKING

from contriever_lite.diagrams import arrow, box, canvas
from contriever_lite.plots import BLUE, GREY, ORANGE, RED

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fused_ranks(ax: "Axes | None" = None) -> "Axes":
    """Two rankings of letters, and what 1 / (60 + rank), added up, makes of them: the letter that
    both have, in second and third place, comes first."""
    ax, (left, right) = canvas(20, 11.6, ax), ("CADE", "BFAG")
    score = {d: sum(1 / (61 + x.index(d)) for x in (left, right) if d in x) for d in left + right}
    fused = sorted(score, key=lambda d: (score[d], d), reverse=True)[:4]
    for x, name, colour, letters in ((1.6, "BM25", BLUE, left), (16.4, "dense", ORANGE, right)):
        ax.text(x + 1, 10.3, name, ha="center", fontweight="bold")
        for rank, letter in enumerate(letters):
            both = letter in left and letter in right
            box(ax, x, 8 - 2 * rank, 2, 1.6, letter, colour, 0.6 if both else 0.2)
            ax.text(x + (-0.5 if x < 9 else 2.5), 8.8 - 2 * rank, str(rank + 1), ha="center",
                    va="center", fontsize=10)  # fmt: skip
    ax.text(10, 10.3, "fused", ha="center", fontweight="bold")
    for place, letter in enumerate(fused):
        box(ax, 9, 8 - 2 * place, 2, 1.6, letter, GREY, 0.6 if place == 0 else 0.2)
    for start, end, text, colour in (
        ((3.6, 8.8 - 2 * left.index("A")), (9, 8.9), "1/62", BLUE),
        ((16.4, 8.8 - 2 * right.index("A")), (11, 8.7), "1/63", ORANGE),
    ):
        arrow(ax, start, end, colour=colour)
        ax.text((start[0] + end[0]) / 2, 8.7, text, ha="center", va="center", fontsize=10)
    ax.text(10, 0.7, "1/62 + 1/63 is more than 1/61: two middling places beat one first",
            ha="center", va="center", fontsize=10)  # fmt: skip
    return ax


def seen_and_new(ax: "Axes | None" = None) -> "Axes":
    """Labels join queries to documents. A test query is new, and yet its answer may be one that a
    label named (test 1 and 2), or not (test 3): two different questions to ask of a model."""
    ax = canvas(20, 11.6, ax)
    rows = [7.9 - 1.9 * i for i in range(5)]
    for x, name in ((2.6, "training queries"), (10, "documents"), (17.4, "test queries")):
        ax.text(x, 10.4, name, ha="center", fontweight="bold")
    for i, y in enumerate(rows[:4]):
        box(ax, 1.0, y, 3.2, 1.4, f"label {i + 1}", GREY)
    named = {0: (0,), 1: (1,), 2: (1,), 3: (2,)}
    for i, y in enumerate(rows):
        seen = i in {d for answers in named.values() for d in answers}
        box(ax, 8.4, y, 3.2, 1.4, "abcde"[i], ORANGE if seen else GREY, 0.5 if seen else 0.1)
    for query, answers in named.items():
        for document in answers:
            arrow(ax, (4.2, rows[query] + 0.7), (8.4, rows[document] + 0.7))
    for query, (document, colour) in enumerate(((0, BLUE), (1, BLUE), (4, RED))):
        y = rows[(0, 1, 4)[query]]
        box(ax, 15.8, y, 3.2, 1.4, f"test {query + 1}", colour)
        arrow(ax, (15.8, y + 0.7), (11.6, rows[document] + 0.7), "new" if query == 2 else "seen",
              colour)  # fmt: skip
    return ax


def apart_and_together(ax: "Axes | None" = None) -> "Axes":
    """On the left two texts become two vectors, each alone, and one product compares them. On the
    right one model reads both, every word of each beside every word of the other."""
    ax = canvas(20, 12.4, ax)
    words = (("does", BLUE), ("it", BLUE), ("rain", BLUE), ("wet", ORANGE), ("day", ORANGE))
    for left, name in ((0.3, "vectors made apart"), (10.7, "a cross-encoder")):
        ax.text(left + 4.5, 11.4, name, ha="center", fontweight="bold")
        apart = left < 10
        places = [left + 1.85 * i + (0.2 if apart and i > 2 else 0) for i in range(5)]
        for x, (word, colour) in zip(places, words, strict=True):
            box(ax, x, 0.3, 1.7, 1.3, word, colour)
            box(ax, x, 4.3, 1.7, 1.3, "", colour, 0.5)
        for i, x in enumerate(places):
            for j, other in enumerate(places):
                if not apart or (i < 3) == (j < 3):
                    across = words[i][1] != words[j][1]
                    ax.plot([x + 0.85, other + 0.85], [1.6, 4.3], color=RED if across else GREY,
                            lw=1.6 if across else 0.8)  # fmt: skip
        if apart:
            for x, to, text, colour in ((2.95, 2.95, "q", BLUE), (7.6, 7.6, "d", ORANGE)):
                arrow(ax, (x, 5.6), (to, 6.9))
                box(ax, to - 1, 6.9, 2, 1.3, text, colour, 0.5)
                arrow(ax, (to, 8.2), (5.3, 9.4))
            box(ax, 3.6, 9.4, 3.4, 1.3, "q · d")
        else:
            arrow(ax, (left + 4.5, 5.6), (left + 4.5, 9.4))
            box(ax, left + 2.8, 9.4, 3.4, 1.3, "score")
    return ax
