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


SHAPES = [(1, 3, 700), (700, 3, 1), (5, 1, 513), (600, 7, 530)]


def factors(rows, inner, columns, dtype=np.float64):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(rows, inner)), rng.normal(size=(columns, inner)).T
    return a.astype(dtype), b.astype(dtype)


def product(a, b, threads):
    pool, out = ThreadPool(threads), np.full((len(a), b.shape[1]), np.nan, a.dtype)
    with pool.open(), blas_threads(1):
        assert BlockProducts(pool, threads).dot(a, b, out) is out
    return out


@pytest.fixture(autouse=True)
def _divide_small_products(monkeypatch):
    monkeypatch.setattr(block_products, "MIN_FLOPS", 0)
    block_products._trial.cache_clear()


@pytest.mark.parametrize("shape", SHAPES)
def test_products_equal_those_of_numpy_on_any_number_of_threads(shape, monkeypatch):
    a, b = factors(*shape)
    single = product(a, b, 1)
    np.testing.assert_allclose(single, np.einsum("ri,ic->rc", a, b), rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(block_products, "USES_BEFORE_TRIAL", 0)  # so that blocks are joined
    for threads in (1, 2, 3):
        assert np.array_equal(product(a, b, threads), single)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_blocks_of_a_thread_are_joined_after_a_trial(dtype, monkeypatch):
    found = []

    def term_by_term(a, b, out, block):
        """Multiply with bits that depend on no block, as those of some BLAS libraries do."""
        found.append(block)
        out[block] = 0
        for column, row in zip(a.T, b, strict=True):
            out[block] += column[block, None] * row

    monkeypatch.setattr(block_products, "_multiply", term_by_term)
    a, b = factors(600, 7, 530, dtype)
    first = product(a, b, 1)
    for _ in range(block_products.USES_BEFORE_TRIAL):
        product(a, b, 1)
    found.clear()
    assert np.array_equal(product(a, b, 1), first)
    assert len(found) == 1


def test_blocks_stay_apart_if_their_bits_depend_on_the_width(monkeypatch):
    multiply = block_products._multiply

    def differing(a, b, out, block):
        multiply(a, b, out, block)
        out[block] *= 1 + (block.stop - block.start) * 1e-15

    monkeypatch.setattr(block_products, "_multiply", differing)
    a, b = factors(600, 7, 530)
    before = product(a, b, 1)
    monkeypatch.setattr(block_products, "USES_BEFORE_TRIAL", 0)
    assert np.array_equal(product(a, b, 1), before)
    assert np.array_equal(product(a, b, 2), before)
