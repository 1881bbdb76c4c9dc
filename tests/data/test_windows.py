"""Windows of rows: which rows they have, their targets, and their splits by time."""

from dataclasses import replace

import numpy as np
import pytest

from nnreg import DataError
from nnreg.data.fitting import TargetColumns
from nnreg.data.loading import split_table
from nnreg.data.settings import Columns, Data, Split
from nnreg.data.split import Fold
from nnreg.data.window_settings import Window
from nnreg.data.windows import as_windows
from nnreg.errors import SpecError
from nnreg.tables.convert import table_of
from nnreg.tables.windows import Windows


def table(count=20, **columns):
    return table_of({"y": np.arange(count, dtype=float), **columns})


def two_shops(count=20):
    """Rows of two shops with days, shuffled; y is 100 times the shop, plus the day."""
    shop, day = np.repeat([1, 2], count), np.tile(np.arange(count), 2)
    order = np.random.default_rng(0).permutation(2 * count)
    y = 100.0 * shop + day
    return table_of({"y": y[order], "shop": shop[order], "day": day[order]})


GROUPED = Window(length=3, horizon=2, group="shop", order="day")


def inputs(windows, name="y"):
    rows, starts = windows.inputs()
    return Windows(rows.columns[name], starts, windows.length)[:]


def targets(windows):
    return np.stack(list(windows.columns.values()), axis=1)


def splits(data, window, split, fold=None, **columns):
    found = split_table(
        data,
        [TargetColumns(("y",))],
        Columns(window=window, **columns),
        split,
        0,
        fold,
        integer_inputs=(),
    )
    return found[0], {n: one for n, one in vars(found[1]).items() if one is not None}


