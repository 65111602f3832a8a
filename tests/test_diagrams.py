"""Diagrams: each is drawn, says its words, and is the same each time."""

from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.patches import Wedge

from contriever_lite import diagrams, diagrams_retrieval, diagrams_training, plots
from contriever_lite.fusion import reciprocal_rank_fusion
from contriever_lite.metrics import ranking

# diagram -> some of the words that must be read in it
WORDS: dict[Callable, tuple[str, ...]] = {
    diagrams.two_views: ("document", "query", "key", "Inverse cloze: the key is the rest"),
    diagrams.queue: ("encoder", "q", "k", "loss", "gradient", "push"),
    diagrams.in_batch: ("queries", "keys", "softmax", "Tire", "Tire, copied", "Jazz"),
    diagrams.moco_step: ("encoder\nθ", "q", "k", "queue", "3 loss", "4 step", "5 push", "6 follow"),
    diagrams.ablation: ("base", "one change", "difference", "seeds", "queries"),
    diagrams_training.bag_and_transformer: ("bag", "transformer", "dog", "sum", "mean", "layer 2"),
    diagrams_training.kill_and_resume: ("killed", "resumed", "kill -9", "state", "same bits"),
    diagrams_training.one_number: ("search", "ranking", "judgements", "which queries count?"),
    diagrams_retrieval.fused_ranks: ("BM25", "dense", "fused", "1/62", "1/63"),
    diagrams_retrieval.seen_and_new: (
        "training queries",
        "documents",
        "test queries",
        "seen",
        "new",
    ),
    diagrams_retrieval.apart_and_together: ("q", "d", "q · d", "a cross-encoder", "score"),
}


@pytest.fixture(autouse=True)
def screenless() -> Iterator[None]:
    backend = mpl.get_backend()
    plt.switch_backend("Agg")
    with mpl.rc_context():
        plots.use_style()
        yield
    plt.close("all")
    plt.switch_backend(backend)


def words(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def pixels(ax: plt.Axes) -> bytes:
    ax.figure.canvas.draw()
    return bytes(ax.figure.canvas.buffer_rgba())


@pytest.mark.parametrize("diagram", WORDS, ids=lambda diagram: diagram.__name__)
def test_a_diagram_has_its_words_and_is_the_same_each_time(diagram: Callable) -> None:
    first, again = diagram(), diagram()
    assert set(WORDS[diagram]) <= set(words(first))
    assert pixels(first) == pixels(again) != pixels(plt.subplots()[1])
    assert not first.axison


@pytest.mark.parametrize("diagram", WORDS, ids=lambda diagram: diagram.__name__)
def test_a_diagram_can_be_drawn_on_axes_of_ones_own(diagram: Callable) -> None:
    ax = plt.subplots()[1]
    assert diagram(ax=ax) is ax


def letters_at(ax: plt.Axes, height: float) -> str:
    """The tokens of one strip of `two_views`, from the left."""
    letters = [t for t in ax.texts if len(t.get_text()) == 1]
    strip = [t for t in letters if abs(t.get_position()[1] - height) < 0.3]
    strip = sorted((t.get_position()[0], t.get_text()) for t in strip)
    return "".join(letter for _, letter in strip)


def test_two_views_shows_what_it_says() -> None:
    """Crops are runs of the document and overlap; inverse cloze divides it."""
    ax = diagrams.two_views()
    document, query, key, span, rest = (letters_at(ax, y) for y in (11.1, 7.9, 6.3, 2.5, 0.9))
    assert query in document
    assert key in document
    assert set(query) & set(key)
    assert span in document
    assert sorted(span + rest) == list(document)
    assert len(ax.lines) == 4, "two tokens of each crop are crossed out"


def test_queue_ages_around_the_ring() -> None:
    """The younger, the darker; the oldest lies where the push comes in; one gradient, four none."""
    ax = diagrams.queue()
    wedges = [patch for patch in ax.patches if isinstance(patch, Wedge)]
    shades = [wedge.get_facecolor()[3] for wedge in wedges]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 12
    ages = {t.get_text(): t.get_position() for t in ax.texts if t.get_text().isdigit()}
    assert set(ages) == {str(age) for age in range(1, 13)}
    assert min(ages, key=lambda age: ages[age][0]) == "12"
    push = next(text for text in ax.texts if text.get_text() == "push")
    assert push.get_position()[1] == pytest.approx(ages["12"][1])


def test_in_batch_has_a_positive_in_each_row_and_two_false_negatives() -> None:
    """The diagonal is positive; the cells of a text and its copy, and no others, are false."""
    signs = {t.get_position(): t.get_text() for t in diagrams.in_batch().texts}
    x, y = (sorted({at[axis] for at, sign in signs.items() if sign == "-"}) for axis in (0, 1))
    rows = ["".join(signs[across, up] for across in x) for up in reversed(y)]
    assert rows == ["+--?--", "-+----", "--+---", "?--+--", "----+-", "-----+"]


def test_moco_step_tells_its_order_from_left_to_right() -> None:
    """Numbers 1 to 6, once each; of eight arrows three are solid: encoder, q, loss, encoder."""
    ax = diagrams.moco_step()
    numbers = [word.split()[0] for word in words(ax) if word[:1].isdigit()]
    assert sorted(numbers) == list("123456")
    arrows = [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None)]
    solid = [arrow for arrow in arrows if arrow.get_linestyle() in ("-", "solid")]
    assert (len(solid), len(arrows)) == (3, 8)
    starts = {text.get_text(): text.get_position() for text in ax.texts}
    assert starts["encoder\nθ"][0] < starts["q"][0] < starts["encoder\nθ'"][0]


