"""Charts of groups of runs: the mean and a band, in SVG, in files and in a terminal."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from nnreg.comparison.collection import collect
from nnreg.comparison.curves import charts_of
from nnreg.plotting import matplotlib_file, svg
from nnreg.plotting.braille import draw as draw_braille
from nnreg.plotting.curves import MAX_NAMED_GROUPS, by_group
from nnreg.plotting.palette import GRID, RUNS
from tests.comparison.run_files import write_groups


def run(*losses, key="val_loss"):
    return {"epoch": np.arange(1.0, len(losses) + 1), key: np.array(losses)}


def test_a_group_has_its_mean_and_a_band_from_the_lowest_to_the_highest_run():
    chart = by_group({"relu": [run(3, 2, 1), run(5, 2, 3)], "tanh": [run(4, 4, 4)]}, "loss")
    relu, tanh = chart.curves
    assert (relu.label, tanh.label) == ("relu (2 runs)", "tanh")
    assert relu.y.tolist() == [4, 2, 2]
    (band,) = chart.bands  # a single run has none
    assert (band.low.tolist(), band.high.tolist()) == ([3, 2, 1], [5, 2, 3])
    assert band.colour == relu.colour != tanh.colour


def test_a_group_is_drawn_as_far_as_half_of_its_runs_trained():
    chart = by_group({"a": [run(4, 4), run(2, 2, 2), run(3, 3, 3, 3)]}, "loss")
    assert chart.curves[0].y.tolist() == [3, 3, 2.5]


def test_without_validation_the_training_split_is_drawn():
    chart = by_group({"a": [run(1, 2, key="loss"), run(3, 4, key="loss")]}, "loss")
    assert chart.curves[0].y.tolist() == [2, 3]


def test_values_that_are_not_finite_are_left_out():
    nan = float("nan")
    chart = by_group({"a": [run(1, nan, 3), run(3, 5, nan)], "b": [run(nan)]}, "loss")
    assert [curve.y.tolist() for curve in chart.curves] == [[2, 5, 3]]


def test_of_many_groups_the_first_have_colours_and_the_others_are_grey():
    groups = {f"group {i}": [run(i, i), run(i + 1, i)] for i in range(200)}
    chart = by_group(groups, "loss")
    labels = [curve.label for curve in chart.curves if curve.label]
    assert labels == [*(f"group {i} (2 runs)" for i in range(5)), "195 other groups"]
    assert len(chart.bands) == MAX_NAMED_GROUPS
    assert {curve.colour for curve in chart.curves[MAX_NAMED_GROUPS:]} == {GRID}
    assert len({curve.colour for curve in chart.curves[:MAX_NAMED_GROUPS]} & set(RUNS)) == 5


def test_bands_are_drawn_below_the_curves_within_the_axes():
    chart = by_group({"a": [run(1, 2, 3), run(3, 2, 9)]}, "loss")
    text = svg.draw(chart, "a chart").file()
    assert text.index("fill-opacity") < text.rindex(f'stroke="{chart.curves[0].colour}"')
    path = next(e for e in ET.fromstring(text).iter() if e.get("fill-opacity")).get("d")
    assert len(re.findall(r"[\d.]+ [\d.]+", path)) == 6
    figure = matplotlib_file.figure([chart])
    assert len(figure.axes[0].collections) == 1


def test_panels_of_the_same_runs_have_one_legend_outside():
    groups = {name: [run(1, 2), run(2, 3)] for name in ("relu", "a name that is rather long")}
    charts = [by_group(groups, "loss")] * 3
    figure = matplotlib_file.figure(charts, shared=True)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "relu (2 runs)", "a name that is rather long (2 runs)"
    ]  # fmt: skip
    assert all(axes.get_legend() is None for axes in figure.axes)
    figure.draw_without_rendering()
    left = legend.get_window_extent().x0
    assert all(axes.get_window_extent().x1 <= left for axes in figure.axes[:3])
    assert legend.get_window_extent().x1 <= figure.bbox.x1 + 1


def test_a_terminal_has_the_legend_on_as_many_lines_as_it_needs():
    groups = {f"a group of runs {i}": [run(3, 2, 1), run(5, 4, 3)] for i in range(5)}
    lines = draw_braille(by_group(groups, "loss"), 60, 10).plain.split("\n")
    named = [line for line in lines if "━━" in line]
    assert len(named) == 5
    assert max(map(len, lines)) <= 60
    assert lines[-1].split() == ["1", "epoch", "3"]


@pytest.mark.parametrize(("values", "labels"), [(3, 6), (6, 2)])
def test_more_than_ten_runs_are_drawn_as_groups(tmp_path, values, labels):
    numbers = [0.9 + 0.01 * i for i in range(values)]
    runs = write_groups(tmp_path / "runs", {"relu": numbers, "tanh": numbers[::-1]})
    found = collect([runs])
    chart = charts_of(found)[0]
    assert len([curve for curve in chart.curves if curve.label]) == labels
    assert len(charts_of(found, "group")[0].bands) == 2
    assert len(charts_of(found, "run")[0].bands) == 0
