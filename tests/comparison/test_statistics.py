"""Intervals and tests of a comparison: known examples, and SciPy's."""

import math
import statistics

import numpy as np
import pytest

from nnreg.comparison.statistics import (
    bootstrap_interval,
    differences_needed,
    holm,
    paired_test,
    unpaired_test,
    variance_explained,
)

SLEEP_1, SLEEP_2 = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)
"""The hours of sleep gained by ten patients with each of two drugs: the data of Student 1908."""


def test_the_paired_test_of_student_is_that_in_every_textbook():
    found = paired_test([b - a for a, b in zip(SLEEP_1, SLEEP_2, strict=True)])
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert found.p == pytest.approx(0.00283289, abs=1e-8)


def test_the_unpaired_test_is_that_of_welch():
    found = unpaired_test(SLEEP_2, SLEEP_1)
    assert (found.low, found.high) == pytest.approx((-0.2054832, 3.3654832), abs=1e-7)
    assert found.p == pytest.approx(0.07939414, abs=1e-8)


def test_overlapping_training_rows_widen_the_interval():
    """Ten splits with 10 % of the rows evaluated: Nadeau and Bengio 2003, section 3."""
    differences = [b - a for a, b in zip(SLEEP_1, SLEEP_2, strict=True)]
    plain, corrected = paired_test(differences), paired_test(differences, 0.1 / 0.9)
    assert corrected.mean == plain.mean
    ratio = (corrected.high - corrected.mean) / (plain.high - plain.mean)
    assert ratio == pytest.approx(math.sqrt((1 / 10 + 1 / 9) / (1 / 10)))
    assert corrected.p > plain.p


def test_equal_differences_say_nothing_about_noise():
    assert paired_test([0.5, 0.5, 0.5]).p == 1
    assert paired_test([0.9 - 0.8, 0.8 - 0.7]).p == 1
    assert (paired_test([0.5, 0.5]).low, paired_test([0.5, 0.5]).high) == (0.5, 0.5)
    assert paired_test([0.0, 0.0]).p == 1
    assert unpaired_test([1.0, 1.0], [1.0, 1.0]).p == 1


def test_p_values_of_several_tests_are_adjusted_as_by_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_the_number_of_needed_differences_is_the_first_that_excludes_zero():
    rng = np.random.default_rng(0)
    for differences in rng.normal(0.5, 1, (20, 6)).tolist():
        count = differences_needed(differences)
        if count is None:
            continue
        mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
        for n, excluded in ((count, True), (count - 1, False)):
            if n < 2:
                continue
            scale = deviation * math.sqrt((n - 1) / n)  # n values of this sample deviation
            values = [mean + scale * (-1) ** i for i in range(n)]
            if n % 2 == 0:
                assert (paired_test(values).p < 0.05) == excluded


def test_more_splits_of_the_same_rows_may_never_be_enough():
    differences = [0.4, -0.2, 0.5, 0.1, -0.1]
    assert 20 < differences_needed(differences) < 40
    assert differences_needed(differences, overlap=0.25) is None
    assert differences_needed([1.0, -1.0, 1.0, -0.999]) is None


def test_the_bootstrap_interval_contains_the_mean_and_no_value_outside():
    rng = np.random.default_rng(1)
    for values in rng.normal(3, 1, (5, 8)).tolist():
        low, high = bootstrap_interval(values)
        assert min(values) <= low < statistics.fmean(values) < high <= max(values)
        assert bootstrap_interval(values) == (low, high)  # the seed is fixed
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_a_skewed_sample_has_an_interval_that_leans_to_its_tail():
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 9.0]
    low, high = bootstrap_interval(values)
    assert high - statistics.fmean(values) > 2 * (statistics.fmean(values) - low)


def test_few_values_have_an_interval_that_is_too_narrow_as_documented():
    rng = np.random.default_rng(2)
    found = [bootstrap_interval(row, 500) for row in rng.normal(size=(600, 5)).tolist()]
    assert np.mean([low <= 0 <= high for low, high in found]) == pytest.approx(0.82, abs=0.04)


def test_the_explained_variance_of_groups_is_corrected_for_chance():
    values = np.array([1.0, 2.0, 3.0, 5.0, 6.0, 7.0])
    explained, corrected = variance_explained(values, np.array([0, 0, 0, 1, 1, 1]))
    assert explained == pytest.approx(24 / 28)
    assert corrected == pytest.approx(1 - (4 / 4) / (28 / 5))
    assert variance_explained(values, np.arange(6)) == (1, 0)  # a group for each value
    assert variance_explained(np.ones(4), np.array([0, 0, 1, 1])) == (0, 0)
    noise = np.random.default_rng(3).normal(size=(300, 12))
    chance = [variance_explained(row, np.arange(12) % 4)[1] for row in noise]
    assert np.mean(chance) < 0.12  # η² is 3/11


@pytest.mark.verify
def test_the_tests_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(4)
    for count in (2, 3, 5, 20):
        first, second = rng.normal(0, 1, count).tolist(), rng.normal(0.5, 2, count + 1).tolist()
        found, expected = paired_test(first), stats.ttest_1samp(first, 0)
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-8)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-8)
        found = unpaired_test(first, second)
        expected = stats.ttest_ind(first, second, equal_var=False)
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-8)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-8)


@pytest.mark.verify
def test_the_bootstrap_is_that_of_scipy_with_the_same_samples():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    for values in (rng.normal(size=5), rng.exponential(size=30), rng.normal(size=3)):
        expected = stats.bootstrap(
            (values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
        found = bootstrap_interval(values.tolist())
        assert found == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.verify
def test_explained_variance_is_that_of_an_analysis_of_variance():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(6)
    groups = [rng.normal(mean, 1, 7) for mean in (0, 0.5, 1)]
    f = stats.f_oneway(*groups).statistic
    explained, _ = variance_explained(np.concatenate(groups), np.repeat([0, 1, 2], 7))
    assert explained == pytest.approx(2 * f / (2 * f + 18))
