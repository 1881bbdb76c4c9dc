"""NumPy's convolutions, of a few images at a time, against sums over each window."""

import itertools

import numpy as np
import pytest

from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.numpy import convolution
from nnreg.kernels.windows import Windows

CASES = {
    "images": ((5, 6, 7, 4), (3, 2), (1, 1), (1, 1), ((0, 0), (0, 0))),
    "few channels": ((5, 7, 6, 3), (2, 3), (2, 1), (1, 1), ((1, 0), (0, 2))),
    "dilated": ((4, 6, 6, 5), (2, 2), (1, 2), (2, 3), ((1, 1), (2, 0))),
    "sequences": ((3, 9, 1), (4,), (2,), (1,), ((3, 0),)),
    "volumes": ((3, 3, 4, 3, 2), (2, 2, 1), (1, 1, 2), (1, 2, 1), ((0, 1), (0, 0), (1, 1))),
}


def summed(images, weight, windows, padding):
    """Return what a convolution computes, one pixel at a time."""
    padded = np.pad(images, ((0, 0), *padding, (0, 0)))
    out = windows.count(padded.shape[1:-1])
    z = np.empty((len(images), *out, weight.shape[-1]))
    for pixel in itertools.product(*map(range, out)):
        at = [
            o * s + d * np.arange(k)
            for o, s, d, k in zip(
                pixel, windows.stride, windows.dilation, windows.size, strict=True
            )
        ]
        window = padded[:, *np.ix_(*at)]
        z[:, *pixel] = window.reshape(len(images), -1) @ weight.reshape(-1, weight.shape[-1])
    return z


@pytest.mark.parametrize("values", [1, 50, 10**6])
@pytest.mark.parametrize("divides", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_do_not_depend_on_how_many_images_are_copied_at_a_time(
    monkeypatch, case, divides, values
):
    shape, size, stride, dilation, padding = CASES[case]
    monkeypatch.setattr(convolution, "COLUMN_VALUES", values)
    rng, windows = np.random.default_rng(0), Windows(size, stride, dilation)
    images, weight = rng.normal(size=shape), rng.normal(size=(*size, shape[-1], 3))
    bias, scratch = rng.normal(size=3), Workspace(np.float64, reuse=False)
    scratch.divides_products = divides
    expected = summed(images, weight, windows, padding)
    z, clipped = np.empty(expected.shape), np.empty(expected.shape)
    found = Kernels().convolve(images, weight, bias, z, windows, padding, scratch)
    Kernels().convolve(images, weight, None, clipped, windows, padding, scratch, relu=True)
    np.testing.assert_allclose(z, expected + bias, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(clipped, np.maximum(expected, 0), rtol=1e-12, atol=1e-12)
    assert (found is None) == (not divides and values < 10**6)

    # the gradients of Σ dz z are linear: their products with any change are the change of the sum
    dz, change, other = (rng.normal(size=one.shape) for one in (z, images, weight))
    for kept in (found, None):
        dweight = np.empty_like(weight)
        Kernels().convolve_weight_gradient(images, dz, dweight, windows, padding, scratch, kept)
        changed = np.vdot(dz, summed(images, other, windows, padding))
        np.testing.assert_allclose(np.vdot(dweight, other), changed, rtol=1e-11)
    dimages = np.empty_like(images)
    Kernels().convolve_input_gradient(dz, weight, dimages, windows, padding, scratch)
    changed = np.vdot(dz, summed(change, weight, windows, padding))
    np.testing.assert_allclose(np.vdot(dimages, change), changed, rtol=1e-11)


def test_no_images_have_no_output_and_gradients_of_zero():
    windows, padding = Windows((2, 2), (1, 1), (1, 1)), ((0, 0), (0, 0))
    images, z, weight = np.empty((0, 3, 3, 1)), np.empty((0, 2, 2, 3)), np.ones((2, 2, 1, 3))
    scratch = Workspace(np.float64, reuse=False)
    found = Kernels().convolve(images, weight, None, z, windows, padding, scratch)
    Kernels().convolve_weight_gradient(images, z, weight, windows, padding, scratch, found)
    assert not weight.any()
