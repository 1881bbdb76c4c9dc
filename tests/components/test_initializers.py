"""Initializers: their options, and the first values that layers choose themselves."""

import math

import numpy as np
import pytest

import nnreg
from nnreg._utils.threads import blas_threads
from nnreg.builtin.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Normal,
    Ones,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    Zeros,
)
from nnreg.builtin.layers.convolution import Conv2d
from nnreg.builtin.layers.depthwise_convolution import DepthwiseConv2d
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.positions import AddPosition
from nnreg.builtin.layers.transposed_convolution import Conv2dTranspose
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


SHAPE, SIZE = (300, 200), 300 * 200
TRUNCATED_STD = 0.8796256610342398
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
    "identity": (200 / SIZE) * (1 - 200 / SIZE),
    "orthogonal": 1 / 300,
    "truncated_normal": (0.05 * TRUNCATED_STD) ** 2,
    "variance_scaling": 1 / 300,
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


@pytest.mark.parametrize("shape", [(30, 20), (3, 3, 2, 8), (5,)])
@pytest.mark.parametrize(
    ("initializer", "scale", "count", "same"),
    [
        (GlorotNormal(), 2, lambda a, b: a + b, VarianceScaling(1, "fan_avg", "normal")),
        (GlorotUniform(), 2, lambda a, b: a + b, VarianceScaling(1, "fan_avg", "uniform")),
        (HeNormal(), 2, lambda a, b: a, VarianceScaling(2, "fan_in", "normal")),
        (HeUniform(), 2, lambda a, b: a, VarianceScaling(2, "fan_in", "uniform")),
        (LecunNormal(), 1, lambda a, b: a, VarianceScaling(1, "fan_in", "normal")),
        (LecunUniform(), 1, lambda a, b: a, VarianceScaling(1, "fan_in", "uniform")),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_named_scalings_are_those_of_their_papers_to_the_bit(
    initializer, scale, count, same, shape
):
    variance, rng = scale / count(*fans(shape)), np.random.default_rng(4)
    limit = math.sqrt(3 * variance)
    if "Normal" in type(initializer).__name__:
        expected = rng.normal(0.0, math.sqrt(variance), shape)
    else:
        expected = rng.uniform(-limit, limit, shape)
    for one in (initializer, same):
        assert one.draw(shape, np.random.default_rng(4)).tobytes() == expected.tobytes()


@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_a_scaled_variance_is_that_of_the_values(mode, distribution):
    shape, rng = (3, 3, 20, 60), np.random.default_rng(0)
    values = VarianceScaling(1.5, mode, distribution).draw(shape, rng)
    count = {"fan_in": 180, "fan_out": 540, "fan_avg": 360}[mode]
    std = math.sqrt(1.5 / count)
    assert values.std() == pytest.approx(std, rel=0.02)
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    limit = {"uniform": math.sqrt(3), "truncated_normal": 2 / TRUNCATED_STD}.get(distribution, 9)
    assert 0.99 * limit * std < np.abs(values).max() <= limit * std or distribution == "normal"


def test_a_truncated_normal_distribution_ends_at_two_standard_deviations():
    values = TruncatedNormal(mean=3, std=0.5).draw((200, 300), np.random.default_rng(1))
    assert 2 <= values.min() < 2.001
    assert 3.999 < values.max() <= 4
    assert values.std() == pytest.approx(0.5 * TRUNCATED_STD, rel=0.01)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (3, 3, 2, 4), (1, 1, 2, 9)])
def test_an_orthogonal_matrix_has_orthogonal_rows_or_columns(shape):
    values = Orthogonal(gain=1.5).draw(shape, np.random.default_rng(2))
    matrix = values.reshape(-1, shape[-1]) / 1.5
    product = min((matrix @ matrix.T, matrix.T @ matrix), key=len)
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


def test_every_orthogonal_matrix_is_equally_likely():
    """The mean trace of a uniform rotation or reflection is 0; that of plain QR is not."""
    rng = np.random.default_rng(0)
    traces = [np.trace(Orthogonal().draw((4, 4), rng)) for _ in range(1000)]
    assert abs(np.mean(traces)) < 4 / math.sqrt(1000)
    assert np.std(traces) == pytest.approx(1, abs=0.1)
    ends = [Orthogonal().draw((1, 1), rng).item() for _ in range(50)]
    assert set(ends) == {-1.0, 1.0}


def test_an_orthogonal_matrix_is_bit_identical_on_any_number_of_threads():
    drawn = []
    for threads in (1, 2):
        with blas_threads(threads):
            drawn.append(Orthogonal().draw((400, 300), np.random.default_rng(0)))
    assert drawn[0].tobytes() == drawn[1].tobytes()


def test_identity_is_a_matrix():
    found = Identity(2).draw((2, 3), np.random.default_rng(0))
    assert found.tolist() == [[2, 0, 0], [0, 2, 0]]


def connections(layer, channels):
    """Return the inputs of an output and the outputs of an input, far from the border."""
    network = initialized(layer, (9, 9, channels))
    network.vector[...] = 1
    x = np.zeros((1, 9, 9, channels))
    x[0, 4, 4, 0] = 1
    outputs = np.count_nonzero(network.predict(x))
    inputs = network.predict(np.ones_like(x)).max()
    return int(inputs), outputs


@pytest.mark.parametrize(
    ("layer", "channels", "same"),
    [
        (Conv2d(5, (3, 2), bias=False), 2, True),
        (Conv2dTranspose(5, (3, 2), bias=False), 2, True),
        (Conv2d(6, 3, bias=False, groups=2), 4, False),
        (DepthwiseConv2d(3, 2, bias=False), 4, False),
    ],
    ids=["conv2d", "conv2d_transpose", "groups", "depthwise"],
)
def test_the_fans_of_kernels_count_the_connections(layer, channels, same):
    """With groups, the fan-out counts the outputs of all groups, as in PyTorch."""
    shape = initialized(layer, (9, 9, channels)).parameters["layers/0/weight"].shape
    fan_in, fan_out = fans(shape)
    inputs, outputs = connections(layer, channels)
    assert fan_in == inputs
    assert fan_out == outputs * (1 if same else channels // shape[-2])


@pytest.mark.parametrize("name", ["identity", "orthogonal"])
def test_a_bias_for_which_an_initializer_has_no_values_is_refused_with_its_location(name):
    layer = {"type": "dense", "units": 2, "bias_initializer": name}
    spec = {"model": {"layers": [layer]}, "loss": "mean_squared_error", "optimizer": "sgd"}
    with pytest.raises(nnreg.SpecError, match=r"layers\[0\].*bias of shape \(2,\) cannot have"):
        nnreg.build(spec, data=(np.zeros((3, 2)), np.zeros((3, 2))))
    layer.update(bias_initializer="zeros", initializer=name)
    found = nnreg.build(spec, data=(np.zeros((3, 2)), np.zeros((3, 2))))
    weight = found.parameters["layers/0/weight"]
    np.testing.assert_allclose(weight @ weight.T, np.eye(2), atol=1e-6)
