"""Initializers: what their options do, and the first values that layers choose themselves."""

import numpy as np
import pytest

from nnreg.builtin.initializers import Normal, Uniform
from nnreg.builtin.layers.attention import AddPosition
from nnreg.builtin.layers.sequence import Lstm
from nnreg.interfaces import Plan
from nnreg.network import Network


def initialized(layer, shape):
    plan = Plan("$")
    network = Network(plan, shape, plan.layer("layers/0", layer, shape), dtype=np.float64)
    network.initialize(0)
    return network


def test_normal_has_its_mean_and_its_standard_deviation():
    values = Normal(mean=2.0, std=0.5).draw((300, 200), np.random.default_rng(0))
    assert values.mean() == pytest.approx(2.0, abs=0.01)
    assert values.std() == pytest.approx(0.5, rel=0.01)


def test_uniform_fills_the_range_between_its_bounds():
    values = Uniform(1.0, 3.0).draw((300, 200), np.random.default_rng(0))
    assert 1.0 <= values.min() < 1.01
    assert 2.99 < values.max() < 3.0


def test_uniform_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(ValueError, match=r"low \(2\) must not be above high \(1\)"):
        Uniform(2, 1)


def test_only_the_forget_gates_of_an_lstm_begin_at_one():
    bias = initialized(Lstm(2), (3, 4)).parameters["layers/0/bias"]
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("features", [4, 5])
def test_fixed_positions_are_sines_and_cosines_of_growing_length(features):
    found = initialized(AddPosition(learned=False), (3, features)).state["layers/0/position"]
    for time in range(3):
        for k in range(0, features, 2):
            angle = time / 10_000 ** (k / features)
            waves = [np.sin(angle), np.cos(angle)][: features - k]
            np.testing.assert_allclose(found[time, k : k + 2], waves)
