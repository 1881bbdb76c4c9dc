"""The functions of C for matrix products."""

import ctypes

import numpy as np
import pytest

from nnreg.kernels import cblas
from nnreg.kernels.cblas import Cblas

OF_NUMPY = cblas.of_numpy()

pytestmark = pytest.mark.skipif(OF_NUMPY is None, reason="this NumPy's BLAS has no functions of C")


def matrices(dtype):
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 7)).astype(dtype), rng.normal(size=(7, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_matrices_that_may_be_transposed_in_memory(dtype, turned):
    a, b = matrices(dtype)
    stored = [
        np.asfortranarray(one) if other else one for one, other in zip((a, b), turned, strict=True)
    ]
    out = np.full((5, 3), np.nan, dtype)
    assert OF_NUMPY.matmul(*stored, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-6)


def test_parts_of_larger_matrices():
    a, b = matrices("float64")
    out = np.zeros((2, 3))
    assert OF_NUMPY.matmul(a[1:3, 2:6], b[2:6], out)
    np.testing.assert_allclose(out, a[1:3, 2:6] @ b[2:6])


def test_matrices_of_other_layouts_or_types_are_left_to_numpy():
    a, b = matrices("float64")
    out = np.zeros((5, 3))
    assert not OF_NUMPY.matmul(a.astype("f4"), b, out)
    assert not OF_NUMPY.matmul(np.repeat(a, 2, axis=1)[:, ::2], b, out)
    assert not OF_NUMPY.matmul(a, b, np.zeros((3, 5)).T)
    assert not out.any()


def test_a_function_has_an_address_and_a_size():
    assert OF_NUMPY.address("float32") != OF_NUMPY.address("float64")
    assert OF_NUMPY.integer_bits in (32, 64)


def test_a_library_without_these_functions_has_none():
    assert Cblas.of(ctypes.CDLL(None)) is None or hasattr(ctypes.CDLL(None), "cblas_sgemm")
    assert Cblas.of(object()) is None
