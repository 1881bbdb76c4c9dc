"""The kernels of activations against their formulas in float64, and central differences."""

import importlib.util

import numpy as np
import pytest

from nnreg.builtin import activations
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.blocks import BLOCK_VALUES
from nnreg.kernels.numpy.activations import ACTIVATIONS

HAS_NUMBA = importlib.util.find_spec("numba") is not None
SETS = [
    Kernels(),
    pytest.param(NumbaKernels(), marks=pytest.mark.skipif(not HAS_NUMBA, reason="extra 'fast'")),
]
PLAIN = {
    "relu": activations.Relu(),
    "leaky_relu": activations.LeakyRelu(0.3),
    "elu": activations.Elu(0.3),
    "silu": activations.Silu(),
    "gelu": activations.Gelu(),
    "exact_gelu": activations.Gelu(exact=True),
    "mish": activations.Mish(),
    "softplus": activations.Softplus(),
}
SHAPES = [(1, 1), (7, 5), (3, BLOCK_VALUES // 2 + 1), (2 * BLOCK_VALUES // 32 + 1, 32)]


def run(kernels, name, x, bias, dy):
    scratch = Workspace(x.dtype, reuse=False)
    x, y, dx = x.copy(), np.full_like(x, np.nan), np.full_like(x, np.nan)
    dbias = None if bias is None else np.full_like(bias, np.nan)
    kernels.activate(name, 0.3, x, bias, y, scratch)
    kernels.activate_backward(name, 0.3, dy, x, dx, dbias, scratch)
    return x, y, dx, dbias


def test_all_are_tested():
    assert PLAIN.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernels", SETS, ids=type)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_they_agree_with_the_formula(name, kernels, dtype):
    slow = name == "exact_gelu" and dtype == np.float64  # by math.erf
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    for shape in SHAPES[:2] if slow else SHAPES:
        rng = np.random.default_rng(0)
        x, dy = (3 * rng.normal(size=(2, *shape))).astype(dtype)
        for bias in (None, rng.normal(size=shape[1]).astype(dtype)):
            z, y, dx, dbias = run(kernels, name, x, bias, dy)
            np.testing.assert_array_equal(z, x if bias is None else x + bias)
            expected, backward = PLAIN[name].forward(z.astype(np.float64))
            slopes = backward(dy.astype(np.float64))
            np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(dx, slopes, rtol=tolerance, atol=8 * tolerance)
            assert y.dtype == dx.dtype == dtype
            if dbias is not None:
                expected_sums = slopes.sum(axis=0) / len(x)
                np.testing.assert_allclose(
                    dbias / len(x), expected_sums, rtol=tolerance, atol=8 * tolerance
                )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_their_gradient_is_that_of_central_differences(name):
    x, step = np.linspace(-6, 6, 25)[:, None] + 0.01, 1e-5
    ones = np.ones_like(x)
    _, _, dx, _ = run(Kernels(), name, x, None, ones)
    _, above, _, _ = run(Kernels(), name, x + step, None, ones)
    _, below, _, _ = run(Kernels(), name, x - step, None, ones)
    np.testing.assert_allclose(dx, (above - below) / (2 * step), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kernels", SETS, ids=type)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extremes_are_finite_and_nan_is_propagated(name, kernels):
    x = np.array([[-1e4, -100, -20, 20, 100, 1e4]], np.float32)
    _, y, dx, _ = run(kernels, name, x, None, np.ones_like(x))
    np.testing.assert_allclose(
        y, PLAIN[name].forward(x.astype(np.float64))[0], rtol=2e-6, atol=1e-6
    )
    np.testing.assert_allclose(dx[0, 3:], 1, rtol=1e-6)
    assert np.isfinite(dx).all()
    _, y, _, _ = run(
        kernels, name, np.full((1, 3), np.nan, np.float32), None, np.ones((1, 3), "f4")
    )
    assert np.isnan(y).all()
