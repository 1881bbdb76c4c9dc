"""The compiled steps of recurrent layers and their gradients, compared with NumPy's."""

import numpy as np
import pytest

from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

RNG = np.random.default_rng(0)


def arrays(dtype, *shapes):
    return [RNG.normal(size=shape).astype(dtype) for shape in shapes]


def gradient(kernels, below, dsums):
    found = np.full((len(dsums), below.shape[1]), np.nan, below.dtype)
    kernels.steps_gradient(below, dsums, found, Workspace(below.dtype, reuse=False))
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("time", "batch", "inputs", "sums"),
    [
        (1, 1, 2, 1),
        (3, 1, 3, 12),
        (2, 5, 17, 13),
        (7, 64, 33, 11),
        (9, 31, 34, 24),
        (2, 300, 66, 25),
        (5, 128, 98, 3),
    ],
)
def test_the_gradient_of_the_weights_is_the_sum_over_all_steps(time, batch, inputs, sums, dtype):
    below, dsums = arrays(dtype, (time, inputs, batch), (sums, time + 1, batch))
    below[:, -1] = 1
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for d in (dsums[:, 1:], dsums[:, 1:].copy()):  # the steps before may have no gradient
        expected = np.einsum("msb,snb->mn", d.astype("f8"), below.astype("f8"))
        for kernels in (Kernels(), NumbaKernels()):
            found = gradient(kernels, below, d)
            scale = np.sqrt(time * batch)
            np.testing.assert_allclose(found / scale, expected / scale, tolerance, tolerance)


def test_what_is_not_finite_reaches_the_gradients_that_depend_on_it_alone():
    below, dsums = arrays(np.float32, (3, 40, 8), (14, 3, 8))
    below[:, -1] = 1
    below[1, 35, 2], dsums[13, 2, 7] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        found = np.isfinite(gradient(NumbaKernels(), below, dsums))
    expected = np.ones((14, 40), bool)
    expected[:, 35] = expected[13] = False
    np.testing.assert_array_equal(found, expected)
