"""Initializers: their options, and the first values that layers choose themselves."""

import math

import numpy as np
import pytest

from nnreg.builtin.initializers import Constant, Normal, Ones, Uniform, Zeros
from nnreg.builtin.layers.positions import AddPosition
from nnreg.builtin.layers.sequence import Lstm
from nnreg.interfaces import LayerBuilder, fans
from nnreg.network.network import Network
from nnreg.registry.registry import installed


def initialized(layer, shape):
    plan = LayerBuilder("$")
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


def test_uniform_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match=r"low \(2\) must not be above high \(1\)"):
        Uniform(2, 1)


def test_only_the_forget_gates_of_an_lstm_begin_at_one():
    bias = initialized(Lstm(2), (3, 4)).parameters["layers/0/bias"]
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("features", [4, 5])
def test_fixed_positions_are_sines_and_cosines_of_growing_wavelength(features):
    found = initialized(AddPosition(learned=False), (3, features)).state["layers/0/position"]
    for time in range(3):
        for k in range(0, features, 2):
            angle = time / 10_000 ** (k / features)
            waves = [np.sin(angle), np.cos(angle)][: features - k]
            np.testing.assert_allclose(found[time, k : k + 2], waves)


SHAPE = (300, 200)
VARIANCE = {
    "zeros": 0,
    "ones": 0,
    "constant": 0,
    "normal": 0.05**2,
    "uniform": 0.1**2 / 12,
    "glorot_normal": 2 / 500,
    "glorot_uniform": 2 / 500,
    "he_normal": 2 / 300,
    "he_uniform": 2 / 300,
    "lecun_normal": 1 / 300,
    "lecun_uniform": 1 / 300,
}


@pytest.mark.parametrize("name", [e.name for e in installed() if e.kind == "initializer"])
def test_an_initializer_has_its_variance_and_the_seed_decides_it(name):
    initializer = installed().find("initializer", name).cls()
    first, again = (initializer.draw(SHAPE, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == SHAPE
    assert first.var() == pytest.approx(VARIANCE[name], rel=0.02)
    if "uniform" in name:
        assert np.abs(first).max() <= math.sqrt(3 * VARIANCE[name])


def test_constant_zeros_and_ones_give_their_value():
    rng = np.random.default_rng(0)
    assert Zeros().draw((2,), rng).tolist() == [0, 0]
    assert Ones().draw((2,), rng).tolist() == [1, 1]
    assert Constant(2.5).draw((2,), rng).tolist() == [2.5, 2.5]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3), (4, 3)), ((3, 3, 2, 8), (18, 72)), ((5,), (5, 5)), ((), (1, 1))],
)
def test_fans_count_the_receptive_field(shape, expected):
    assert fans(shape) == expected
