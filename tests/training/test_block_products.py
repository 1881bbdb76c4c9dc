"""Large matrix products in blocks, which threads share."""

import numpy as np
import pytest

import nnreg.network.block_products as block_products
from nnreg._utils.threads import ThreadPool, blas_threads
from nnreg.network.block_products import BLOCK, TILE, BlockProducts, blocks_of


@pytest.mark.parametrize("size", [1, 63, 64, 511, 512, 513, 700, 1024, 1025, 1500, 2048, 2049])
def test_blocks_are_a_power_of_two_and_cover_everything(size):
    indices = np.arange(size)
    parts = [indices[block] for block in blocks_of(size)]
    assert np.array_equal(np.concatenate(parts), indices)
    assert len(parts) & (len(parts) - 1) == 0
    assert all(len(part) <= BLOCK for part in parts)
    assert all(part[0] % TILE == 0 for part in parts)


@pytest.mark.parametrize("shape", [(1, 3, 700), (700, 3, 1), (5, 1, 513), (600, 7, 530)])
def test_products_equal_those_of_numpy_on_any_number_of_threads(shape, monkeypatch):
    monkeypatch.setattr(block_products, "MIN_FLOPS", 0)
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(rows, inner)), rng.normal(size=(columns, inner)).T
    found = []
    for threads in (1, 2, 3):
        pool, out = ThreadPool(threads), np.full((rows, columns), np.nan)
        with pool.open(), blas_threads(1):
            assert BlockProducts(pool, threads).dot(a, b, out) is out
        found.append(out)
    np.testing.assert_allclose(found[0], np.einsum("ri,ic->rc", a, b), rtol=1e-12, atol=1e-12)
    assert all(np.array_equal(out, found[0]) for out in found)
