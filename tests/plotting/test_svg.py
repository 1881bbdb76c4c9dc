"""Curves as SVG."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from nnreg.plotting import svg as charts
from nnreg.plotting.svg import Curve

X = np.arange(1.0, 6.0)
FALLING = Curve("training", X, np.array([1.0, 0.1, 0.01, np.nan, 0.001]), whole=True)


def places(svg, kind):
    """Return the points of a curve, each with its distance from the left and the top."""
    (path,) = re.findall(rf'class="{kind}" [^>]* d="([^"]*)"', svg)
    return [[tuple(map(float, point.split())) for point in line.split("L")]
            for line in path.split("M")[1:]]  # fmt: skip


def test_equal_factors_are_equal_heights_on_a_logarithmic_scale():
    frame = charts.around_powers([FALLING])
    (line, rest) = places(charts.svg("t", "s", [FALLING], frame=frame), "first")
    heights = [y for _, y in (*line, *rest)]
    assert np.diff(heights) == pytest.approx(np.diff(heights)[0], abs=0.11)
    assert heights == sorted(heights)


def test_a_whole_curve_has_no_jumps_and_another_one_breaks_at_them():
    step = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    frame = charts.around([Curve("y", X, step)])
    whole = charts.svg("t", "s", [Curve("y", X, step, whole=True)], frame=frame)
    broken = charts.svg("t", "s", [Curve("y", X, step)], frame=frame)
    assert [len(places(svg, "first")) for svg in (whole, broken)] == [1, 2]


def test_words_are_escaped_and_a_mark_stands_at_its_x():
    svg = charts.svg("<b>", "a & b", [FALLING], along="<i>", mark=(3.0, "best < 3"))
    words = [e.text for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"<b>", "a & b", "<i>", "best < 3", "training"} <= set(words)
    (mark,) = re.findall(r'class="mark" d="M([0-9.]+) ', svg)
    assert float(mark) == pytest.approx(places(svg, "first")[0][2][0])


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (-3.1, 0.1, [0.001, 0.01, 0.1, 1]),
        (-0.4, 0.1, [0.5, 1]),
        (-12.0, 0.0, None),
        (-200.0, 3.0, None),
    ],
)
def test_powers_are_few_and_round(low, high, marks):
    found = charts.powers(low, high)
    assert 2 <= len(found) <= 10
    assert marks is None or found == pytest.approx(marks)


def test_labels_of_curves_that_end_together_are_kept_apart():
    for ends in ([200.0, 200.0], [200.0, 203.0], [203.0, 200.0], [-50.0, 0.0]):
        first, second = charts._label_heights(ends)
        assert abs(first - second) >= 18
        assert (first < second) == (ends[0] <= ends[1])
    assert charts._label_heights([100.0, 300.0]) == [100.0, 300.0]


def test_a_curve_breaks_at_gaps_and_jumps():
    values = np.array([0.0, 0.1, np.nan, 0.1, 0.2, 5.0, 5.1])
    assert list(charts._pieces(values, jump=1.0)) == [[0, 1], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(-1.1, 1.1, [-1, -0.5, 0, 0.5, 1]), (0, 5.2, [0, 1, 2, 3, 4, 5]), (-0.01, 0.03, None)],
)
def test_ticks_are_few_and_round(low, high, ticks):
    found = charts.ticks(low, high)
    assert 3 <= len(found) <= 7
    assert ticks is None or found == pytest.approx(ticks)
