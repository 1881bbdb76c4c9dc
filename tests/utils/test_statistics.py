"""Mean, deviation and norm agree with exact arithmetic for every finite input."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nnreg._utils.statistics import (
    Moments,
    all_finite,
    mean_and_deviation,
    mean_and_deviation_of_chunks,
    norm,
    scale_of,
    standardize,
    unstandardize,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def exact(values):
    """Return mean and population deviation, from rational arithmetic."""
    mean = sum(map(Fraction, values)) / len(values)
    return float(mean), statistics.pstdev(map(Fraction, values))


def assert_close(found, values):
    mean, deviation = found
    true_mean, true_deviation = exact(values)
    largest = max(abs(value) for value in values)
    assert abs(float(mean) - true_mean) <= 4e-16 * largest
    assert abs(float(deviation) - true_deviation) <= 4e-15 * true_deviation + 4e-16 * largest


@given(st.lists(FINITE, min_size=1, max_size=50))
def test_mean_and_deviation_are_those_of_exact_arithmetic(values):
    assert_close(mean_and_deviation(np.array(values)), values)


@given(FINITE, st.integers(1, 2000))
def test_a_constant_column_has_its_value_as_mean_and_no_deviation(value, rows):
    mean, deviation = mean_and_deviation(np.full((rows, 2), value))
    assert mean.tolist() == [value, value]
    assert deviation.tolist() == [0.0, 0.0]
    chunks = np.array_split(np.full((rows, 2), value), 3)
    mean, deviation = mean_and_deviation_of_chunks(chunks)
    assert mean.tolist() == [value, value]
    assert deviation.tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_errors_do_not_grow_with_the_rows_or_with_a_common_offset():
    values = np.random.default_rng(0).normal(1e9, 1e-3, 300_000)
    assert_close(mean_and_deviation(values), values.tolist())
    assert_close(mean_and_deviation_of_chunks(np.array_split(values, 7)), values.tolist())


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=9), st.sampled_from([(), (3,)]))
def test_moments_of_parts_are_bit_identical_to_those_of_all_rows(lengths, shape):
    rows = np.random.default_rng(0).normal(5, 2, (sum(lengths) + 1, *shape))
    found = Moments()
    for part in np.split(rows, np.cumsum(lengths)):
        found.add(part)
    for one, other in zip(found.result(), mean_and_deviation(rows), strict=True):
        assert one.tobytes() == other.tobytes()


def test_each_column_keeps_its_own_magnitude():
    values = np.array([[1e300, 1e-300, 1.0], [3e300, 3e-300, 3.0]])
    mean, deviation = mean_and_deviation(values)
    np.testing.assert_allclose(mean, [2e300, 2e-300, 2.0], rtol=1e-15)
    np.testing.assert_allclose(deviation, [1e300, 1e-300, 1.0], rtol=1e-15)


@pytest.mark.parametrize("value", [14.62, -1e-300, 1e300, 0.0])
def test_a_column_that_differs_by_rounding_alone_is_divided_by_1(value):
    column = np.array([value, np.nextafter(value, np.inf), value, np.nextafter(value, -np.inf)])
    if value:  # differences of the smallest numbers from zero are no rounding
        assert scale_of(*mean_and_deviation(column)) == 1
    assert scale_of(*mean_and_deviation(np.full(3, value))) == 1
    values = np.array([value, value + 1e-6 * (abs(value) or 1)])
    assert scale_of(*mean_and_deviation(values)) == pytest.approx(5e-7 * (abs(value) or 1))


@pytest.mark.parametrize("size", [1e-300, 1.0, 1.7e308])
def test_standardized_values_have_mean_0_and_deviation_1_and_return(size):
    values = size * np.array([1.0, -1.0, -1.0, -1.0, 0.5])
    mean, deviation = (float(one) for one in mean_and_deviation(values))
    scaled = standardize(values, mean, deviation)
    assert np.mean(scaled) == pytest.approx(0, abs=1e-15)
    assert np.std(scaled) == pytest.approx(1)
    np.testing.assert_allclose(unstandardize(scaled.copy(), mean, deviation), values, rtol=1e-14)
    columns = np.stack([scaled, scaled], axis=1)
    restored = unstandardize(columns, (mean, 0.0), (deviation, 1.0))
    np.testing.assert_allclose(restored.T, [values, scaled], rtol=1e-14, atol=1e-15)


def test_float32_is_summed_in_float64():
    values = np.random.default_rng(1).normal(100, 1, 200_000).astype(np.float32)
    assert_close(mean_and_deviation(values), values.tolist())


@given(st.lists(st.lists(FINITE, max_size=9), min_size=1, max_size=9).filter(any))
def test_chunks_give_what_all_rows_give(lists):
    chunks = [np.array(values, np.float64) for values in lists]
    assert_close(mean_and_deviation_of_chunks(chunks), [value for one in lists for value in one])


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        mean_and_deviation_of_chunks([np.zeros((0, 2))])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norm_is_that_of_exact_arithmetic(dtype):
    @given(
        arrays(dtype, st.integers(0, 40), elements={"allow_nan": False, "allow_infinity": False})
    )
    def check(vector):
        # math.hypot scales by itself; it is exact to an ulp
        true = math.hypot(*vector.astype(np.float64).tolist())
        if math.isfinite(true):
            with np.errstate(over="ignore"):
                found = norm(vector)
            assert found == pytest.approx(true, rel=1e-6 if dtype is np.float32 else 1e-14)

    check()


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_the_norm_of_a_vector_that_is_not_finite_is_not_finite(bad):
    with np.errstate(invalid="ignore"):
        assert not math.isfinite(norm(np.array([1.0, bad, 2.0])))


@pytest.mark.parametrize(("bad", "expected"), [(3e38, True), (math.inf, False), (math.nan, False)])
def test_values_whose_squares_overflow_are_finite(bad, expected):
    values = np.array([[1.0, bad], [2.0, 3.0]], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        assert all_finite(values) is expected
