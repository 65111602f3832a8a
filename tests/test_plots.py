"""Figures: drawn without a screen, from exactly the numbers given."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from contriever_lite import plots


@pytest.fixture(autouse=True)
def screenless() -> Iterator[None]:
    backend = mpl.get_backend()
    plt.switch_backend("Agg")
    with mpl.rc_context():
        yield
    plt.close("all")
    plt.switch_backend(backend)


def draw(ax: plt.Axes) -> None:
    ax.figure.canvas.draw()


def names(ax: plt.Axes, axis: str = "y") -> list[str]:
    return [tick.get_text() for tick in getattr(ax, f"get_{axis}ticklabels")()]


def legend(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_style_is_set_and_drawn_with() -> None:
    plots.use_style()
    assert mpl.rcParams["savefig.transparent"] is True
    ax = plots.bars({"a": 1.0})
    draw(ax)
    assert not ax.spines["top"].get_visible()


def test_labels() -> None:
    ax = plots.label(plt.subplots()[1], "Loss falls", "step", "loss (nats)")
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (
        "Loss falls",
        "step",
        "loss (nats)",
    )


def test_lines_hold_their_points() -> None:
    series = {"few": ([1, 2, 3], [3, 1, 2]), "many": (range(50), np.arange(50) ** 2)}
    ax = plots.lines(series)
    draw(ax)
    for line, (x, y) in zip(ax.get_lines(), series.values(), strict=True):
        assert line.get_xdata().tolist() == list(x)
        assert line.get_ydata().tolist() == list(y)
    few, many = ax.get_lines()
    assert (few.get_marker() != "None", many.get_marker() != "None") == (True, False)
    assert few.get_color() != many.get_color()
    assert few.get_linestyle() != many.get_linestyle(), "told apart without colour"
    assert legend(ax) == ["few", "many"]
    assert plots.lines({"alone": ([1], [1])}).get_legend() is None


def test_a_line_may_have_a_band() -> None:
    ax = plots.lines({"a": ([0, 1, 2], [1, 2, 3], [0.5, 1, 2], [2, 3, 4.5])})
    draw(ax)
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(0, 0.5), (0, 2), (1, 1), (1, 3), (2, 2), (2, 4.5)} <= corners


def test_intervals_hold_their_ends_the_first_on_top() -> None:
    scores = {"bm25": (0.5, 0.4, 0.55), "bag": (0.6, 0.55, 0.7)}
    ax = plots.intervals(scores)
    draw(ax)
    places = {}
    for container, (name, (mean, low, high)) in zip(ax.containers, scores.items(), strict=True):
        line, _, (bar,) = container.lines
        assert line.get_xdata().tolist() == [mean]
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [low, high])
        places[name] = line.get_ydata()[0]
    assert places["bm25"] > places["bag"]
    assert [t.get_text() for t in ax.texts] == ["0.500", "0.600"]
    assert names(ax) == ["bm25", "bag"]
    assert ax.get_yticks().tolist() == [places["bm25"], places["bag"]]


def test_a_forest_holds_its_intervals_and_fills_the_sure_ones() -> None:
    groups = {"a": [(0.1, 0.05, 0.2), (-0.1, -0.3, 0.1)], "b": [(-0.2, -0.3, -0.1)]}
    ax = plots.forest(groups, ["one", "two"])
    draw(ax)
    given = [interval for found in groups.values() for interval in found]
    heights, filled = [], []
    for container, (mean, low, high) in zip(ax.containers, given, strict=True):
        line, _, (bar,) = container.lines
        assert line.get_xdata().tolist() == [mean]
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [low, high])
        heights.append(line.get_ydata()[0])
        filled.append(line.get_markerfacecolor() != "none")
    assert filled == [True, False, True]
    assert heights == sorted(heights, reverse=True), "the first on top"
    assert heights[0] - heights[1] < heights[1] - heights[2], "a name's own stand close"
    assert legend(ax) == ["one", "two"]
    assert names(ax) == ["a", "b"]
    assert ax.get_yticks().tolist() == [(heights[0] + heights[1]) / 2, heights[2]]
    first, second, third = (container.lines[0].get_marker() for container in ax.containers)
    assert first == third != second, "told apart without colour"
    assert plots.forest({"a": [(0.0, -0.1, 0.1)] * 3}).get_legend() is None


def test_histograms_hold_the_share_of_each_bin() -> None:
    samples = {f"s{i}": np.linspace(0, 1, 10 + i) for i in range(8)}
    edges = [0, 0.25, 0.5, 1]
    ax = plots.histogram(samples, edges)
    draw(ax)
    assert legend(ax) == list(samples)
    for container, values in zip(ax.containers, samples.values(), strict=True):
        heights = [bar.get_height() for bar in container]
        np.testing.assert_allclose(heights, np.histogram(values, edges)[0] / len(values))
        assert sum(heights) == pytest.approx(1)


def test_bars_hold_their_values_the_first_on_top() -> None:
    values = {"one": 0.25, "two": 3.0}
    ax = plots.bars(values)
    draw(ax)
    assert [bar.get_width() for bar in ax.patches] == [0.25, 3.0]
    assert ax.patches[0].get_y() > ax.patches[1].get_y()
    assert [text.get_text() for text in ax.texts] == ["0.25", "3"]
    assert names(ax) == ["one", "two"]


def test_stacked_bars_stand_end_to_end() -> None:
    ax = plots.stacked({"a": {"x": 1, "y": 2}, "b": {"y": 3, "z": 0.5}})
    draw(ax)
    ends = {
        container.get_label(): [(bar.get_x(), bar.get_width()) for bar in container]
        for container in ax.containers
    }
    assert ends == {"x": [(0, 1), (1 - 1, 0)], "y": [(1, 2), (0, 3)], "z": [(3, 0), (3, 0.5)]}
    assert legend(ax) == ["x", "y", "z"]
    assert len({bar.get_hatch() for bar in ax.patches}) > 1, "told apart without colour"


def test_scatter_holds_its_points_names_and_diagonal() -> None:
    ax = plots.scatter([1, 2, 5], [3, 1, 2], ["a", "b", "c"])
    draw(ax)
    assert ax.collections[0].get_offsets().tolist() == [[1, 3], [2, 1], [5, 2]]
    assert [(t.get_text(), tuple(t.xy)) for t in ax.texts] == [
        ("a", (1, 3)), ("b", (2, 1)), ("c", (5, 2)),
    ]  # fmt: skip
    (diagonal,) = ax.get_lines()
    assert diagonal.get_xydata().tolist() == [[1, 1], [5, 5]]
    assert not plots.scatter([1.0], [2.0]).texts
    with pytest.raises(ValueError, match="argument 2 is longer"):
        plots.scatter([1, 2], [3, 4], ["a"])


def test_a_heatmap_holds_its_numbers_in_ink_that_shows() -> None:
    values = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 0.123]])
    ax = plots.heatmap(values, ["r1", "r2"], ["c1", "c2", "c3"], digits=1)
    draw(ax)
    assert np.array_equal(ax.images[0].get_array(), values)
    texts = {(t.get_position()[1], t.get_position()[0]): t for t in ax.texts}
    for place, value in np.ndenumerate(values):
        assert texts[place].get_text() == f"{value:.1f}"
        assert texts[place].get_color() == ("white" if value < 0.5 else "black")
    assert names(ax, "x") == ["c1", "c2", "c3"]
    assert names(ax) == ["r1", "r2"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (plots.lines, ({"a": ([0], [0])},)),
        (plots.intervals, ({"a": (0.5, 0.4, 0.6)},)),
        (plots.forest, ({"a": [(0.5, 0.4, 0.6)]},)),
        (plots.histogram, ({"a": [1.0, 2.0]},)),
        (plots.bars, ({"a": 1.0},)),
        (plots.stacked, ({"a": {"x": 1.0}},)),
        (plots.scatter, ([0, 1], [0, 1])),
        (plots.heatmap, (np.eye(2), ["a", "b"], ["c", "d"])),
    ],
)
def test_the_axes_given_are_drawn_on(function, arguments: tuple) -> None:
    ax = plt.subplots()[1]
    assert function(*arguments, ax=ax) is ax
    assert function(*arguments) is not ax
