"""The baseline of a time series: the value of one season before."""

import numpy as np
import pytest

from nnreg.data.naive import season_of, seasonal_naive
from nnreg.data.window_settings import Window
from nnreg.data.windows import as_windows
from nnreg.runs.baseline import describe
from nnreg.runs.run import prepare_run
from nnreg.tables.convert import table_of


def days(count, gone=()):
    dates = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(count))
    kept = [number for number in range(count) if number not in gone]
    return table_of({"y": np.array(kept, float), "day": dates.astype(object)[kept]})


def naive(table, **options):
    window = Window(**{"order": "day", **options})
    windows = as_windows(table, window, ["y"])
    return windows, seasonal_naive(windows, window, tuple(windows.columns))


def test_a_value_is_that_of_one_season_before():
    windows, found = naive(days(40), length=8, horizon=3)
    target = np.stack(list(windows.columns.values()), axis=1)
    np.testing.assert_array_equal(found, target - 7)


def test_values_after_a_season_are_those_of_the_last_known_one():
    windows, found = naive(days(40), length=4, horizon=5, gap=1, season=3)
    last = windows.starts + 3
    np.testing.assert_array_equal(found - last[:, None], [[-1, 0, -2, -1, 0]] * len(windows))


def test_without_a_season_it_is_the_last_value():
    windows, found = naive(table_of({"y": np.arange(9.0)}), length=2, horizon=2, order=None)
    assert season_of(windows, Window(length=2)) == 1
    np.testing.assert_array_equal(found, np.repeat(windows.starts + 1, 2).reshape(-1, 2))


def test_a_series_that_does_not_reach_back_is_continued_by_its_last_value():
    _, found = naive(days(12), length=3, horizon=1)
    np.testing.assert_array_equal(found[:, 0], [2, 3, 4, 5, 0, 1, 2, 3, 4])
    with pytest.warns(match="1 gap"):
        _, found = naive(days(20, gone=[9]), length=3, horizon=1)
    np.testing.assert_array_equal(found[-7:, 0], [12, 13, 14, 15, 10, 11, 12])


def test_values_of_several_columns_are_by_step():
    table = table_of({"y": np.arange(9.0), "z": -np.arange(9.0)})
    window = Window(length=3, horizon=2, season=2)
    windows = as_windows(table, window, ["y", "z"])
    found = seasonal_naive(windows, window, tuple(windows.columns))
    np.testing.assert_array_equal(found[0], [1, -1, 2, -2])


def test_a_network_is_compared_with_it(tmp_path):
    table = days(60)
    values = np.sin(2 * np.pi * np.arange(60) / 7) + 0.01 * np.arange(60) ** 2
    rows = {"y": values, "day": table.columns["day"].tolist()}
    spec = {
        "data": {
            "source": "csv", "path": "-", "target": "y", "split": {"test": 0.3},
            "window": {"length": 7, "horizon": 2, "order": "day"},
        },
        "model": {"layers": [{"type": "flatten"}, {"type": "dense", "units": 2}]},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "metrics": ["mean_absolute_error"],
        "train": {"epochs": 1},
    }  # fmt: skip
    run = prepare_run(spec, data=({"day": rows["day"]}, {"y": values}))
    run.train()
    rows_of_test = np.arange(42, 60)
    change = values - np.roll(values, 7)
    starts = rows_of_test[:-1]
    expected = np.mean([[abs(change[row]), abs(change[row + 1])] for row in starts])
    verdict = run.summary["verdict"]
    assert verdict["guess"] == "seasonal naive, season 7"
    assert verdict["guess_value"] == pytest.approx(expected)
    assert "baseline (seasonal naive, season 7) " in describe(verdict)
