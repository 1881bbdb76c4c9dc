"""Parts of dates beside those of pandas, which reads the same text."""

import importlib

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.builtin.encoders.dates import CYCLES
from nnreg.interfaces.encoder import RawColumn
from tests.parity.comparison import compare

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
STAMPS = RNG.integers(-(2**33), 2**32, 300) * 1_000_003
"""Microseconds from the year 1697 to 2106."""


def part_of(dt, part):
    """Return a part as pandas has it, from 0 for a cycle, and the number of values in a cycle."""
    if part == "week":
        return dt.isocalendar().week.to_numpy(float), 0
    if part == "weekend":
        return (dt.day_of_week >= 5).to_numpy(float), 0
    values = getattr(dt, {"weekday": "day_of_week"}.get(part, part)).to_numpy()
    if part in ("month", "day_of_year"):
        values = values - 1
    counts = {"month": 12, "weekday": 7, "hour": 24, "minute": 60, "second": 60}
    leap = dt.is_leap_year.to_numpy()
    return values, (365 + leap if part == "day_of_year" else counts.get(part, 0))


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("part", [*CYCLES, "year", "quarter", "week", "day", "weekend"])
def test_parts_are_those_of_pandas(peer, part, zone):
    pd = peer("pandas")
    texts = np.datetime_as_string(STAMPS.astype("datetime64[us]")).tolist()
    texts = texts if zone is None else [f"{text}Z" for text in texts]
    dates = pd.Series(pd.to_datetime(texts, format="ISO8601"))
    values, count = part_of((dates if zone is None else dates.dt.tz_convert(zone)).dt, part)
    column = RawColumn.of(texts, "text")
    encoder = encoders.Date(time_zone=zone, parts=(part,)).learn(column)
    if part in CYCLES:
        angles = 2 * np.pi * values / count
        expected = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    else:
        expected = ((values - values.mean()) / values.std())[:, None]
    compare(encoders.Date, "pandas.Series.dt", [(encoder.encode(column), expected)])


def test_elapsed_time_is_that_of_pandas(peer):
    pd = peer("pandas")
    texts = np.datetime_as_string(STAMPS.astype("datetime64[us]")).tolist()
    dates = pd.Series(pd.to_datetime(texts, format="ISO8601"))
    days = ((dates - dates.min()) / pd.Timedelta(days=1)).to_numpy()
    column = RawColumn.of(texts, "text")
    encoder = encoders.Date(parts=("time",)).learn(column)
    expected = ((days - days.mean()) / days.std())[:, None]
    compare(encoders.Date, "pandas.Series.dt", [(encoder.encode(column), expected)])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_unix_times_are_those_of_pandas(peer, unit):
    pd = peer("pandas")
    stamps = RNG.integers(0, 10**9, 50) * {"s": 1, "ms": 997, "us": 999_983, "ns": 10**9 + 7}[unit]
    seconds = pd.Series(pd.to_datetime(stamps, unit=unit)).dt.second.to_numpy()
    column = RawColumn.of(stamps, "text")
    encoder = encoders.Date(unit=unit, parts=("second",)).learn(column)
    angles = 2 * np.pi * seconds / 60
    expected = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    compare(encoders.Date, "pandas.to_datetime", [(encoder.encode(column), expected)])


@pytest.mark.parametrize("scaling", ["none", "standard", "min_max"])
def test_ordered_categories_are_scikit_learns(sklearn, scaling):
    preprocessing = importlib.import_module("sklearn.preprocessing")
    order = ["S", "M", "L", "XL"]
    rows, new = RNG.choice(order, (2, 30))
    theirs = preprocessing.OrdinalEncoder(categories=[order]).fit(rows[:, None])
    positions, expected = theirs.transform(rows[:, None]), theirs.transform(new[:, None])
    if scaling != "none":
        name = {"standard": "StandardScaler", "min_max": "MinMaxScaler"}[scaling]
        scaler = getattr(preprocessing, name)()
        expected = scaler.fit(
            np.arange(4)[:, None] if scaling == "min_max" else positions
        ).transform(expected)
    encoder = encoders.Ordered(tuple(order), scaling=scaling).learn(RawColumn.of(rows, "text"))
    found = encoder.encode(RawColumn.of(new, "text"))
    compare(encoders.Ordered, "sklearn.preprocessing.OrdinalEncoder", [(found, expected)])


def test_labels_are_scikit_learns(sklearn):
    preprocessing = importlib.import_module("sklearn.preprocessing")
    names = np.array(["garden", "balcony", "lift", "view"])
    rows, new = ([names[chosen].tolist() for chosen in RNG.random((30, 4)) < 0.4] for _ in "ab")
    theirs = preprocessing.MultiLabelBinarizer().fit(rows)
    cells = [RawColumn.of([";".join(one) or "[]" for one in own], "text") for own in (rows, new)]
    found = encoders.Labels().learn(cells[0]).encode(cells[1])
    peer = "sklearn.preprocessing.MultiLabelBinarizer"
    compare(encoders.Labels, peer, [(found, theirs.transform(new))])
