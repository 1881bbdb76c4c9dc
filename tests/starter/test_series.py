"""Windows that a starter spec has for a table of a time series."""

import numpy as np
import pytest

import nnreg
from nnreg.starter.column_facts import facts_of_columns
from nnreg.starter.series import propose_series
from nnreg.tables.convert import table_of

ROWS = 120


def days(count=ROWS, unit="D"):
    return np.datetime_as_string(np.datetime64("2024-01", unit) + np.arange(count)).tolist()


def sales(count=ROWS, seed=0):
    return np.random.default_rng(seed).normal(50, 9, count).round(3).tolist()


def proposed(target="sales", **columns):
    table = table_of(columns)
    return propose_series(table, facts_of_columns(table), target)


def test_days_have_windows_of_two_weeks():
    found = proposed(day=days(), sales=sales())
    assert found.window == {"length": 14, "horizon": 7, "order": "day", "relative_to": "last"}
    assert found.layers[-1] == {"type": "dense", "units": 7}
    assert (
        "the rows are daily by day. 14 rows in a row are an example"
        in (found.comments["$.data.window"])
    )


def test_months_have_windows_of_two_years():
    assert proposed(month=days(unit="M"), sales=sales()).window["length"] == 24
    short = proposed(month=days(60, "M"), sales=sales(60))
    assert short.window == {"length": 6, "horizon": 1, "order": "month", "relative_to": "last"}


def test_years_may_be_numbers():
    found = proposed(year=list(range(1900, 2020)), sales=sales())
    assert found.window == {"length": 12, "horizon": 1, "order": "year", "relative_to": "last"}
    assert proposed(age=list(range(1900, 2020)), sales=sales()) is None


@pytest.mark.parametrize("shops", [["north", "south"], [1, 2]])
def test_several_series_are_told_apart_by_a_column(shops):
    order = np.random.default_rng(0).permutation(2 * ROWS)
    rows = {"day": days() * 2, "shop": np.repeat(shops, ROWS).tolist(), "sales": sales(2 * ROWS)}
    shuffled = {name: [values[row] for row in order] for name, values in rows.items()}
    found = proposed(**shuffled)
    assert found.window == {
        "length": 14,
        "horizon": 7,
        "order": "day",
        "relative_to": "last",
        "group": "shop",
    }
    assert "daily by day for each shop" in found.comments["$.data.window"]


def test_some_missing_days_do_not_matter():
    kept = np.delete(np.arange(ROWS), [30, 70])
    assert proposed(day=np.array(days())[kept].tolist(), sales=sales(ROWS - 2)) is not None


def test_other_tables_have_no_windows():
    chosen = np.random.default_rng(0).permutation(3000)[:ROWS]
    anywhere = np.array(days(3000))[chosen].tolist()
    assert proposed(day=anywhere, sales=sales()) is None
    assert proposed(day=days()[:60] * 2, sales=sales()) is None
    assert proposed(day=days(20), sales=sales(20)) is None
    assert proposed(day=days(), sales=["few", "many"] * (ROWS // 2)) is None
    assert proposed(day=days(), sales=[0, 1] * (ROWS // 2)) is None
    assert proposed(rain=sales(seed=1), sales=sales()) is None
    assert proposed(day=["01/02/2024", "02/02/2024"] * (ROWS // 2), sales=sales()) is None


def test_the_proposal_trains():
    columns = {"day": days(), "rain": sales(seed=1), "sales": sales()}
    found = proposed(**columns)
    spec = {
        "data": {
            "source": "csv", "path": "-", "target": "sales", "target_scaling": "standard",
            "window": found.window, "split": {"validation": 0.15, "test": 0.2},
        },
        "model": {"layers": found.layers},
        "loss": "huber",
        "optimizer": "adam",
        "train": {"epochs": 1},
    }  # fmt: skip
    inputs = {name: columns[name] for name in ("day", "rain")}
    model = nnreg.run(spec, data=(inputs, {"sales": columns["sales"]}))
    assert model.predict(columns).shape[1:] == (7,)
