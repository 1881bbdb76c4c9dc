"""Convolutions without columns, compared with NumPy's."""

import numpy as np
import pytest

from nnreg.builtin.kernels import numba, numba_images
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.windows import Windows

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-12}
CASES = {
    "one value": ((1, 1, 1, 1), 1, (1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "one channel": ((3, 9, 8, 1), 5, (3, 3), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "a full and a part of a tile": ((2, 6, 7, 3), 45, (3, 2), (1, 1), (1, 1), ((1, 1), (0, 1))),
    "stride": ((2, 9, 8, 2), 4, (3, 3), (2, 3), (1, 1), ((1, 0), (0, 2))),
    "dilation": ((2, 9, 9, 2), 33, (2, 3), (1, 1), (3, 2), ((2, 1), (0, 3))),
    "more padding than window": ((2, 3, 3, 2), 3, (2, 2), (1, 1), (1, 1), ((2, 2), (3, 1))),
    "one by one": ((3, 5, 4, 6), 17, (1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "sequences": ((3, 11, 4), 16, (3,), (1,), (1,), ((2, 0),)),
    "volumes": ((2, 4, 5, 3, 2), 3, (2, 3, 2), (1, 2, 1), (1, 1, 2), ((0, 1), (1, 1), (1, 1))),
}


def arrays(shape, filters, size, dtype):
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(*size, shape[-1], filters)), rng.normal(size=filters)
    return [one.astype(dtype) for one in (rng.normal(size=shape), weight, bias)]


def passed(kernels, images, weight, bias, windows, padding, *, relu=False, dz=None, divides=False):
    """Return the output, and the gradients of the weight and of the images."""
    scratch = Workspace(images.dtype, reuse=False)
    scratch.divides_products = divides
    space = [n + sum(pair) for n, pair in zip(images.shape[1:-1], padding, strict=True)]
    z = np.full((len(images), *windows.count(tuple(space)), weight.shape[-1]), 7, images.dtype)
    dweight, dimages = np.full_like(weight, 7), np.full_like(images, 7)
    kernels.convolve(images, weight, bias, z, windows, padding, scratch, relu=relu)
    dz = np.cos(z) if dz is None else dz
    kernels.convolve_weight_gradient(images, dz, dweight, windows, padding, scratch)
    kernels.convolve_input_gradient(dz, weight, dimages, windows, padding, scratch)
    return z, dweight, dimages


def near(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * abs(other).max())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_numpy(case, relu, dtype):
    shape, filters, size, stride, dilation, padding = CASES[case]
    images, weight, bias = arrays(shape, filters, size, dtype)
    windows = Windows(size, stride, dilation)
    expected = passed(Kernels(), images, weight, bias, windows, padding, relu=relu)
    found = passed(NumbaKernels(), images, weight, bias, windows, padding, relu=relu)
    near(found, expected, TOLERANCES[dtype])


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_images_are_padded_and_multiplied_in_groups(monkeypatch, batch):
    direct = pytest.importorskip("nnreg.kernels.numba.direct_convolution")
    monkeypatch.setattr(direct, "CACHED_VALUES", 64)
    monkeypatch.setattr(direct, "MIN_PIXELS", 40)
    images, weight, bias = arrays((batch, 5, 6, 3), 20, (3, 3), np.float64)
    windows, padding = Windows((3, 3), (1, 1), (1, 1)), ((1, 1), (1, 1))
    expected = passed(Kernels(), images, weight, bias, windows, padding)
    near(passed(NumbaKernels(), images, weight, bias, windows, padding), expected, 1e-12)


def test_without_bias_the_sums_are_written():
    images, weight, _ = arrays((2, 4, 4, 2), 3, (2, 2), np.float64)
    windows, padding = Windows((2, 2), (1, 1), (1, 1)), ((0, 0), (0, 0))
    expected = passed(Kernels(), images, weight, None, windows, padding)
    near(passed(NumbaKernels(), images, weight, None, windows, padding), expected, 1e-12)


def test_no_images_have_a_gradient_of_zero():
    images, weight, bias = arrays((0, 3, 3, 2), 3, (2, 2), np.float64)
    windows, padding = Windows((2, 2), (1, 1), (1, 1)), ((1, 0), (0, 0))
    _, dweight, _ = passed(NumbaKernels(), images, weight, bias, windows, padding)
    assert not dweight.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_propagated(value):
    images, weight, bias = arrays((2, 5, 5, 2), 3, (2, 2), np.float32)
    weight, bias = abs(weight), abs(bias)
    images[1, 2, 3, 0] = value
    windows, padding = Windows((2, 2), (1, 1), (1, 1)), ((0, 0), (0, 0))
    dz = np.ones((2, 4, 4, 3), np.float32)
    dz[0, 1, 1, 1] = value
    with np.errstate(invalid="ignore"):
        expected = passed(Kernels(), images, weight, bias, windows, padding, relu=True, dz=dz)
    found = passed(NumbaKernels(), images, weight, bias, windows, padding, relu=True, dz=dz)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_bits_do_not_depend_on_the_other_images():
    images, weight, bias = arrays((7, 6, 5, 3), 40, (3, 3), np.float32)
    windows, padding = Windows((3, 3), (1, 1), (1, 1)), ((1, 1), (1, 1))
    whole, _, dimages = passed(NumbaKernels(), images, weight, bias, windows, padding)
    for n in range(7):
        z, _, dx = passed(NumbaKernels(), images[n : n + 1], weight, bias, windows, padding)
        np.testing.assert_array_equal(z[0], whole[n])
        np.testing.assert_array_equal(dx[0], dimages[n])


@pytest.mark.parametrize("why", ["threads share products", "many weights"])
def test_columns_are_used_where_they_are_faster(monkeypatch, why):
    images, weight, bias = arrays((2, 4, 4, 4), 3, (2, 2), np.float64)
    windows, padding = Windows((2, 2), (1, 1), (1, 1)), ((0, 0), (0, 0))
    monkeypatch.setattr(numba_images, "MAX_DIRECT_WEIGHTS", weight.size - (why == "many weights"))
    loaded = []
    for module in (numba, numba_images):
        monkeypatch.setattr(module, "loops", lambda name: loaded.append(name) or numpy_loops())
    divides = why == "threads share products"
    passed(NumbaKernels(), images, weight, bias, windows, padding, divides=divides)
    assert set(loaded) == {"convolution", "dense"}


def numpy_loops():
    """Return loops that are not compiled."""

    class Loops:
        @staticmethod
        def im2col(images, columns, *stride):
            Kernels().im2col(images, columns, stride)

        @staticmethod
        def col2im(columns, images, *stride):
            Kernels().col2im(columns, images, stride)

        @staticmethod
        def add_bias(x, bias):
            Kernels().add_bias(x, bias, None)

    return Loops
