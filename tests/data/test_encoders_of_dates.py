"""The encoder of dates: what it learns, its parts, time zones, and what it refuses."""

import datetime

import numpy as np
import pandas as pd
import pytest

import nnreg
from nnreg import DataError, RawColumn, SpecError
from nnreg.builtin.encoders import Date
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier, csv_data

STAMPS = ["2024-07-31T08:30:15Z", "2024-01-01T00:00:00Z", "1999-12-31T23:59:59Z"]


def column(values):
    return RawColumn.of(values, "text", name="when")


def learned(values, **options):
    return Date(**options).learn(column(values))


def encoded(values, **options):
    return learned(values, **options).encode(column(values))


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        (["2024-07-31", "2024-06-30", "2023-06-30"], ("time", "day_of_year", "day", "weekday")),
        (["2024-07", "2024-06", "2023-06"], ("time", "month")),
        (["2024", "2022"], ("time",)),
        (["2024-07-01T08:30", "2024-07-01T09:30"], ("time", "hour")),
        (["2024-07-01T08:30", "2024-07-01T08:31"], ("time", "minute")),
        (["2024-07-01", "2024-07-08"], ("time", "day_of_year", "day")),
        (["2024-07-01", "2024-07-01"], ("time",)),
        (["08:30", "09:31"], ("hour", "minute")),
        (["08:30:01", "08:30:02"], ("time",)),
    ],
)
def test_the_parts_are_those_that_differ_in_the_training_rows(values, chosen):
    assert learned(values).chosen == chosen


def test_elapsed_time_is_standardized_exactly():
    found = encoded(["2024-01-01", "2024-01-02", "2024-01-06"], parts=["time"])[:, 0]
    days = np.array([0, 1, 5.0])
    np.testing.assert_array_equal(found, (days - days.mean()) / days.std())
    later = learned(["0001-01-01", "9999-12-31"], parts=["time"])
    assert np.isfinite(later.encode(column(["9999-12-31T23:59:59.999999"]))).all()


def test_a_cycle_ends_where_it_begins_also_in_a_leap_year():
    ends = ["2023-12-31", "2024-12-31"]
    found = encoded(ends, parts=["day_of_year"])
    angle = -2 * np.pi / np.array([365, 366])
    np.testing.assert_allclose(found, np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-12)
    week = encoded(["2024-07-29", "2024-08-04"], parts=["weekday"])  # Monday and Sunday
    angle = 2 * np.pi * np.array([0, 6]) / 7
    np.testing.assert_allclose(week, np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-12)


def test_the_hour_follows_daylight_saving_of_the_zone():
    stamps = ["2024-01-01T12:00Z", "2024-07-01T12:00Z"]

    def hours(values, **options):
        sine, cosine = encoded(values, parts=["hour"], **options).T
        return np.round(np.arctan2(sine, cosine) * 12 / np.pi % 24, 9).tolist()

    assert hours(stamps) == [12, 12]
    assert hours(stamps, time_zone="Europe/Berlin") == [13, 14]
    assert hours(["2024-01-01T13:00+01:00", "2024-07-01T14:00+02:00"]) == [12, 12]
    assert hours([1704110400, 1719835200], unit="s", time_zone="Europe/Berlin") == [13, 14]
    assert hours(["0001-01-01T00:00+14:00", "9999-12-31T23:00-12:00"], time_zone="UTC") == [10, 11]


def test_a_format_or_a_unit_is_of_text_and_not_of_the_dates_of_a_data_frame():
    days = pd.to_datetime(["2024-01-31", "2024-02-01T08:30", None], format="ISO8601")
    of_text = Date(format="%d/%m/%Y %H:%M").learn(column(["31/01/2024 00:00", "01/02/2024 08:30"]))
    frame = column(days.to_numpy()), column(days)
    for one in frame:
        np.testing.assert_array_equal(of_text.encode(one)[:2, 0], [-1, 1])
    unix = Date(unit="s").learn(column(["1706659200", "1706776200"]))
    np.testing.assert_array_equal(unix.encode(column(days.tz_localize("UTC")))[:2, 0], [-1, 1])


def test_columns_of_programs_are_read_as_those_of_a_file():
    expected = encoded(STAMPS)
    stamps = pd.Series(pd.to_datetime(STAMPS))
    of_python = pd.DatetimeIndex(stamps).to_pydatetime()
    for values in (stamps, stamps.dt.tz_convert("Asia/Kolkata"), of_python):
        np.testing.assert_array_equal(encoded(values), expected)
    naive = encoded([text.removesuffix("Z") for text in STAMPS])
    for values in (stamps.dt.tz_localize(None), stamps.to_numpy("datetime64[us]")):
        np.testing.assert_array_equal(encoded(values), naive)
    clocks = [datetime.time(8, 30), datetime.time(9, 31)]
    np.testing.assert_array_equal(encoded(clocks), encoded(["08:30", "T09:31"]))


@pytest.mark.verify
def test_columns_of_polars_keep_their_zone(peer):
    pl = peer("polars")
    stamps = pl.Series([datetime.datetime.fromisoformat(text) for text in STAMPS])
    for zone in ("UTC", "Asia/Kolkata"):
        frame = pl.DataFrame({"when": stamps.dt.convert_time_zone(zone)})
        raw = RawColumn("when", nnreg.tables.convert.table_of(frame), "text")
        np.testing.assert_array_equal(Date().learn(raw).encode(raw), encoded(STAMPS))