def test_a_window_has_consecutive_rows_and_the_values_after_them():
    found = as_windows(table(8), Window(length=3, horizon=2, gap=1), ["y"])
    np.testing.assert_array_equal(inputs(found), [[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    assert list(found.columns) == ["y_1", "y_2"]
    np.testing.assert_array_equal(targets(found), [[4, 5], [5, 6], [6, 7]])


def test_stride_is_from_one_window_to_the_next():
    found = as_windows(table(10), Window(length=2, stride=3), ["y"])
    np.testing.assert_array_equal(inputs(found), [[0, 1], [3, 4], [6, 7]])
    np.testing.assert_array_equal(targets(found), [[2], [5], [8]])
    assert list(found.columns) == ["y"]


def test_without_targets_the_last_rows_are_a_window_too():
    found = as_windows(table(5), Window(length=3, horizon=2, gap=1), ["y"], with_targets=False)
    np.testing.assert_array_equal(inputs(found)[-1], [2, 3, 4])
    assert not found.columns
    assert len(found) == 3


def test_rows_are_sorted_by_time_within_each_group():
    found = as_windows(two_shops(), GROUPED, ["y"])
    x, y = inputs(found), targets(found)
    assert len(found) == 2 * (20 - 4)
    np.testing.assert_array_equal(np.diff(np.hstack([x, y]), axis=1), 1)


def test_several_targets_are_by_step_then_by_column():
    data = table(6, z=np.arange(6) + 0.5)
    found = as_windows(data, Window(length=2, horizon=2), ["y", "z"])
    assert list(found.columns) == ["y_1", "z_1", "y_2", "z_2"]
    np.testing.assert_array_equal(targets(found)[0], [2, 2.5, 3, 3.5])


def test_a_selection_keeps_only_the_rows_that_it_needs():
    found = as_windows(table(100), Window(length=3), ["y"]).take(np.array([5, 6, 50]))
    rows, starts = found.inputs()
    np.testing.assert_array_equal(rows.columns["y"], [5, 6, 7, 8, 50, 51, 52])
    np.testing.assert_array_equal(starts, [0, 1, 4])
    assert found.row_label(2) == "row 52"
    np.testing.assert_array_equal(targets(found)[:, 0], [8, 9, 53])


def test_too_few_rows_are_an_error_that_says_how_many_are_needed():
    window = Window(length=3, horizon=2, gap=1)
    with pytest.raises(DataError, match=r"needs 6 consecutive rows \(length 3, gap 1, horizon 2\)"):
        as_windows(table(5), window, ["y"])


def test_a_missing_group_is_an_error():
    data = table_of({"y": [1.0, 2, 3], "shop": ["a", None, "a"]})
    with pytest.raises(DataError, match="row 1, column 'shop': the value is missing"):
        as_windows(data, Window(length=1, group="shop"), ["y"])


@pytest.mark.parametrize("gap", [0, 3])
def test_no_training_row_is_after_the_cut(gap):
    window = Window(length=3, horizon=2, gap=gap, group="shop", order="day")
    _, found = splits(two_shops(40), window, Split(validation=0.25, test=0.25))
    ranges = {"train": (0, 20), "validation": (20, 30), "test": (30, 40)}
    for name, (begin, end) in ranges.items():
        days = targets(found[name]) % 100
        assert days.min() == (3 + gap if name == "train" else begin)
        assert days.max() == end - 1
    assert inputs(found["train"]).max() % 100 < 20
    assert inputs(found["validation"]).min() % 100 == 20 - 3 - gap


def test_the_cut_is_one_moment_for_groups_of_different_lengths():
    shop = np.repeat([1, 2], [40, 15])
    day = np.concatenate([np.arange(40), np.arange(25, 40)])
    data = table_of({"y": 100.0 * shop + day, "shop": shop, "day": day})
    _, found = splits(data, GROUPED, Split(test=0.4))
    last = (targets(found["train"]) % 100).max()
    assert (targets(found["test"]) % 100).min() == last + 1
    assert {1, 2} == set((targets(found["test"]) // 100).ravel())


def test_without_times_each_group_is_cut_at_the_same_fraction():
    shop = np.repeat([1, 2], [40, 20])
    data = table_of({"y": 100.0 * shop + np.r_[:40, :20], "shop": shop})
    _, found = splits(data, Window(length=3, group="shop"), Split(test=0.25))
    np.testing.assert_array_equal(
        targets(found["test"]).ravel(), [*range(130, 140), *range(215, 220)]
    )


def test_folds_train_on_everything_before_the_rows_that_they_hold_out():
    for number in (1, 2, 3):
        _, found = splits(table(40), Window(length=4, horizon=2), Split(), Fold(number, 3))
        assert targets(found["train"]).max() == 10 * number - 1
        held_out = targets(found["validation"])
        assert (held_out.min(), held_out.max()) == (10 * number, 10 * number + 9)


def test_a_split_without_windows_is_an_error():
    with pytest.raises(DataError, match=r"in the test split, which has 2 of 20 rows; change its"):
        splits(table(), Window(length=3, horizon=3), Split(test=0.1))


def test_what_is_learned_does_not_depend_on_held_out_rows():
    data, split = table(40, rain=np.sin(np.arange(40))), Split(validation=0.25, test=0.25)
    window = Window(length=3, horizon=2)
    learned, _ = splits(data, window, split, target_scaling="standard")
    for name in ("y", "rain"):
        data.columns[name][20:] *= 1000
    other, _ = splits(data, window, split, target_scaling="standard")
    assert learned == other


def test_group_and_order_are_inputs_only_if_they_are_listed():
    learned, _ = splits(two_shops(), GROUPED, Split())
    assert learned.names == ("y",)
    assert learned.input_shape == (3, 1)
    learned, _ = splits(two_shops(), GROUPED, Split(), inputs=("y", "day"))
    assert learned.names == ("y", "day")


def test_windows_with_a_missing_target_are_refused_or_dropped():
    data = table(10)
    data.columns["y"][5] = np.nan
    window = Window(length=2, horizon=2)
    with pytest.raises(DataError, match="row 5, column 'y': the target is missing"):
        splits(data, window, Split(), missing="impute")
    with pytest.warns(match="dropped 2 of 7"):
        _, found = splits(data, window, Split(), missing="impute", missing_target="drop")
    np.testing.assert_array_equal(targets(found["train"])[:, 0], [2, 3, 6, 7, 8])


def test_an_autoencoder_of_windows_is_refused():
    columns = Columns(window=Window(length=2))
    with pytest.raises(SpecError, match="windows predict columns"):
        split_table(table(), [TargetColumns(("inputs",))], columns, Split(), 0, integer_inputs=())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"split": Split(stratify=True)}, "cannot have 'stratify'"),
        ({"split": Split(group="y")}, "cannot have 'group'"),
        ({"split": Split(order="day")}, "sorts rows by 'time'; remove 'order'"),
        ({"sample_weights": "w"}, "remove 'sample_weights'"),
    ],
)
def test_settings_that_contradict_windows_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        Data(source=None, path="x.csv", window=Window(length=2, order="time"), **changes)


def test_the_column_of_the_split_sorts_rows_too():
    data = Data(source=None, path="x.csv", window=Window(length=2), split=Split(order="day"))
    assert data.windows.order == "day"


def dated(*gone, count=30, start="2024-01-31", step="D"):
    """Rows of a day or month each, without those of these numbers; y is their number."""
    moments = np.datetime64(start, step) + np.arange(count)
    days = [f"{moment}" for moment in moments]
    kept = [number for number in range(count) if number not in gone]
    day = np.array([days[number] for number in kept], object)
    return table_of({"y": np.array(kept, float), "day": day})


DAILY = Window(length=3, horizon=2, order="day")


def test_no_window_spans_a_gap():
    with pytest.warns(
        match=r"rows should be daily, found 2 gaps with 3 missing rows, the "
        r"first from 2024-02-09 to 2024-02-11; the 8 of 23 windows that would"
    ):
        found = as_windows(dated(10, 20, 21), DAILY, ["y"])  # fmt: skip
    rows = np.hstack([inputs(found), targets(found)])
    np.testing.assert_array_equal(np.diff(rows, axis=1), 1)
    assert len(found) == 6 + 5 + 4


def test_gaps_may_be_ignored_or_refused():
    window = replace(DAILY, irregular="ignore")
    assert len(as_windows(dated(10), window, ["y"])) == 25
    with pytest.raises(DataError, match="column 'day': rows should be daily"):
        as_windows(dated(10), replace(DAILY, irregular="refuse"), ["y"])


def test_rows_of_the_same_time_are_reported():
    data = dated()
    data.columns["day"][5] = data.columns["day"][4]
    with pytest.warns(
        match="1 gap with 1 missing row and 1 row with the time of the one before "
        r"\(if the file has several series, set data.window.group\)"
    ):
        as_windows(data, DAILY, ["y"])  # fmt: skip


def test_several_rows_of_the_same_time_are_counted():
    data = dated()
    data.columns["day"][5:7] = data.columns["day"][4]
    with pytest.warns(match="1 gap with 2 missing rows and 2 rows with the time of the one before"):
        as_windows(data, DAILY, ["y"])


def test_windows_longer_than_a_series_with_a_gap_are_too_long():
    with pytest.raises(DataError, match=r"a window needs 60 consecutive rows .*, but there are 29"):
        as_windows(dated(10), replace(DAILY, length=58), ["y"])


def test_the_group_with_a_gap_is_named():
    day = np.r_[:20, :20]
    data = table_of(
        {"y": day + 0.0, "day": day + (np.arange(40) > 30), "shop": ["a"] * 20 + ["b"] * 20}
    )
    with pytest.warns(match=r"rows should be every 1, found .* first of 'shop' 'b' from 10 to 12"):
        as_windows(data, GROUPED, ["y"])


def test_months_are_regular_although_they_differ_in_length():
    ends = dated(count=24, start="2023-01", step="M")
    found = as_windows(ends, DAILY, ["y"])
    assert found.spacing.name == "monthly"
    assert len(found) == 20


def test_times_without_a_common_distance_are_reported_and_counted_as_rows():
    data = table_of({"y": np.arange(9.0), "day": np.cumsum([1, 2, 4, 1, 7, 3, 9, 5, 6])})
    with pytest.warns(match="column 'day' follow each other at no common distance"):
        assert len(as_windows(data, DAILY, ["y"])) == 5
    assert len(as_windows(data, replace(DAILY, irregular="ignore"), ["y"])) == 5
    with pytest.raises(DataError, match="no common distance; correct them"):
        as_windows(data, replace(DAILY, irregular="refuse"), ["y"])
