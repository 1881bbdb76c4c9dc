"""The largest values of windows, compiled by Numba, compared with NumPy's."""

import numpy as np
import pytest

from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

SCRATCH = Workspace(np.float32, reuse=False)


def pooled(kernels, x, size, stride):
    """Return the largest values, and the gradient of their cosines' sum."""
    height, width = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], size, stride, strict=True))
    y, dx = np.full((len(x), height, width, x.shape[3]), 7, "f4"), np.full_like(x, 7)
    kernels.max_pool(x, y, size, stride)
    kernels.max_pool_backward(np.cos(np.nan_to_num(y) + 1), x, y, dx, size, stride, SCRATCH)
    return y, dx


@pytest.mark.parametrize("channels", [1, 3, 40])
@pytest.mark.parametrize(
    ("size", "stride"),
    [
        ((1, 1), (1, 1)),
        ((1, 3), (1, 2)),
        ((3, 1), (3, 1)),
        ((2, 2), (2, 2)),
        ((3, 3), (2, 2)),
        ((2, 3), (3, 4)),
        ((4, 3), (1, 1)),
    ],
)
def test_values_and_gradients_are_those_of_numpy_for_equal_values_too(size, stride, channels):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, 7, 6, channels)).astype("f4")
    expected = pooled(Kernels(), x, size, stride)
    for found, other in zip(pooled(NumbaKernels(), x, size, stride), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_propagated(place, value):
    x = np.zeros((1, 2, 2, 1), "f4")
    x.reshape(-1)[place] = value
    found, expected = (pooled(k, x, (2, 2), (2, 2))[0] for k in (NumbaKernels(), Kernels()))
    np.testing.assert_array_equal(found, expected)
