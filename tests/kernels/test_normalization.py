"""NumPy's kernels of normalization, in blocks, against whole computations in float64."""

import numpy as np
import pytest

from nnreg.interfaces import Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.blocks import BLOCK_VALUES, row_blocks

COLUMNS = [
    (1, 1, 1),
    (1, 7, 5),
    (1, 3 * BLOCK_VALUES // 32, 32),
    (1, BLOCK_VALUES + 1, 1),
    (1, BLOCK_VALUES + 1, 3),
    (3, 50_000, 2),
    (70, 40, 31),
    (5, 1, 4),
    (2, 0, 3),
]
ROWS = [(1, 2), (1, BLOCK_VALUES + 1), (7, 33), (3 * BLOCK_VALUES // 64 + 1, 64), (5000, 30)]


def scratch(dtype):
    return Workspace(dtype, reuse=False)


def assert_close(found, expected, dtype):
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12}
    if dtype == np.float64:
        tolerance["atol"] = 1e-12 * max(1.0, np.abs(expected).max(initial=0))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", COLUMNS)
def test_columns_are_measured_and_normalized_in_blocks_as_at_once(shape, dtype):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(0.5, 1, (2, *shape)).astype(dtype)
    coefficients = mean, slope, shift, change = rng.normal(size=(4, *shape[::2])).astype(dtype)
    wide, g = x.astype(np.float64), dy.astype(np.float64)
    m, s, t, c = coefficients[:, :, None].astype(np.float64)
    count = max(shape[1], 1)

    own, squares, total, products = np.full((4, *shape[::2]), np.nan, dtype)
    Kernels().column_moments(x, own, squares, scratch(dtype))
    assert_close(own, wide.sum(axis=1) / count, dtype)
    centered = wide - wide.sum(axis=1, keepdims=True) / count
    assert_close(squares, np.square(centered).sum(axis=1), dtype)

    Kernels().column_products(dy, x, mean, total, products, scratch(dtype))
    for found, values in ((total, g), (products, g * (wide - m))):
        assert_close(found / count, values.sum(axis=1) / count, dtype)

    y, dx = np.full((2, *shape), np.nan, dtype)
    Kernels().normalize_columns(x, mean, slope, shift, y, scratch(dtype))
    assert_close(y, (wide - m) * s + t, dtype)
    Kernels().normalize_columns_backward(dy, x, mean, slope, change, shift, dx, scratch(dtype))
    assert_close(dx, g * s - (wide - m) * c - t, dtype)


def test_the_deviation_of_channels_far_from_zero_is_right():
    x = np.random.default_rng(0).normal(1e4, 0.1, (1, 20_000, 3)).astype(np.float32)
    mean, squares = np.empty((2, 1, 3), np.float32)
    Kernels().column_moments(x, mean, squares, scratch(np.float32))
    np.testing.assert_allclose(squares / 20_000, np.var(x, axis=1, dtype=np.float64), rtol=1e-3)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", ROWS)
def test_rows_are_normalized_in_blocks_as_at_once(shape, dtype, centered):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(0.5, 1, (2, *shape)).astype(dtype)
    gamma, beta = rng.normal(size=(2, shape[1])).astype(dtype)
    y, dx = np.full((2, *shape), np.nan, dtype)
    mean, scale = np.empty((2, len(x)), dtype)
    dgamma, dbeta = np.full((2, shape[1]), np.nan, dtype)
    options = (beta, mean, dbeta) if centered else (None, None, None)
    Kernels().layer_norm(x, gamma, options[0], y, options[1], scale, 0.1, scratch(dtype))
    Kernels().layer_norm_backward(
        dy, x, gamma, options[1], scale, dx, dgamma, options[2], scratch(dtype)
    )

    wide, g = x.astype(np.float64), dy.astype(np.float64)
    center = wide.mean(axis=1, keepdims=True) if centered else 0
    factor = 1 / np.sqrt(np.square(wide - center).mean(axis=1, keepdims=True) + 0.1)
    normal = (wide - center) * factor
    assert_close(y, normal * gamma + (beta if centered else 0), dtype)
    assert_close(dgamma / len(x), (g * normal).mean(axis=0), dtype)
    if centered:
        assert_close(dbeta / len(x), g.mean(axis=0), dtype)
    part = g * gamma
    across = (part * normal).mean(axis=1, keepdims=True)
    less = part.mean(axis=1, keepdims=True) if centered else 0
    assert_close(dx, (part - less - normal * across) * factor, dtype)


@pytest.mark.parametrize(("rows", "features"), [(0, 3), (1, 10 * BLOCK_VALUES), (5, 3), (7, 0)])
def test_blocks_of_rows_are_all_rows(rows, features):
    blocks = row_blocks(rows, features)
    assert np.concatenate([np.arange(rows)[one] for one in blocks]).tolist() == [*range(rows)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_propagated(value):
    x = np.ones((1, 4, 2), np.float32)
    x[0, 1, 1] = value
    mean, squares = np.empty((2, 1, 2), np.float32)
    with np.errstate(invalid="ignore"):
        Kernels().column_moments(x, mean, squares, scratch(np.float32))
    assert np.isfinite(squares).tolist() == [[True, False]]
