"""Warnings of new rows that differ from training, once per table."""

import dataclasses
import json
import threading
import warnings

import numpy as np
import pytest

import nnreg
from nnreg.builtin.encoders import Category, Number
from nnreg.data.column_summary import ColumnSummary, differs, summarize
from nnreg.data.input_columns import learn_column, raw_column
from nnreg.errors import DataDriftWarning, NnregWarning
from nnreg.interfaces.encoder import RawColumn
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.convert import table_of
from tests.helpers.paths import MODELS
from tests.helpers.specs import classifier

TEN = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0] * 20
TOWNS = ["Oslo", "Bergen", "Oslo", "Molde"] * 50
KIND = ["a", "b"] * 100


def trained(x=None, **data):
    columns = {"age": TEN, "town": TOWNS} if x is None else x
    section = {"source": "csv", "path": "no.csv", "target": "kind", **data}
    return nnreg.build(classifier(data=section), data=(columns, KIND))


def rows(count=100, **columns):
    return {"age": TEN[:count], "town": TOWNS[:count], **columns}


def messages(call, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    return [str(one.message) for one in caught]


# -- missing values


@pytest.mark.parametrize("missing", ["impute", "indicate"])
def test_imputing_that_the_spec_asks_for_is_reported_if_it_is_much(missing):
    model = trained(missing=missing)
    assert messages(model.predict, {"age": [None, 3.0], "town": ["Oslo", None]}) == []
    (text,) = messages(model.predict, rows(age=[None, *TEN[:4]] * 20))
    assert "column 'age': 20 % of 100 rows have no value, in training 0 %" in text


def test_a_value_that_is_missing_in_new_rows_only_is_imputed_with_one_warning():
    model = trained()
    new = {"age": [None, 3.0, None], "town": ["Oslo", None, "Molde"]}
    (text,) = messages(model.predict, new)
    assert text == (
        "the data: 2 of 3 rows have a missing value in 'age', which had none in training; replaced "
        "by the mean 5.5; 1 of 3 rows has a missing value in 'town', which had none in training; "
        "replaced by the most frequent value 'Oslo'"
    )
    whole = {"age": [5.5, 3.0, 5.5], "town": ["Oslo", "Oslo", "Molde"]}
    with pytest.warns(NnregWarning):
        np.testing.assert_array_equal(model.predict(new), model.predict(whole))
    assert messages(model.predict, whole) == []
    assert len(messages(model.evaluate, new, ["a", "b", "a"])) == 1


def test_refuse_refuses_in_training_and_in_new_rows():
    with pytest.raises(nnreg.DataError, match=r"row 1, column 'age': the value is missing"):
        trained({"age": [1.0, None] * 100, "town": TOWNS}, missing="refuse")
    model = trained(missing="refuse")
    assert all(column.fill is None for column in model.preprocessing.inputs)
    with pytest.raises(nnreg.DataError, match=r"row 0, column 'age': the value is missing"):
        model.predict({"age": [None], "town": ["Oslo"]})


def test_the_default_refuses_in_training_rows_with_the_advice():
    with pytest.raises(nnreg.DataError, match=r"row 1, .*set data\.missing to \"impute\" or"):
        trained({"age": [1.0, None] * 100, "town": TOWNS})


@dataclasses.dataclass(frozen=True)
class Length(nnreg.Encoder):
    takes = "text"

    def encode(self, column):
        return np.array([float(len(text)) for text in column.values])


def test_what_cannot_stand_for_a_value_is_no_replacement():
    reviews = RawColumn.of([f"review {n}" for n in range(5)] + ["review 4"], "text")
    distinct = reviews.take(np.arange(5))
    tokens = RawColumn.of([1.0, 4.0])
    assert learn_column(Length(), reviews, None).fill == "review 4"
    assert learn_column(Length(), distinct, None).fill is None
    assert learn_column(Length(), distinct, "impute").fill == "review 0"
    assert learn_column(Category(), distinct, None).fill == "review 0"
    assert learn_column(Number(), tokens, None).fill == 2.5
    assert learn_column(Number(), tokens, None, integer=True).fill is None


def test_an_older_checkpoint_without_a_replacement_refuses(tmp_path):
    model = trained()
    inputs = tuple(
        dataclasses.replace(column, fill=None, summary=None)
        for column in model.preprocessing.inputs
    )
    model.preprocessing = dataclasses.replace(model.preprocessing, inputs=inputs)
    nnreg.save(model, tmp_path / "old.h5")
    old = nnreg.load(tmp_path / "old.h5")
    assert old.preprocessing == model.preprocessing
    with pytest.raises(nnreg.DataError, match="the value is missing"):
        old.predict({"age": [None], "town": ["Oslo"]})
    assert messages(old.predict, rows(age=[9e9] * 100)) == []


def test_infinite_numbers_and_gaps_in_arrays_are_refused():
    with pytest.raises(nnreg.DataError, match="an infinite value"):
        trained().predict({"age": [np.inf], "town": ["Oslo"]})
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"}]
    spec = classifier(model={"layers": layers})
    model = nnreg.build(spec, data=({"image": np.ones((200, 2, 2))}, KIND))
    image = np.ones((1, 2, 2))
    image[0, 1, 1] = np.nan
    with pytest.raises(nnreg.DataError, match="the value is missing"):
        model.predict({"image": image})


# -- drift


def test_numbers_far_outside_the_range_of_training_give_one_warning():
    model = trained()
    far = rows(age=[*TEN[:97], 9.9e6, 500.0, -400.0])
    with pytest.warns(DataDriftWarning) as caught:
        model.predict(far)
    assert [str(one.message) for one in caught] == [
        "the data: column 'age': 3 of 100 rows are far outside the range seen in training "
        "(1 to 10), up to 9,900,000 in row 97; predictions may be wrong where data are others"
    ]
    (text,) = messages(model.predict, {"age": [-1e6], "town": ["Oslo"]})  # one row
    assert (
        "1 of 1 rows is far outside the range seen in training (1 to 10), down to -1,000,000"
        in text
    )
    assert messages(model.predict, rows(age=[*TEN[:99], 13.0])) == []


def test_fractions_of_missing_and_other_values_are_compared():
    gaps = [None if n % 50 == 0 else value for n, value in enumerate(TEN)]
    model = trained({"age": gaps, "town": TOWNS}, missing="impute", max_categories=2)
    summaries = {one.name: one.summary for one in model.preprocessing.inputs}
    assert (summaries["age"].missing, summaries["age"].rows) == (4, 200)
    assert summaries["town"].other == 50
    new = rows(age=[None, 1.0, 2.0, 3.0] * 25, town=["Ås", "Oslo", "Molde", "Lom"] * 25)
    (text,) = messages(model.predict, new)
    assert "column 'age': 25 % of 100 rows have no value, in training 2 %" in text
    assert (
        "column 'town': 75 % of 100 values are none of the categories of the model, in training "
        "25 %" in text
    )
    assert messages(model.predict, {"age": [None], "town": ["Ås"]}) == []
    assert messages(model.predict, rows(age=[None, *TEN[:99]])) == []


def test_new_categories_are_expected_where_many_occur_once_in_training():
    """200 names in 400 rows: about 27 of 200 later rows have one that training has not."""
    names = [f"n{k}" for k in np.random.default_rng(0).integers(0, 200, 600)]
    model = nnreg.build(
        classifier(data={"source": "csv", "path": "no.csv", "target": "kind",
                         "columns": {"name": "index"}}),
        data=({"name": names[:400]}, KIND * 2),
    )  # fmt: skip
    assert 30 < model.preprocessing.inputs[0].summary.once < 90
    assert messages(model.predict, {"name": names[400:]}) == []
    assert messages(model.predict, {"name": names[:50]}) == []
    (text,) = messages(model.predict, {"name": [*names[400:500], *["other"] * 100]})
    assert "values are none of the categories of the model, in training 0 %" in text


def test_drift_as_an_error_stops_before_a_prediction():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataDriftWarning)
        with pytest.raises(DataDriftWarning):
            trained().predict(rows(age=[1e9] * 100))


