"""Dates and times: what is read, what is refused, and how often sorted times come."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from nnreg.errors import DataError
from nnreg.tables.columns import categorical
from nnreg.tables.convert import table_of
from nnreg.tables.dates import Form, infer_frequency, moments, times

HOUR = 3600 * 10**6


def read(values, **form):
    table = table_of({"when": values})
    return moments(table, "when", categorical(table, "when"), Form(**form))


def moment(*parts):
    return (datetime(*parts) - datetime(1970, 1, 1)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2024-07-31", (2024, 7, 31)),
        ("20240731", (2024, 7, 31)),
        ("2024-07", (2024, 7, 1)),
        ("2024", (2024, 1, 1)),
        ("2024/7/1", (2024, 7, 1)),
        ("2024.07.31 08:30", (2024, 7, 31, 8, 30)),
        ("2024-W31", (2024, 7, 29)),
        ("2024-W31-3", (2024, 7, 31)),
        ("2024W313", (2024, 7, 31)),
        ("2024-213", (2024, 7, 31)),
        ("2024213", (2024, 7, 31)),
        ("2024Q3", (2024, 7, 1)),
        ("2024-07-31T08", (2024, 7, 31, 8)),
        ("2024-07-31T08:30", (2024, 7, 31, 8, 30)),
        ("2024-07-31 8:30", (2024, 7, 31, 8, 30)),
        ("20240731T083015", (2024, 7, 31, 8, 30, 15)),
        ("2024-W31-3T08:30:15,25", (2024, 7, 31, 8, 30, 15, 250000)),
        ("2024-07-31T08:30:15.123456789", (2024, 7, 31, 8, 30, 15, 123456)),
        ("2024-07-31T24:00", (2024, 8, 1)),
        ("2024-07-31 24:00:00", (2024, 8, 1)),
        ("0001-01-01", (1, 1, 1)),
        ("9999-12-31T23:59:59.999999", (9999, 12, 31, 23, 59, 59, 999999)),
    ],
)  # fmt: skip
def test_any_iso_form_is_read(text, parts):
    found = read([text])
    assert (found.times.tolist(), found.zoned, found.of_day) == ([moment(*parts)], False, False)


@pytest.mark.parametrize(
    "text",
    [
        "2024-07-31T08:30Z", "2024-07-31T10:30+02:00", "2024-07-31 10:30:00 +0200",
        "20240731T0030-08", "2024-07-31T08:30:00UTC", "2024-W31-3T08:30:00.000 GMT",
        "2024-07-31 05:00:00-03:30",
    ],
)  # fmt: skip
def test_a_time_zone_is_converted_to_utc(text):
    found = read([text])
    assert (found.times.tolist(), found.zoned) == ([moment(2024, 7, 31, 8, 30)], True)


def test_a_zone_may_lead_beyond_the_years_of_a_datetime():
    found = read(["0001-01-01T00:00+02:00", "9999-12-31T24:00-02:00"])
    assert found.times.tolist() == [moment(1, 1, 1) - 2 * HOUR, moment(9999, 12, 31) + 26 * HOUR]


@pytest.mark.parametrize("text", ["08:30:15.5", "8:30:15,5", "T08:30:15.5"])
def test_a_time_of_day_is_counted_from_midnight(text):
    found = read([text])
    assert (found.times.tolist(), found.of_day) == ([30615_500_000], True)


@pytest.mark.parametrize(
    ("text", "form", "parts"),
    [
        ("31/07/2024", {"format": "%d/%m/%Y"}, (2024, 7, 31)),
        ("07/04/24 5:06 PM", {"format": "%m/%d/%y %I:%M %p"}, (2024, 7, 4, 17, 6)),
        ("3 Mar 2024", {"format": "%d %b %Y"}, (2024, 3, 3)),
        (1722414600, {"unit": "s"}, (2024, 7, 31, 8, 30)),
        ("1722414600.25", {"unit": "s"}, (2024, 7, 31, 8, 30, 0, 250000)),
        (1722414600250, {"unit": "ms"}, (2024, 7, 31, 8, 30, 0, 250000)),
        ("1722414600250001", {"unit": "us"}, (2024, 7, 31, 8, 30, 0, 250001)),
        (1722414600250001999, {"unit": "ns"}, (2024, 7, 31, 8, 30, 0, 250001)),
        (-62135596800, {"unit": "s"}, (1, 1, 1)),
    ],
)
def test_an_option_reads_other_forms(text, form, parts):
    assert read([text], **form).times.tolist() == [moment(*parts)]


def test_a_format_without_a_date_is_a_time_of_day():
    found = read(["5.30 PM"], format="%I.%M %p")
    assert (found.times.tolist(), found.of_day) == ([17.5 * HOUR], True)


@pytest.mark.parametrize(
    ("text", "form", "fix"),
    [
        ("31/07/2024", {}, r'expected a number or an ISO date .* set "format", as in "%d/%m/%Y"$'),
        ("07/31/2024", {}, 'set "format", as in "%m/%d/%Y"$'),
        ("01.02.2024", {}, r'set "format", as in "%d.%m.%Y" or "%m.%d.%Y"$'),
        ("31-07-24", {}, 'set "format", as in "%d-%m-%y"$'),
        ("1722414600", {}, 'for Unix time set "unit", as in "s" or "ms"'),
        ("2016-12-31T23:59:60Z", {}, "a leap second is not read, write second 59"),
        ("2024-02-30", {}, "expected a number or an ISO date"),
        ("2023-366", {}, "expected"),
        ("2023-W53", {}, "expected"),
        ("2024-07-31T24:01", {}, "expected"),
        ("2024-07-31T08:60", {}, "expected"),
        ("2024-07-31T08:30+24:00", {}, "expected"),
        ("2024-07-31T08:30+01:75", {}, "expected"),
        ("2024-07-31T08:30+01:30:30", {}, "expected"),
        ("2024-07-31T083+02", {}, "expected"),
        ("2024-07-31T08:+01", {}, "expected"),
        ("2024-07-31T08:30:155Z", {}, "expected"),
        ("2024-07-31T08:30:15TZ", {}, "expected"),
        ("٢٠٢٤-٠٧-٣١", {}, "expected"),
        ("24:00", {}, "expected"),
        ("08:30Z", {}, "expected"),
        ("2024-7/1", {}, "expected"),
        ("0000-01-01", {}, "expected"),
        ("2024-13-01", {}, "expected"),
        ("202407", {}, "expected"),
        ("soon", {}, 'for another form set "format"'),
        ("2024-7-31", {"format": "%d/%m/%Y"}, "expected a date of the format '%d/%m/%Y'"),
        ("1722414600250", {"unit": "s"}, "expected a Unix time in 's' between the years 1 and"),
        ("soon", {"unit": "s"}, "expected a Unix time"),
        ("2024-07-31", {"unit": "s"}, "has no time zone"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_with_its_location_and_the_option(text, form, fix):
    good = {"format": "30/07/2024", "unit": "1722414600"}
    first = good[next(iter(form))] if form else "2024-07-30"
    with pytest.raises(
        DataError, match=f"row 1, column 'when': .*{text!r}.*{fix}".replace("+", r"\+")
    ):
        read([first, text], **form)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["2024-07-31T08:00Z", None, "2024-07-31"],
         "row 2, column 'when': '2024-07-31' has no time zone, but '2024-07-31T08:00Z' before it "
         "has one; write all in one form"),
        (["2024-07-31", "2024-07-31T08:00Z"],
         "row 1, column 'when': '2024-07-31T08:00Z' has a time zone, but '2024-07-31' before it "
         "has none"),
        (["2024-07-31", "08:00"],
         "row 1, column 'when': '08:00' has no date, but '2024-07-31' before it has one"),
        (["08:00", "2024-07-31"],
         "row 1, column 'when': '2024-07-31' has a date, but '08:00' before it has none"),
    ],
)  # fmt: skip
def test_a_mixture_is_refused_with_its_location(values, message):
    with pytest.raises(DataError, match=message):
        read(values)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"format": "%d/%m"}, "'%d/%m' has no year"),
        ({"format": "%Y-%Q"}, "not one of strptime"),
        ({"format": "%Y %Z"}, '"%Z" does not say'),
        ({"format": "%Y", "unit": "s"}, "remove one of them"),
    ],
)
def test_a_wrong_form_is_refused(form, message):
    with pytest.raises(ValueError, match=message):
        Form(**form)


def test_times_are_numbers_or_microseconds():
    assert times(table_of({"t": [3, 1]}), "t").tolist() == [3, 1]
    found = times(table_of({"t": ["2024-07-31", "1969-12-31T23:00"]}), "t")
    assert (found.dtype, found.tolist()) == (np.int64, [moment(2024, 7, 31), -HOUR])
    assert times(table_of({"t": ["31.07.2024"]}), "t", Form("%d.%m.%Y")).tolist() == found[:1]
    with pytest.raises(DataError, match="row 0, column 't': found '08:00', a time without a date"):
        times(table_of({"t": ["08:00", "09:00"]}), "t")


def series(*texts):
    return np.array(texts, "datetime64[us]").astype(np.int64)


def steps(start, count, step):
    return series(start)[0] + np.arange(count) * step * HOUR


BUSINESS = [f"2024-07-{day:02}" for day in range(1, 20) if day % 7 in (1, 2, 3, 4, 5)]
ENDS = ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (steps("2024-07-31", 5, 24), "daily"),
        (steps("2024-07-31T05:30", 5, 24 * 7), "weekly"),
        (steps("2024-07-31T05:30", 5, 1), "hourly"),
        (steps("2024-07-31", 5, 0.25), "every 15 minutes"),
        (steps("2024-07-31", 5, 48), "every 2 days"),
        (np.arange(4) * 10**6, "every second"),
        (np.arange(4) * 250, "every 250 microseconds"),
        (series("2024-01-15", "2024-02-15", "2024-03-15"), "monthly"),
        (series(*ENDS), "monthly"),
        (series("2024-01-30", "2024-02-29", "2024-03-30"), "monthly"),
        (series("2023-12", "2024-03", "2024-06", "2024-09"), "quarterly"),
        (series("2020", "2021", "2022"), "yearly"),
        (series("2020-02-29", "2021-02-28", "2022-02-28"), "yearly"),
        (series("2020-01", "2020-03", "2020-05"), "every 2 months"),
        (series(*BUSINESS), "business days"),
        (series(*BUSINESS[:5]), "daily"),
    ],
)
def test_the_frequency_is_that_of_the_calendar(found, name):
    assert infer_frequency(found).name == name


@pytest.mark.parametrize(
    "found",
    [
        series("2024-01-01", "2024-01-02"),
        series("2024-01-01", "2024-01-02", "2024-01-02"),
        series("2024-01-01", "2024-01-02", "2024-01-03T01"),
        series("2024-01-01", "2024-01-02", "2024-01-10", "2024-01-20", "2024-02-10"),
    ],
)
def test_times_without_a_frequency_have_none(found):
    assert infer_frequency(found) is None


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (series("2024-01-01", "2024-01-02", "2024-01-02", "2024-01-06", "2024-01-07"), "daily"),
        (series(*ENDS[:3], "2024-06-30"), "monthly"),
        (series(*BUSINESS[:6], *BUSINESS[8:]), "business days"),
    ],
)
def test_times_with_gaps_and_duplicates_have_the_frequency_of_the_others(found, name):
    assert infer_frequency(found).name == name
