"""Numbers in text: what is refused, and what its advice then reads."""

import json
import re

import numpy as np
import pytest

import nnreg
from nnreg import DataError, RawColumn
from nnreg.builtin.encoders import Number
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.number_texts import COMMA, POINT, number_and_unit, number_formats
from tests.helpers.specs import csv_data, regressor


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepared(cells, columns=(), *, target=False, **data):
    """Prepare a run on a file with the cells as the input "a", or as the target."""
    other = [str(number) for number in range(len(cells))]
    pairs = zip(other, cells, strict=True) if target else zip(cells, other, strict=True)
    lines = (";".join(pair) for pair in pairs)
    with open("data.csv", "w") as file:
        file.write("\n".join(["a;price", *lines]) + "\n")
    source = {"type": "csv", "delimiter": ";"}
    data = csv_data(source=source, target="price", columns=dict(columns), **data)
    return prepare_from_spec(read_spec(regressor(data=data)))


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("$5.20", (5.2, "$"), None),
        ("-$5", (-5, "$"), (-5, "$")),
        ("$-5", (-5, "$"), (-5, "$")),
        ("€ 5,20", None, (5.2, "€")),
        ("5,20 €", None, (5.2, "€")),
        ("USD 1,234.50", (1234.5, "USD"), None),
        ("R$ 5,20", None, (5.2, "R$")),
        ("12%", (12, "%"), (12, "%")),
        ("1,234", (1234, ""), (1.234, "")),
        ("1.234", (1.234, ""), (1234, "")),
        ("1 234", (1234, ""), (1234, "")),
        ("1\u202f234,5", None, (1234.5, "")),
        ("1'234.5", (1234.5, ""), None),
        ("1,234,567", (1234567, ""), None),
        ("(5.00)", (-5, ""), None),
        ("($1,234.50)", (-1234.5, "$"), None),
        ("\u22125", (-5, ""), (-5, "")),
        ("12 kg", (12, "kg"), (12, "kg")),
        ("5.2cm", (5.2, "cm"), None),
        ("80 km/h", (80, "km/h"), (80, "km/h")),
        ("30 m2", (30, "m2"), (30, "m2")),
        ("21 °C", (21, "°C"), (21, "°C")),
        ("1e5", (1e5, ""), (1e5, "")),
        *((text, None, None) for text in (
            "", "(5", "5)", "-$-5", "1,23,456", "1,234.567.8", "5-6", "2020-01-01", "08:30", "kg",
            "5 High St", "1 234,567.8", "1e999", "inf", "12 kg m",
        )),
    ],
)  # fmt: skip
def test_a_number_and_its_unit(text, point, comma):
    assert number_and_unit(text, POINT) == point
    assert number_and_unit(text, COMMA) == comma


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["$5.20", "$7"], (POINT,)),
        (["$5", "$7"], (POINT,)),
        (["5,20 €", "7 €"], (COMMA,)),
        (["1,234", "999"], (POINT, COMMA)),
        (["1,234", "5.5"], (POINT,)),
        (["1,234", "5,5"], (COMMA,)),
        (["12 kg", "5 g"], ()),
        (["12 kg", "5"], ()),
        (["1", "2.5"], ()),
        (["1st", "2nd"], ()),
        (["4th", "5th"], ()),
        (["12A", "7A"], ()),
        (["red", "$5"], ()),
        ([], ()),
    ],
    ids=str,
)
def test_the_formats_of_a_column(texts, formats):
    assert number_formats(texts) == formats


CELLS = [
    (["$5.20", "$7", "($1,000.00)"], [5.2, 7, -1000]),
    (["12%", "7.5%", "100%"], [12, 7.5, 100]),
    (["5,20 €", "7 €", "1.234,50 €"], [5.2, 7, 1234.5]),
    (["12 kg", "5 kg", "7.5 kg"], [12, 5, 7.5]),
    (["1 234", "999", "12 345"], [1234, 999, 12345]),
    (["1,234", "999", "12,345"], [1234, 999, 12345]),
    (["1,234,567", "1,234", "0.5"], [1234567, 1234, 0.5]),
]


