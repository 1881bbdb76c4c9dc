"""What an ONNX graph reads in a text is what nnreg reads, of random and of adversarial texts."""

import json
import random

import numpy as np
import pytest

from nnreg.builtin.encoders.dates import Date
from nnreg.builtin.encoders.labels import Labels
from nnreg.builtin.exporters.onnx_dates import date_parts
from tests.exporters.formats import EXPORTERS, answers, require
from tests.exporters.test_read_texts import CASES, FLOATS, learned, parts_of, program_of

DIGITS = "0123456789"
WORDS = [
    "a", "b", "True", "1", "2", "ü", "b;x", "a b", "😀", "None", " a ", "\x1fa", "\u2003ü\x85",
    "", "  ", "x\ty", 'q"', "0", "-5", "\\", "/", "[a", "a]", "[", "]", ".*", "A", "é",
]  # fmt: skip
INSERTED = ['"', "\\", "[", "]", " ", "1", "\n", "\u00a0", "-", "0", "\\u0061", "\\U0061", "\0"]


def damaged(rng, text, inserted, removed=0):
    """Return a text into which something may be inserted, and from which it may be removed."""
    if rng.random() < 0.8:
        return text
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(inserted) + text[at + rng.randint(0, removed) :]


def random_dates(seed, order="ymd", count=400):
    """Return dates with separators, many of which do not exist."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        values = {
            "y": rng.choice([f"{rng.randrange(10000):04}", "2024", "2000", "1900", "0001", "0000"]),
            "m": rng.choice(["{:02}", "{}"]).format(rng.randrange(14)),
            "d": rng.choice(["{:02}", "{}"]).format(rng.randrange(33)),
        }
        text = rng.choice("--./:").join(values[part] for part in order)
        if rng.random() < 0.7:
            text += f"{rng.choice('TTT t')}{rng.choice([*range(24), 25]):02}:{rng.randrange(62):02}"
            if rng.random() < 0.7:
                text += f":{rng.randrange(62):02}"
                text += rng.choice(".,") + "".join(rng.choices(DIGITS, k=rng.randint(1, 9)))
            east = f"{rng.randrange(26):02}"
            zones = ["Z", " UTC", "GMT", f"+{east}", f"-{east}:{rng.randrange(60):02}", "+0530"]
            text += rng.choice(["", "", *zones])
        found.append(damaged(rng, text, ["\n", "-", "é", "Z", ":"]))
    return found


def random_labels(seed, count=500):
    """Return texts of labels, and lists of them, many of which are not JSON."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        if rng.random() < 0.4:
            text = rng.choice([";", " ; ", ";;", ";\u00a0"]).join(rng.choices(WORDS, k=4))
        else:
            kinds = [rng.choice(WORDS), rng.randrange(-6, 6), True, False, None, 10**20]
            items = [rng.choice([*kinds, rng.choice(WORDS)]) for _ in range(rng.randrange(5))]
            mark = rng.choice([",", ", ", " ,\t"])
            text = json.dumps(items, ensure_ascii=rng.random() < 0.5, separators=(mark, ": "))
        found.append(damaged(rng, text, INSERTED, removed=1))
    return found


LEARNED = learned(
    Labels(), ["a;b;True;1;2;ü;a b;😀;x\ty;None", '["q\\"","0","-5","\\\\","[a","["]']
)
RANDOM = {
    "random dates": (parts_of(), random_dates(1)),
    "random zoned dates": (parts_of(zoned=True), random_dates(2)),
    "random German dates": (parts_of(format="%d.%m.%Y"), random_dates(3, "dmy")),
    "a format like ISO 8601": (parts_of(format="%Y-%d-%m"), random_dates(4)),
    "a format of a zone": (
        parts_of(format="%Y-%m-%d %H:%M:%S.%f%z", zoned=True), random_dates(5),
    ),
    "a format of digits": (parts_of(format="%Y%m%d"), random_dates(6)),
    "random labels": (LEARNED, random_labels(7)),
    "many labels": (
        learned(Labels(), [";".join(f"a rather long label {n}" for n in range(100))]),
        ["a rather long label 7; a rather long label 99;b", '["a rather long label 64", "c"]'],
    ),
}  # fmt: skip
EXPRESSED = {
    name: case for name, case in {**CASES, **RANDOM}.items() if isinstance(case[0], Date | Labels)
}


def differences(encoder, given, directory):
    """Return the texts that a graph reads otherwise, what it reads, and what nnreg reads."""
    program = program_of(encoder)
    expected = program.run({"text": given})[""]
    found = answers(EXPORTERS["onnx"], program, {"text": given}, directory)["prediction"]
    same = np.isclose(found, expected, rtol=1e-14, atol=1e-10, equal_nan=True).all(axis=1)
    return [text for text, one in zip(given, same, strict=True) if not one], found, expected


@pytest.mark.verify
@pytest.mark.parametrize("case", EXPRESSED)
def test_a_graph_reads_texts_as_nnreg_reads_them(case, tmp_path):
    require("onnx")
    encoder, given = EXPRESSED[case]
    given = [one for one in given if one not in FLOATS]
    different, found, _ = differences(encoder, given, tmp_path)
    assert not different
    answered = ~np.isnan(found[:, -1]) if isinstance(encoder, Labels) else found[:, -1] == 1
    assert answered.any()


@pytest.mark.verify
def test_a_graph_has_no_answer_for_lists_that_it_cannot_read(tmp_path):
    require("onnx")
    given = [*sorted(FLOATS), '["a, b"]', '["a", "b", "x,"]', "[" + "9" * 101 + "]"]
    _, found, expected = differences(LEARNED, given, tmp_path)
    assert np.isnan(found[:, -1]).all()
    assert not np.isnan(expected).any()


@pytest.mark.verify
def test_no_rows_are_no_answers(tmp_path):
    require("onnx")
    for encoder in (LEARNED, parts_of()):
        assert not differences(encoder, [""], tmp_path)[0]
        assert differences(encoder, [], tmp_path)[1].shape[0] == 0


@pytest.mark.parametrize("form", ["%Y%m%d%H%M%S", "%S%f0"])
def test_digits_that_can_be_read_in_many_ways_are_refused(form):
    program = program_of(parts_of(format=form if "Y" in form else f"%Y-%m-%d {form}"))
    reasons = [EXPORTERS["onnx"].unsupported(one) for one in program.operations]
    assert any("numbers without separators end" in one for one in reasons)


def test_every_day_has_the_parts_of_numpys_calendar():
    days = np.arange("0001-01-01", "2500-01-01", dtype="M8[D]")
    names = ("H", "M", "S", "f", "east", "hours", "minutes")
    given = dict.fromkeys(names, np.zeros(len(days)))
    years, months = days.astype("M8[Y]"), days.astype("M8[M]")
    given["Y"] = years.astype(float) + 1970
    given["m"] = months.astype(int) % 12 + 1.0
    given["d"] = (days - months.astype("M8[D]")).astype(float) + 1
    found, valid = date_parts(given, has_year=True)
    assert valid.all()
    np.testing.assert_array_equal(found[:, 0], days.astype(float))
    np.testing.assert_array_equal(found[:, 2:5].T, [given["Y"], given["m"] - 1, given["d"]])
    iso = [day.item().isocalendar()[1] for day in days[::97]]
    np.testing.assert_array_equal(found[::97, 7], iso)
