"""Random masks have the draws of NumPy's floats."""

import numpy as np
import pytest
from numpy.random import MT19937

from nnreg._utils.random_masks import BITS, BLOCK, MIN_RAW, draw_kept, draw_mask, least_integer

RATES = [0.0, 0.1, 1 / 3, 0.5, 1 - 2**-24, 1 - 1e-9]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("drawn_before", [0, 1])
def test_the_draws_are_those_of_floats_and_so_are_those_after_them(rate, drawn_before):
    rng, plain = np.random.default_rng(3), np.random.default_rng(3)
    for one in (rng, plain):
        one.random(drawn_before, dtype=np.float32)
    for shape in [(3,), (MIN_RAW, 2), (MIN_RAW + 1,), (5, MIN_RAW)]:
        expected = plain.random(shape, dtype=np.float32) >= rate
        np.testing.assert_array_equal(draw_kept(rng, rate, shape), expected)
        assert rng.random() == plain.random()


@pytest.mark.parametrize("rate", RATES)
def test_the_least_integer_is_that_of_the_least_float(rate):
    least = least_integer(rate) >> (32 - BITS)
    assert least_integer(rate) == least << (32 - BITS)
    assert np.float32(least * 2.0**-BITS) >= np.float32(rate)
    assert np.float32((least - 1) * 2.0**-BITS) < np.float32(rate)


def test_another_generator_is_drawn_from_by_its_floats():
    rng, plain = (np.random.Generator(MT19937(0)) for _ in range(2))
    expected = plain.random(2 * MIN_RAW, dtype=np.float32) >= 0.5
    np.testing.assert_array_equal(draw_kept(rng, 0.5, (2 * MIN_RAW,)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, BLOCK - 1, 2 * BLOCK + 7])
def test_a_mask_is_drawn_in_blocks_as_at_once(count, dtype):
    out = np.full(count, np.nan, dtype)
    draw_mask(np.random.default_rng(0), 0.3, 1 / 0.7, out)
    kept = np.random.default_rng(0).random(count, dtype=np.float32) >= 0.3
    np.testing.assert_array_equal(out, np.where(kept, dtype(1 / 0.7), 0))
