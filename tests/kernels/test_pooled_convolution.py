"""Convolutions with the pooling after them, compared with NumPy's one after the other."""

import numpy as np
import pytest

from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.windows import Windows

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

pooled_convolution = pytest.importorskip("nnreg.kernels.numba.pooled_convolution")
winograd = pytest.importorskip("nnreg.kernels.numba.winograd")

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-12}
PAIR, NONE = (2, 2), ((0, 0), (0, 0))
THREE = Windows((3, 3), (1, 1), (1, 1))
DIRECT = {
    "one output": ((1, 4, 4, 1), 1, THREE, NONE, PAIR, PAIR),
    "a whole tile": ((2, 8, 4, 3), 32, THREE, NONE, PAIR, PAIR),
    "unused outputs": ((3, 9, 8, 2), 33, THREE, NONE, PAIR, PAIR),
    "unused outputs in the padding": ((2, 6, 7, 3), 5, THREE, ((1, 2), (2, 2)), PAIR, PAIR),
    "windows that overlap": ((2, 9, 9, 2), 4, THREE, ((1, 1), (1, 1)), (3, 3), PAIR),
    "windows apart": ((2, 9, 9, 2), 4, THREE, NONE, PAIR, (4, 3)),
    "stride and dilation": (
        (2, 21, 17, 2), 3, Windows((2, 3), (2, 1), (1, 2)), ((1, 0), (0, 2)), (3, 2), (3, 2),
    ),
    "many filters": ((2, 12, 12, 5), 300, THREE, NONE, PAIR, PAIR),
}  # fmt: skip
TRANSFORMED = {
    "one tile": ((1, 4, 4, 16), 16, NONE),
    "odd sizes": ((3, 9, 8, 16), 32, NONE),
    "padding": ((2, 6, 7, 32), 16, ((1, 1), (2, 1))),
    "more tiles than at a time": ((7, 8, 8, 16), 48, NONE),
}


def arrays(shape, filters, size, dtype):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(*size, shape[-1], filters)), rng.normal(size=filters)
    return [one.astype(dtype) for one in (rng.normal(size=shape), weight, bias)]


def pooled(kernels, images, weight, bias, windows, padding, size, stride, *, relu, divides=False):
    scratch = Workspace(images.dtype, reuse=False)
    scratch.divides_products = divides
    space = [n + sum(pair) for n, pair in zip(images.shape[1:3], padding, strict=True)]
    axes = zip(windows.count(tuple(space)), size, stride, strict=True)
    out = [(n - k) // s + 1 for n, k, s in axes]
    y = np.full((len(images), *out, weight.shape[-1]), 7, images.dtype)
    kernels.convolve_max_pool(
        images, weight, bias, y, windows, padding, size, stride, scratch, relu=relu
    )
    return y


def compared(images, weight, bias, *options, relu=True):
    """Return what Numba's kernels compute, and NumPy's."""
    with np.errstate(invalid="ignore", over="ignore"):
        expected = pooled(Kernels(), images, weight, bias, *options, relu=relu)
    return pooled(NumbaKernels(), images, weight, bias, *options, relu=relu), expected


def near(found, expected, tolerance):
    atol = tolerance * abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", DIRECT)
def test_results_are_those_of_numpy(case, relu, dtype):
    shape, filters, windows, *options = DIRECT[case]
    given = arrays(shape, filters, windows.size, dtype)
    near(*compared(*given, windows, *options, relu=relu), TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", TRANSFORMED)
def test_transformed_results_are_those_of_numpy(monkeypatch, case, relu, bias, dtype):
    shape, filters, padding = TRANSFORMED[case]
    monkeypatch.setattr(pooled_convolution, "panels_of", None)  # what all others call
    images, weight, shift = arrays(shape, filters, (3, 3), dtype)
    options = THREE, padding, PAIR, PAIR
    found, expected = compared(images, weight, shift if bias else None, *options, relu=relu)
    near(found, expected, TOLERANCES[dtype])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_images_are_pooled_in_groups(monkeypatch, count):
    monkeypatch.setattr(pooled_convolution, "CACHED_VALUES", 500)
    images, weight, bias = arrays((count, 7, 6, 3), 9, (3, 3), np.float32)
    options, numba = (THREE, ((1, 1), (1, 1))), NumbaKernels()
    scratch, z = Workspace(np.float32, reuse=False), np.empty((count, 7, 6, 9), np.float32)
    y = np.empty((count, 3, 3, 9), np.float32)
    numba.convolve(images, weight, bias, z, *options, scratch, relu=True)
    numba.max_pool(z, y, PAIR, PAIR)
    found = pooled(numba, images, weight, bias, *options, PAIR, PAIR, relu=True)
    np.testing.assert_array_equal(found, y)


@pytest.mark.parametrize("channels", [3, 16])
def test_bits_do_not_depend_on_the_other_images(channels):
    images, weight, bias = arrays((7, 9, 8, channels), 32, (3, 3), np.float32)
    options = THREE, ((1, 1), (1, 1)), PAIR, PAIR
    whole = pooled(NumbaKernels(), images, weight, bias, *options, relu=True)
    for n in range(7):
        one = pooled(NumbaKernels(), images[n : n + 1], weight, bias, *options, relu=True)
        np.testing.assert_array_equal(one[0], whole[n])


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("place", [(1, 2, 3), (0, 0, 0), (1, 5, 5), (1, 6, 6)])
def test_what_is_not_finite_is_propagated_and_what_is_stays(channels, value, place):
    images, weight, bias = arrays((2, 7, 7, channels), 16, (3, 3), np.float32)
    images[place][0] = value
    found, expected = compared(images, weight / 100, bias, THREE, NONE, PAIR, PAIR)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_rounding_errors_are_no_larger_than_those_of_numpy(size):
    images, weight, bias = arrays((4, 12, 12, 64), 32, (3, 3), np.float64)
    images *= size
    options, single = (THREE, NONE, PAIR, PAIR), [images, weight, bias]
    exact = pooled(Kernels(), *single, *options, relu=False)
    found, plain = compared(*[one.astype("f4") for one in single], *options, relu=False)
    worst = [abs(one - exact).max() / abs(exact).max() for one in (found, plain)]
    assert worst[0] < max(3 * worst[1], 1e-6)


def test_no_images_have_no_outputs():
    images, weight, bias = arrays((0, 6, 6, 3), 4, (3, 3), np.float32)
    found = pooled(NumbaKernels(), images, weight, bias, THREE, NONE, PAIR, PAIR, relu=True)
    assert found.shape == (0, 2, 2, 4)


def test_columns_are_used_where_threads_share_products(monkeypatch):
    images, weight, bias = arrays((2, 6, 6, 16), 16, (3, 3), np.float64)
    monkeypatch.setattr(pooled_convolution, "convolve_max_pool", None)
    options = THREE, NONE, PAIR, PAIR
    found, expected = (
        pooled(kernels, images, weight, bias, *options, relu=True, divides=True)
        for kernels in (NumbaKernels(), Kernels())
    )
    near(found, expected, 1e-12)