def test_a_missing_date_is_zero_everywhere():
    encoder = learned(["2024-07-31", "2023-06-30"])
    assert encoder.encode(column(["2024-07-31", None]))[1].tolist() == [0] * 6
    assert encoder.encode(column([None])).tolist() == [[0] * 6]


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        ({"time_zone": "Europe/Berln"}, STAMPS, "column 'when': no time zone 'Europe/Berln'; did"),
        ({"time_zone": "../x"}, STAMPS, "no time zone '../x'"),
        ({"time_zone": "UTC"}, ["2024-07-31"], 'row 0, column \'when\': .* remove "time_zone"'),
        ({"parts": ["hour", "month"]}, ["08:30"], "row 0, column 'when': found '08:30', which has "
         "no date, so no 'month'; choose parts of time, hour, minute, second"),
        ({}, ["2024-07-31", "31/07/2024"], 'set "format", as in "%d/%m/%Y"'),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_the_column_are_refused(options, values, message):
    with pytest.raises(DataError, match=message):
        learned(values, **options)


@pytest.mark.parametrize(
    ("values", "other", "message"),
    [
        (["2024-07-31"], "2024-07-31T08:00Z", "has a time zone, but the training rows had none"),
        (STAMPS, "2024-07-31", "has no time zone, but the training rows had one"),
        (["2024-07-31"], "08:00", "has no date, but the training rows had one"),
        (["08:00"], "2024-07-31", "has a date, but the training rows had none"),
    ],
)
def test_another_form_than_in_training_is_refused(values, other, message):
    with pytest.raises(DataError, match=f"row 1, column 'when': '{other}' {message}; write it as"):
        learned(values).encode(column([None, other]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "%d/%m"}, "'%d/%m' has no year"),
        ({"parts": ["hour", "hour"]}, "must be distinct, found 'hour' twice"),
        ({"parts": ["hours"]}, r"parts\[0\]"),
        ({"parts": []}, "parts"),
        ({"unit": "h"}, "unit"),
    ],
)
def test_wrong_options_are_refused_when_the_spec_is_read(options, message):
    entry = {"when": {"type": "date", **options}}
    with pytest.raises(SpecError, match=rf"\$\.data\.columns\.when.*{message}"):
        read_spec(classifier(data=csv_data(columns=entry)))


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(dates):
        rows = (f"{'ab'[i % 2]},{i},{date}\n" for i, date in enumerate(dates * 3))
        (tmp_path / "data.csv").write_text("species,x,when\n" + "".join(rows))

    return write


@pytest.mark.parametrize(
    ("dates", "entry"),
    [
        (["2024-01-31", "2023-12-01 08:30"], '{"type": "date"}'),
        (["8:30", "9:45"], '{"type": "date"}'),
        (["31/01/2024", "01/02/2024"], '{"type": "date", "format": "%d/%m/%Y"}'),
        (["31.01.24 8:05 PM", "1.2.24 8:05 AM"], '{"type": "date", "format": "%d.%m.%y %I:%M %p"}'),
    ],
)
def test_dates_without_an_encoder_are_refused_with_one_that_reads_them(table, dates, entry):
    table(dates)
    with pytest.raises(DataError, match="'when' holds dates or times, such as") as refused:
        prepare_from_spec(read_spec(classifier(data=csv_data())))
    assert f"set it to {entry} in data.columns" in str(refused.value)
    columns = f'{{"when": {entry}}}'
    prepare_from_spec(read_spec(classifier(data=csv_data()), [f"data.columns={columns}"]))


def test_where_day_and_month_can_be_exchanged_both_formats_are_named(table):
    table(["01/02/2024", "03/04/2024"])
    with pytest.raises(DataError, match=r'"%d/%m/%Y"} or .*"%m/%d/%Y"}, whichever is right'):
        prepare_from_spec(read_spec(classifier(data=csv_data())))


def test_rows_are_ordered_as_the_encoder_reads_their_dates(table):
    table(["01/02/2024", "03/01/2024", "02/03/2024"])
    data = csv_data(
        columns={"when": {"type": "date", "format": "%d/%m/%Y"}}, exclude=["when"],
        split={"validation": 0.34, "order": "when"}, scaling="none",
    )  # fmt: skip
    run = prepare_from_spec(read_spec(classifier(data=data)))
    assert run.validation.x[:, 0].tolist() == [2, 5, 8]


def test_held_out_dates_are_not_learned(table):
    spec = classifier(
        data=csv_data(columns={"when": {"type": "date"}}, split={"test": 0.34, "order": True})
    )
    encoders = []
    for last in ("2024-02-01", "2029-12-31T08:00"):
        table(["2024-01-01", "2024-01-02"])
        with open("data.csv", "a") as file:
            file.writelines(f"{'ab'[i % 2]},{i},{last}\n" for i in range(3))
        encoders.append(prepare_from_spec(read_spec(spec)).model.preprocessing.inputs[1].encoder)
    assert encoders[0] == encoders[1]