def test_threads_report_each_for_itself():
    model, found = trained(), {}
    new = {"near": rows(), "far": rows(age=[1e9] * 100)}
    for name, table in new.items():
        thread = threading.Thread(
            target=lambda n=name, t=table: found.update({n: messages(model.predict, t)})
        )
        thread.start()
        thread.join()
    assert found["near"] == []
    assert len(found["far"]) == 1


def test_several_inputs_give_one_warning():
    data = {"source": "csv", "path": "no.csv", "target": "kind"}
    data |= {"inputs": {"facts": "age", "place": "town", "again": "age"}}
    layers = [
        {"type": "concat", "inputs": ["facts", "place", "again"]},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    columns = {"age": TEN, "town": TOWNS}
    model = nnreg.build(classifier(data=data, model={"layers": layers}), data=(columns, KIND))
    (text,) = messages(model.predict, {"age": [None, 1e9], "town": [None, "Oslo"]})[:1]
    assert text.count("'age'") == 1
    assert len(messages(model.predict, {"age": [None, 1e9], "town": [None, "Oslo"]})) == 2


def test_a_summary_is_of_the_training_rows_and_survives_saving(tmp_path):
    model = trained()
    nnreg.save(model, tmp_path / "m.h5")
    age, town = nnreg.load(tmp_path / "m.h5").preprocessing.inputs
    assert age.summary == ColumnSummary(200, 0, 0, 1.0, 10.0, (1, 1, 3, 5, 8, 10, 10))
    assert town.summary == ColumnSummary(200)
    assert "Infinity" not in json.dumps(dataclasses.asdict(age.summary))


DISTRIBUTIONS = {
    "uniform": lambda r, n: r.random(n),
    "normal": lambda r, n: r.normal(size=n),
    "exponential": lambda r, n: r.exponential(size=n),
    "lognormal": lambda r, n: np.exp(r.normal(size=n)),
    "student": lambda r, n: r.standard_t(3, n),
    "counts": lambda r, n: r.poisson(0.05, n).astype(float),
    "flag": lambda r, n: (r.random(n) < 0.001).astype(float),
    "few values": lambda r, n: (r.random(n) < 0.01) * r.exponential(size=n),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_rows_of_the_same_distribution_hardly_ever_alarm(name):
    draw, random = DISTRIBUTIONS[name], np.random.default_rng(0)
    alarms = 0
    for train in (10, 100, 1000):
        for new in (1, 100, 5000):
            for _ in range(20):
                column = raw_column(table_of({"x": draw(random, train)}), "x", Number())
                summary = summarize(column, Number(), 0)
                values = draw(random, new)
                beyond = [
                    int(np.sum((values < low) | (values > high)))
                    for low, high in (summary.limits(), summary.limits(3))
                ]
                alarms += summary.are_many(beyond[0], new) or summary.are_extreme(beyond[1], new)
    assert alarms <= 3  # of 180


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((1, 1, 0, 1000), False),  # one row
        ((29, 29, 0, 1000), False),  # few rows
        ((30, 100, 0, 1000), True),
        ((4, 100, 0, 1000), False),  # less than five points
        ((45_000, 1_000_000, 0, 1_000_000), False),
        ((0, 100, 500, 1000), True),  # fewer than in training
        ((20, 100, 100, 1000), False),  # within chance
    ],
)
def test_fractions_differ_beyond_chance_and_by_much(counts, found):
    assert differs(*counts) is found


TABLES = [path for path in sorted(MODELS.glob("*.json")) if '"csv"' in path.read_text()]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_splits_of_our_models_give_no_warning(path):
    assert messages(prepare_from_spec, read_spec(path)) == []


def test_held_out_rows_do_not_change_a_summary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"source": "csv", "path": "t.csv", "target": "kind"}
    data["split"] = {"validation": 0.25, "order": True}

    def summaries(last):
        lines = [f"{age},{town},{kind}\n" for age, town, kind in zip(TEN, TOWNS, KIND, strict=True)]
        (tmp_path / "t.csv").write_text("age,town,kind\n" + "".join(lines[:-1]) + last)
        model = nnreg.build(classifier(data=data))
        return [column.summary for column in model.preprocessing.inputs]

    known = summaries("1,Oslo,a\n")
    assert known[0].rows == 150
    with pytest.warns(NnregWarning) as caught:
        assert summaries("-9e9,,b\n") == known
    assert [type(one.message) for one in caught] == [NnregWarning, DataDriftWarning]
