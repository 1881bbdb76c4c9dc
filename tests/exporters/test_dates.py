"""What each format computes from Unix times and in time zones is what nnreg encodes."""

import dataclasses

import numpy as np
import pytest

from nnreg.builtin.encoders.dates import Date
from nnreg.builtin.encoders.time_zones import AFTER_LAST, changes_of, local_times
from nnreg.exporters.record_inputs import RecordedColumn
from nnreg.interfaces.encoder import RawColumn
from nnreg.operations.functions import lookup
from nnreg.operations.operation import Operation
from nnreg.operations.program import Program, ProgramInput, ProgramOutput, Requirement
from nnreg.operations.recorded import Recorded
from tests.exporters.formats import EXPORTERS, answers, require

PARTS = (
    "time", "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "weekend", "hour",
    "minute", "second",
)  # fmt: skip
BERLIN, ST_JOHNS, LORD_HOWE = "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"
FIRST, LAST = -62135596800, 253402300799
"""The seconds of the first and the last time of the years 1 to 9999."""


def seconds(seed, count=300):
    """Return whole seconds: of all years, near midnight, and near the changes of some zones."""
    rng = np.random.default_rng(seed)
    changes = np.concatenate(
        [changes_of(name, "")[0][1:] for name in (BERLIN, ST_JOHNS, LORD_HOWE)]
    )
    days = 86400 * rng.integers(-40_000, 2_900_000, count)
    near = np.concatenate([rng.choice(changes, count), days])
    near = near[:, None] + np.array([-3600, -1, 0, 1, 3600])
    any_year = rng.integers(FIRST, LAST, count)
    recent = rng.integers(0, 86400 * AFTER_LAST, count)
    ends = [FIRST, FIRST - 1, LAST, LAST + 1, 86400 * AFTER_LAST - 1, 86400 * AFTER_LAST]
    return np.concatenate([near.reshape(-1), any_year, recent, ends]).astype(np.int64)


def learned(**options):
    origin = [f"{1_700_000_000 + n * 1_234_567}" for n in range(50)]
    encoder = Date(unit="s", parts=PARTS).learn(RawColumn.of(origin, "text"))
    return dataclasses.replace(encoder, **{"unit": None, **options})


def texts(seed):
    """Return times in UTC as text, every other one just before the end of its second."""
    moments = seconds(seed)
    moments = moments[(moments >= FIRST) & (moments <= LAST)].astype("M8[s]")
    return [f"{one}{'.999999' * (n % 2)}Z" for n, one in enumerate(moments)]


WHOLE = seconds(1).astype(np.float64)
CASES = {
    "s": (learned(unit="s"), WHOLE),
    "s with fractions": (learned(unit="s"), WHOLE[::3] / 4096 + 1e-6),
    "ms": (learned(unit="ms"), seconds(2) * 1000.0),
    "us": (learned(unit="us"), seconds(3)[::3] * 1e6),
    "ns": (learned(unit="ns"), np.random.default_rng(0).integers(0, 2**62, 300) // 1000 * 1000.0),
    "s in Berlin": (learned(unit="s", time_zone=BERLIN), WHOLE),
    "ms in St. John's": (learned(unit="ms", time_zone=ST_JOHNS), seconds(4) * 1000.0),
    "texts in Berlin": (learned(time_zone=BERLIN), texts(5)),
    "texts on Lord Howe Island": (learned(time_zone=LORD_HOWE), texts(6)),
    "texts": (learned(zoned=True), texts(9)),
    "texts in UTC": (learned(time_zone="UTC"), texts(7)[:50]),
}


def program_of(encoder):
    """Return a program of what an encoder makes of a column."""
    text = encoder.infer_takes == "text"
    values = np.array(["2024-01-01T00:00Z"] * 2, object) if text else np.zeros(2)
    operation = Operation("input", (), (), values.dtype, {"name": "when"})
    given = Recorded(operation, values)
    missing = lookup(given, (None,)) == 0 if text else np.isnan(given)
    column = RecordedColumn("when", given, missing)
    y = encoder.infer(column)
    inputs = (ProgramInput("when", "text" if text else "number", operation),)
    required = [Requirement(valid.operation, text) for valid, text in column.required]
    return Program("dates", inputs, (ProgramOutput("", y.operation),), tuple(required))


def encoded(encoder, given):
    """Return what nnreg encodes, NaN for what an export is to refuse."""
    per_second = {None: 1, "s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[encoder.unit]
    if encoder.unit is None:
        times = np.array([one[:-1] for one in given], "M8[us]").astype(np.int64) // 10**6
    else:
        times = np.asarray(given) / per_second
    known = (times >= FIRST) & (times < LAST + 1)
    if encoder.time_zone:
        known &= times < 86400 * AFTER_LAST
    values = [one for one, fine in zip(given, known, strict=True) if fine]
    found = np.full((len(given), *encoder.shape), np.nan)
    found[known] = encoder.encode(RawColumn.of(values, "text"))
    return found


@pytest.mark.parametrize(
    "form",
    [
        "numpy",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("c", "js")),
        pytest.param("onnx", marks=pytest.mark.verify),
    ],
)
@pytest.mark.parametrize("case", CASES)
def test_the_parts_of_dates_are_those_of_nnreg(case, form, tmp_path):
    require(form)
    encoder, given = CASES[case]
    expected = encoded(encoder, given)
    assert 0 <= np.isnan(expected[:, 0]).mean() < 0.9
    found = answers(EXPORTERS[form], program_of(encoder), {"when": given}, tmp_path)["prediction"]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", ["UTC", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia"])
def test_the_changes_of_a_zone_are_those_of_zoneinfo(name):
    times = seconds(8)
    times = times[(times >= FIRST) & (times < 86400 * AFTER_LAST)]
    when, change = changes_of(name, "")
    times = np.concatenate([times, *(when[1:, None] + np.arange(-1, 2)).astype(np.int64)])
    own = np.where(times[:, None] >= when, change, 0).sum(axis=1)
    np.testing.assert_array_equal(own, local_times(times * 10**6, name, "") / 10**6 - times)
