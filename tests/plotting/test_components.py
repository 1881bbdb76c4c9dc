"""Charts of activations and schedules."""

import numpy as np
import pytest

from nnreg.builtin import activations, schedules
from nnreg.plotting import components
from nnreg.plotting.braille import draw
from nnreg.registry.registry import installed


def test_the_curves_are_the_function_and_its_derivative():
    drawn = components.chart(activations.Tanh(), samples=101)
    value, slope = drawn.curves
    assert (value.label, slope.label) == ("y", "dy/dx")
    np.testing.assert_allclose(value.y, np.tanh(value.x))
    np.testing.assert_allclose(slope.y, 1 - np.tanh(slope.x) ** 2)
    assert drawn.up.low < -1 < 1 < drawn.up.high


def test_softmax_is_drawn_as_the_first_of_two_outputs():
    value, slope = components.chart(activations.Softmax(), samples=101).curves
    assert (value.label, slope.label) == ("y₁(x, 0)", "dy₁/dx")
    sigmoid = 1 / (1 + np.exp(-value.x))
    np.testing.assert_allclose(value.y, sigmoid)
    np.testing.assert_allclose(slope.y, sigmoid * (1 - sigmoid))


def test_a_schedule_is_drawn_for_a_training_that_stops_improving():
    (curve,) = components.chart(schedules.Polynomial(), samples=1000).curves
    assert len(curve.x) == 480
    np.testing.assert_allclose(curve.y, 1 - curve.x / 60)
    (curve,) = components.chart(schedules.ReduceOnPlateau(), samples=480).curves
    assert np.unique(curve.y).tolist() == pytest.approx([0.001, 0.01, 0.1, 1])
    assert curve.y[8 * 30] == 1 > curve.y[8 * 31]


@pytest.mark.parametrize(
    "name", [*(one.name for one in installed() if one.kind == "schedule"), "tanh"]
)
def test_a_chart_in_a_terminal_has_the_requested_size(name):
    entry = installed().find("activation" if name == "tanh" else "schedule", name)
    for width in (46, 81):
        lines = draw(components.chart(entry.cls()), width=width, height=10).plain.splitlines()
        assert len(lines) == 12
        assert {len(line) for line in lines[1:]} == {width}


def test_the_curve_rises_where_the_function_does():
    drawn = draw(components.chart(activations.Identity()), width=46, height=10)
    lines = drawn.plain.splitlines()[1:11]
    solid = [[i for i, c in enumerate(line[6:]) if "⠀" < c <= "⣿"] for line in lines]
    assert min(solid[0]) > 35
    assert max(solid[-1]) < 5


def test_an_activation_without_a_finite_value_is_not_drawn():
    class Nothing(activations.Identity):
        def forward(self, x):
            return x * np.nan, lambda dy: dy * np.nan

    with pytest.raises(ValueError, match="no value between -5 and 5 is finite"):
        components.chart(Nothing())