def test_an_ablation_subtracts_cell_by_cell() -> None:
    """The digits of the third grid are those of the second less the first; the dot is their mean,
    the interval two standard errors either way."""
    ax = diagrams.ablation()
    cells = {
        t.get_position(): t.get_text() for t in ax.texts if t.get_text().lstrip("+-").isdigit()
    }
    grids = [
        [int(cells[x + j, y + i]) for i in range(3) for j in range(6)]
        for x, y in ((2.7, 7.9), (2.7, 2.1), (13.1, 7.1))
    ]
    base, changed, differences = map(np.array, grids)
    assert differences.tolist() == (changed - base).tolist()
    line, dot = (line.get_xdata() for line in ax.lines[-2:])
    assert dot[0] == pytest.approx(15.6 + 5 * differences.mean())
    half = 5 * 2 * differences.std() / 18**0.5
    assert list(line) == pytest.approx([dot[0] - half, dot[0], dot[0] + half])


def test_in_a_transformer_every_token_sees_every_token() -> None:
    """Nine threads in each of two layers, none in the bag; both join three arrows in one vector."""
    ax = diagrams_training.bag_and_transformer()
    threads = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in ax.lines}
    assert len(threads) == 2 * 9
    assert min(x for across, _ in threads for x in across) > 10, "the bag has none"
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    joined = [text.xy for text in arrows if text.xy[1] > 10]
    assert sorted(joined) == [(4.75, 10.8)] * 3 + [(14.95, 10.8)] * 3


def test_a_killed_run_goes_on_after_its_last_state() -> None:
    """Three rows: 1 to 12, 1 to 10, 9 to 12; a state stands below the end of steps 4 and 8."""
    ax = diagrams_training.kill_and_resume()
    at = [(t.get_text(), *t.get_position()) for t in ax.texts]
    rows: dict[float, list[int]] = {}
    for text, _, y in at:
        if text.isdigit():
            rows.setdefault(y, []).append(int(text))
    top, middle, bottom = (rows[y] for y in sorted(rows, reverse=True))
    assert (top, middle) == (list(range(1, 13)), list(range(1, 11)))
    states = sorted(x for text, x, _ in at if text == "state")
    places = {n: next(x for text, x, _ in at if text == str(n)) for n in (4, 5, 8, 9)}
    assert states == pytest.approx([(places[4] + places[5]) / 2, (places[8] + places[9]) / 2])
    assert bottom == [9, 10, 11, 12]


def test_on_three_gpus_keys_are_gathered_and_gradients_averaged() -> None:
    """Gradient flows, undashed and blue, from each q to its loss and on to the average alone."""
    ax = diagrams_training.gathered()
    words = [text.get_text() for text in ax.texts]
    for word in ("q", "k", "all k", "queue", "loss"):
        assert words.count(word) == 3
    arrows = [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None)]
    dashed = [arrow for arrow in arrows if arrow.get_linestyle() == "--"]
    assert len(arrows) == 3 * 7 + 4
    assert len(dashed) == 3 * 3 + 4


def columns(ax: plt.Axes) -> dict[float, str]:
    """x -> the letters that stand there, from above."""
    found: dict[float, list[tuple[float, str]]] = {}
    for text in ax.texts:
        if text.get_text() in set("ABCDEFG"):
            x, y = text.get_position()
            found.setdefault(x, []).append((-y, text.get_text()))
    return {x: "".join(letter for _, letter in sorted(found[x])) for x in sorted(found)}


def test_fused_ranks_are_those_of_reciprocal_rank_fusion() -> None:
    left, fused, right = columns(diagrams_retrieval.fused_ranks()).values()
    runs = [{"q": {d: -float(i) for i, d in enumerate(letters)}} for letters in (left, right)]
    assert "".join(ranking(reciprocal_rank_fusion(runs)["q"])[:4]) == fused
    assert fused[0] not in (left[0], right[0])


def test_seen_and_new_points_as_it_says() -> None:
    """A test query is seen if, and only if, its arrow ends where a label's does."""
    ax = diagrams_retrieval.seen_and_new()
    arrows = [t.xy for t in ax.texts if getattr(t, "arrow_patch", None)]
    labels, tests = ({y for x, y in arrows if x == side} for side in (8.4, 11.6))
    words = {t.get_position()[1]: t.get_text() for t in ax.texts if t.get_text() in ("seen", "new")}
    assert {y: y in labels for y in tests} == {y: words[y] == "seen" for y in tests}
    assert len(tests) == 3


def test_only_the_cross_encoder_joins_the_two_texts() -> None:
    """Three words and two: 3 x 3 + 2 x 2 threads apart, 5 x 5 together."""
    ax = diagrams_retrieval.apart_and_together()
    left = [line for line in ax.lines if line.get_xdata()[0] < 10]
    assert (len(left), len(ax.lines) - len(left)) == (13, 25)
    assert sum(line.get_color() == plots.RED for line in ax.lines) == 12