class TestAdvice:
    @pytest.mark.parametrize(("cells", "values"), CELLS, ids=[one[0][0] for one in CELLS])
    @pytest.mark.parametrize("target", [False, True], ids=["input", "target"])
    def test_following_it_reads_the_numbers(self, directory, cells, values, target):
        name = "price" if target else "a"
        with pytest.raises(DataError) as caught:
            prepared(cells, target=target)
        advice = re.search(r"set '(\w+)' to (\{.*?\}) in data.columns", str(caught.value))
        assert advice[1] == name
        run = prepared(cells, {name: json.loads(advice[2])}, target=target, scaling="none")
        found = run.train.raw_targets if target else run.train.x
        np.testing.assert_allclose(found[:, 0], values, rtol=1e-6)

    def test_both_readings_are_named_where_they_differ(self, directory):
        expected = r"\"1,234.5\".* separates thousands .* \"1.234,5\" if it is the decimal mark"
        with pytest.raises(DataError, match=expected):
            prepared(["1,234", "5,678", "9,100"])
        run = prepared(
            ["1,234", "5,678", "9,100"], {"a": {"type": "number", "format": COMMA}}, scaling="none"
        )
        np.testing.assert_allclose(run.train.x[:, 0], [1.234, 5.678, 9.1], rtol=1e-6)

    def test_categories_stay_possible(self, directory):
        assert prepared(["$5", "$7", "$5"], {"a": "category"}).train.x.shape == (3, 2)

    @pytest.mark.parametrize("cells", [["12A", "7A", "1C"], ["1st", "2nd", "3rd"], ["4A", "5A"]])
    def test_other_texts_are_categories_as_before(self, directory, cells):
        assert prepared(cells).train.x.shape == (len(cells), len(cells))


class TestReading:
    def test_plain_numbers_of_a_file_are_read_in_the_format(self, directory):
        run = prepared(["1.234", "2.500"], {"a": {"type": "number", "format": COMMA}},
                       scaling="none")  # fmt: skip
        assert run.train.x[:, 0].tolist() == [1234, 2500]

    def test_another_unit_is_refused_with_its_location(self, directory):
        columns = {"a": {"type": "number", "format": POINT}}
        with pytest.raises(DataError, match=r"line 3, column 'a': found '5 g', .*unit \"kg\" as"):
            prepared(["12 kg", "5 g"], columns)
        model = nnreg.run(prepared(["12 kg", "5 kg", "7 kg"], columns).model.document, out="run")
        for again in (model, nnreg.load("run")):
            assert again.preprocessing.inputs[0].encoder.unit == "kg"
            with pytest.raises(DataError, match=r"found '5 g', expected a number, .*unit \"kg\""):
                again.predict({"a": ["5 kg", "5 g"]})
            expected = again.predict({"a": [5.0]})
            np.testing.assert_array_equal(again.predict({"a": ["5 kg"]}), expected)

    def test_missing_values_are_filled(self, directory):
        columns = {"a": {"type": "number", "format": POINT}}
        run = prepared(["$1", "NA", "$3"], columns, missing="indicate", scaling="none")
        assert run.train.x.tolist() == [[1, 0], [2, 1], [3, 0]]

    def test_a_target_of_another_unit_is_refused(self, directory):
        columns = {"price": {"type": "number", "format": POINT}}
        run = prepared(["$1", "$2,000", "$3"], columns, target=True, target_scaling="log")
        assert run.train.raw_targets.ravel().tolist() == [1, 2000, 3]
        target = run.model.preprocessing.target
        assert (target.formats, target.units) == ((POINT,), ("$",))
        with pytest.raises(DataError, match=r"found '2€', expected a number, .*the unit \"\$\""):
            run.model.evaluate({"a": [1.0]}, {"price": ["2€"]})

    def test_held_out_units_are_not_learned(self, directory):
        split = {"validation": 0.5, "order": True}
        with pytest.raises(DataError, match=r"line 4, column 'a': found '5 g'"):
            prepared(
                ["12 kg", "5 kg", "5 g", "7 g"],
                {"a": {"type": "number", "format": POINT}},
                split=split,
            )

    def test_a_column_of_numbers_needs_no_unit(self):
        learned = Number("none", format=POINT).learn(RawColumn.of([1.0, 2.0]))
        assert learned.unit is None
