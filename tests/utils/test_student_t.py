"""Student's t distribution: known values, and SciPy's."""

import math

import pytest

from nnreg._utils.student_t import t_quantile, two_sided_probability


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227), (1000, 1.96234)],
)
def test_the_quantiles_are_those_of_printed_tables(degrees, quantile):
    assert t_quantile(0.975, degrees) == pytest.approx(quantile, rel=3e-6)
    assert t_quantile(0.025, degrees) == -t_quantile(0.975, degrees)


def test_one_degree_of_freedom_is_the_cauchy_distribution():
    for t in (1e-9, 0.5, 1.0, 30.0, 1e8):
        exact = 1 - 2 * math.atan(t) / math.pi if t < 1 else 2 * math.atan(1 / t) / math.pi
        assert two_sided_probability(t, 1) == pytest.approx(exact, rel=1e-10)
        assert two_sided_probability(-t, 1) == two_sided_probability(t, 1)


def test_at_zero_and_beyond_all_numbers_the_probability_is_exact():
    assert two_sided_probability(0, 5) == 1
    assert two_sided_probability(math.inf, 5) == 0
    assert t_quantile(0.5, 3) == 0


@pytest.mark.verify
def test_probabilities_and_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 1.5, 2, 3.7, 10, 99, 1e4, 1e6):
        for t in (1e-6, 0.1, 1, 2.5, 12, 200):
            expected = 2 * stats.t.sf(t, degrees)
            assert two_sided_probability(t, degrees) == pytest.approx(
                expected, rel=1e-8, abs=1e-300
            )
        for probability in (0.0005, 0.1, 0.6, 0.975, 0.9999):
            expected = stats.t.ppf(probability, degrees)
            assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-8)
