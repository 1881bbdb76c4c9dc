"""The spacing of the rows of a series: the steps between times, and the usual season."""

import numpy as np
import pytest

from nnreg.data.spacing import Spacing, spacing_of, spacing_of_numbers


def moments(texts):
    return np.array(texts, "datetime64[us]").astype(np.int64)


@pytest.mark.parametrize(
    ("texts", "name", "season"),
    [
        (["2024-01-31", "2024-02-29", "2024-03-31"], "monthly", 12),
        (["2024-01-01", "2024-04-01", "2024-07-01"], "quarterly", 4),
        (["2024-01-01", "2024-01-02", "2024-01-03"], "daily", 7),
        (["2024-01-01", "2024-01-08", "2024-01-15"], "weekly", 52),
        (["2024-01-01T00", "2024-01-01T01", "2024-01-01T02"], "hourly", 24),
        (["2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"], "every 15 minutes", 96),
        (["2024-01-04", "2024-01-05", "2024-01-08"], "business days", 5),
        (["2021-01-01", "2022-01-01", "2023-01-01"], "yearly", None),
    ],
)
def test_the_spacing_of_dates(texts, name, season):
    found = spacing_of(moments(texts))
    assert found.name == name
    assert found.season == season
    times = moments(texts)
    np.testing.assert_array_equal(found.steps(times[:-1], times[1:]), 1)
    np.testing.assert_array_equal(found.steps(times[:1], times[2:]), 2)


def test_steps_that_are_not_whole_are_nan():
    daily = Spacing("daily", "microseconds", 86400e6)
    assert np.isnan(daily.steps(*moments(["2024-01-01", "2024-01-02T12"])[:, None]))
    monthly = Spacing("monthly", "months", 1.0)
    assert np.isnan(monthly.steps(*moments(["2024-01-10", "2024-02-11"])[:, None]))
    quarterly = Spacing("quarterly", "months", 3.0)
    assert np.isnan(quarterly.steps(*moments(["2024-01-10", "2024-02-10"])[:, None]))
    workdays = Spacing("business days", "business days", 1.0)
    assert np.isnan(workdays.steps(*moments(["2024-01-05", "2024-01-06"])[:, None]))


def test_the_spacing_of_numbers():
    found = spacing_of_numbers(np.array([1950.0, 1951, 1952, 1955]))
    assert (found.name, found.season) == ("every 1", None)
    np.testing.assert_array_equal(found.steps(np.array([1950.0]), np.array([1955.0])), 5)
    tenths = spacing_of_numbers(np.arange(20) * 0.1)
    np.testing.assert_array_equal(tenths.steps(np.array([0.3]), np.array([0.4])), 1)
    assert spacing_of_numbers(np.array([1.0, 2, 5, 12, 31])) is None


@pytest.mark.parametrize(
    ("texts", "after"),
    [
        (["2023-12-31", "2024-01-31", "2024-02-29"], ["2024-03-31", "2024-04-30"]),
        (["2024-01-10", "2024-02-10", "2024-03-10"], ["2024-04-10", "2024-05-10"]),
        (["2022-03-01", "2023-03-01", "2024-03-01"], ["2025-03-01", "2026-03-01"]),
        (["2024-01-04", "2024-01-05", "2024-01-08"], ["2024-01-09", "2024-01-10"]),
        (["2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10",
          "2024-01-11", "2024-01-12"], ["2024-01-15", "2024-01-16"]),
        (["2024-02-27", "2024-02-28", "2024-02-29"], ["2024-03-01", "2024-03-02"]),
        (["2023-12-31T22", "2023-12-31T23", "2024-01-01T00"], ["2024-01-01T01", "2024-01-01T02"]),
    ],
)  # fmt: skip
def test_times_continue_at_their_spacing(texts, after):
    times = moments(texts)
    found = spacing_of(times).after(times[-1:], np.array([1, 2]))
    np.testing.assert_array_equal(found, [moments(after)])


def test_numbers_continue_at_their_spacing():
    spacing = spacing_of_numbers(np.array([1950.0, 1951, 1952]))
    np.testing.assert_array_equal(
        spacing.after(np.array([1952.0]), np.array([1, 2])), [[1953, 1954]]
    )
