"""Charts: their axes, the colours of their curves, and how each backend draws them."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from nnreg.plotting import matplotlib_file, svg
from nnreg.plotting.braille import draw as draw_braille
from nnreg.plotting.chart import MAX_POINTS, Axis, Chart, Curve, fit, number, powers, thin, ticks
from nnreg.plotting.curves import by_epoch
from nnreg.plotting.palette import (
    BLUE,
    COLOURS,
    ORANGE,
    RUNS,
    TERMINAL,
    TRAINING,
    VALIDATION,
    dark_rules,
)
from nnreg.training.history import History

X = np.arange(1.0, 6.0)
FALLING = np.array([1.0, 0.1, 0.01, np.nan, 0.001])
RECORDS = [{"epoch": i, "loss": 1 / i, "val_loss": 1.2 / i} for i in range(1, 41)]


def chart(y, *, logarithmic=False, breaks=False, **more):
    up = fit("y", [y], logarithmic=logarithmic)
    return Chart(fit("x", [X]), up, [Curve("curve", X, y, BLUE, breaks=breaks)], **more)


def segments(drawing, colour=BLUE):
    """Return the points of a curve, each with its distance from the left and the top."""
    paths = re.findall(rf'd="([^"]*)" stroke="{colour}"', "".join(drawing.elements))
    return [[tuple(map(float, point.split())) for point in line.split("L")]
            for path in paths for line in path.split("M")[1:] if "L" in line]  # fmt: skip


def test_equal_factors_are_equal_heights_on_a_logarithmic_axis():
    y = np.array([1.0, 0.1, 0.01, 0.001, 0.0001])
    (line,) = segments(svg.draw(chart(y, logarithmic=True), "t"))
    heights = np.diff([y for _, y in line])
    assert heights == pytest.approx(heights[0], abs=0.11)
    assert heights[0] > 10


def test_a_curve_breaks_at_gaps_and_with_breaks_also_at_jumps():
    step = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    assert [len(s) for s in segments(svg.draw(chart(step), "t"))] == [5]
    assert [len(s) for s in segments(svg.draw(chart(step, breaks=True), "t"))] == [2, 3]
    gap = svg.draw(chart(FALLING), "t")
    assert [len(s) for s in segments(gap)] == [3]
    assert 'r="3"' in "".join(gap.elements)  # the isolated value is a dot


def test_values_outside_the_axes_are_not_drawn():
    curve = Curve("y", X, np.array([0.0, 1.0, 2.0, 30.0, 2.0]), BLUE)
    drawn = svg.draw(Chart(fit("x", [X]), Axis("y", 0, 3), [curve]), "t")
    assert [len(s) for s in segments(drawn)] == [3]


def test_text_is_escaped_and_a_mark_is_drawn_at_its_x():
    drawn = svg.draw(chart(X, mark=(3.0, "best < 3")), "a & b", title="<b>")
    root = ElementTree.fromstring(drawn.file())
    words = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<b>", "best < 3", "curve", "x", "y"} <= set(words)
    assert root.get("aria-label") == "a & b"
    (mark,) = re.findall(r'd="M([0-9.]+) [0-9.]+v', drawn.elements[-1])
    assert float(mark) == pytest.approx(segments(drawn)[0][2][0])


def test_a_long_legend_takes_more_rows_and_stays_within_its_width():
    curves = [Curve(f"a run of some length {i}", X, X, BLUE) for i in range(9)]
    few, many = (svg.draw(Chart(fit("x", [X]), fit("y", [X]), curves[:n]), "t") for n in (2, 9))
    assert many.height > few.height
    labels = re.findall(r'<text x="([\d.]+)"[^>]*>(a run[^<]*)<', "".join(many.elements))
    assert len(labels) == 9
    assert all(float(x) + svg.text_width(label) <= many.width for x, label in labels)


def test_every_colour_of_a_drawing_has_a_dark_variant():
    rules = dark_rules()
    drawn = svg.draw(by_epoch({"a": History(RECORDS).columns}, "loss", {"a": 3}), "t").file()
    used = set(re.findall(r'(?:fill|stroke)="(#\w+)"', drawn.partition("</style>")[2]))
    assert used <= {light for light, _ in COLOURS.values()}
    assert all(f'[fill="{light}"]{{fill:{dark}}}' in rules for light, dark in COLOURS.values())
    assert rules in drawn


# Colours


def dash_by_colour(drawn):
    found = re.findall(r'L[^"]*" stroke="(#\w+)"[^>]*?fill="none"( stroke-dasharray)?',
                       "".join(drawn.elements))  # fmt: skip
    return {colour: bool(dash) for colour, dash in found}


def test_training_and_validation_have_their_colours_in_every_drawing(monkeypatch):
    """Check the two colours in SVG, matplotlib and a terminal."""
    assert (TRAINING, VALIDATION) == (BLUE, ORANGE)
    columns = History(RECORDS).columns
    drawn = by_epoch({"run": columns}, "loss", {"run": 3})
    assert {c.label: c.colour for c in drawn.curves} == {
        "training": TRAINING, "validation": VALIDATION
    }  # fmt: skip
    assert dash_by_colour(svg.draw(drawn, "t")) == {TRAINING: True, VALIDATION: False}
    assert dash_by_colour_of_file(History(RECORDS).svg("t")) == {TRAINING: True, VALIDATION: False}
    (axes,) = matplotlib_file.figure([drawn]).axes
    assert [(line.get_label(), line.get_color()) for line in axes.lines[:2]] == [
        ("training", TRAINING), ("validation", VALIDATION)
    ]  # fmt: skip
    spans = {str(span.style) for span in draw_braille(drawn, 60, 10).spans}
    assert {TERMINAL[TRAINING], TERMINAL[VALIDATION]} == spans - {"dim"} == {"cyan", "yellow"}


def dash_by_colour_of_file(text):
    return dash_by_colour(svg.Drawing(1, 1, "", [text]))


def test_training_without_validation_keeps_its_colour_and_is_solid():
    columns = History([{"epoch": i, "loss": 1 / i} for i in (1, 2, 3)]).columns
    (curve,) = by_epoch({"run": columns}, "loss", {}).curves
    assert (curve.colour, curve.dash) == (TRAINING, ())


def test_runs_have_colours_other_than_those_of_training_and_validation():
    runs = {f"run-{i}": History(RECORDS).columns for i in range(12)}
    curves = by_epoch(runs, "loss", {}).curves
    assert not {TRAINING, VALIDATION} & {curve.colour for curve in curves}
    assert [curve.label for curve in curves if curve.label] == list(runs)
    assert len({(curve.colour, curve.dash) for curve in curves if curve.label}) == 12
    assert len(set(RUNS)) == len(RUNS)


def test_a_dashed_curve_is_dotted_in_a_terminal():
    solid = chart(np.zeros(5))
    dashed = Chart(solid.across, solid.up, [Curve("curve", X, np.zeros(5), BLUE, dash=(3, 3))])
    lines, dots = (draw_braille(one, 26, 5).plain for one in (solid, dashed))
    assert ("━━" in lines, "┅┅" in dots) == (True, True)
    count = [sum(bin(ord(c) - 0x2800).count("1") for c in text if "⠀" < c <= "⣿")
             for text in (lines, dots)]  # fmt: skip
    assert count == [40, 20]


def test_values_that_hardly_differ_have_an_axis_with_several_ticks():
    axis = fit("y", [np.array([1.0, 1.0 + 1e-15])])
    assert len({number(tick) for tick in axis.ticks()}) > 2


# Axes


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
    found = powers(low, high)
    assert 2 <= len(found) <= 10
    assert marks is None or found == pytest.approx(marks)


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [(-1.1, 1.1, [-1, -0.5, 0, 0.5, 1]), (0, 5.2, [0, 1, 2, 3, 4, 5]), (-0.01, 0.03, None)],
)
def test_ticks_are_few_and_round(low, high, marks):
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert marks is None or found == pytest.approx(marks)


def test_ticks_of_an_integer_axis_are_integers():
    assert fit("epoch", [np.array([1.0])], integer=True).ticks() == [1]
    assert fit("epoch", [np.array([1.0, 3.0])], integer=True).ticks() == [1, 2, 3]


@pytest.mark.parametrize(
    ("value", "text"), [(1.5e19, "1.5e19"), (-1e-5, "−1e−5"), (0.25, "0.25"), (2000.0, "2000")]
)
def test_numbers_at_an_axis_are_short(value, text):
    assert number(value) == text


def test_thinning_a_long_curve_preserves_its_peaks():
    y = np.zeros(100_000)
    y[[3_333, 77_777]] = 1, -1
    x, thinned = thin(np.arange(100_000), y)
    assert len(x) <= MAX_POINTS + 2
    assert (thinned.max(), thinned.min()) == (1, -1)
    assert (x[0], x[-1]) == (0, 99_999)
    assert (np.diff(x) > 0).all()
