"""The encoder of ordered categories."""

import numpy as np
import pandas as pd
import pytest

from nnreg import DataError, RawColumn, SpecError
from nnreg.builtin.encoders import Ordered
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier, csv_data

SIZES = ("S", "M", "L")


def column(values):
    return RawColumn.of(values, "text", name="size")


def encoded(values, new=None, order=SIZES, **options):
    encoder = Ordered(order, **options).learn(column(values))
    return encoder.encode(column(values if new is None else new))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[1], [0], [0.5], [0]]),
        ({"scaling": "none"}, [[2], [0], [1], [0]]),
        ({"scaling": "standard"}, (np.array([[2], [0], [1], [0]]) - 0.75) / np.std([2, 0, 1, 0])),
        ({"code": "thermometer"}, [[1, 1], [0, 0], [1, 0], [0, 0]]),
    ],
)
def test_a_category_is_its_position_in_the_order(options, expected):
    np.testing.assert_allclose(encoded(["L", "S", "M", "S"], **options), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [0.375]), ({"scaling": "standard"}, [0]), ({"code": "thermometer"}, [0.75, 0])],
)
def test_a_missing_or_ignored_one_has_the_mean_position(options, expected):
    found = encoded(["L", "S", "M", "S"], [None, "XL"], unseen="ignore", **options)
    np.testing.assert_allclose(found, [expected, expected])


def test_an_ordered_categorical_of_pandas_brings_its_order():
    sizes = pd.Series(pd.Categorical(["L", "S", None], SIZES, ordered=True))
    encoder = Ordered().learn(column(sizes).take(np.array([0, 1])))
    assert encoder.categories == SIZES
    assert encoder.encode(column(["M"])).tolist() == [[0.5]]
    for values in (sizes.cat.as_unordered(), ["S", "M"]):
        with pytest.raises(DataError, match="column 'size': the order of its categories is not kn"):
            Ordered().learn(column(values))


@pytest.mark.parametrize("unseen", ["refuse", "ignore"])
def test_a_category_of_the_training_rows_that_is_not_in_the_order_is_refused(unseen):
    with pytest.raises(DataError, match=r"row 1, .* found 'XL', which is not one of the ordered"):
        encoded(["S", "XL"], unseen=unseen)


def test_numbers_are_found_however_they_are_written():
    assert encoded(["1.0", 2], order=("1", "2")).tolist() == [[0], [1]]


def test_an_order_has_two_distinct_categories():
    for order, message in ((["S"], "order"), (["S", "S"], "found 'S' twice")):
        with pytest.raises(SpecError, match=rf"\$\.data\.columns\.size.*{message}"):
            read_spec(
                classifier(data=csv_data(columns={"size": {"type": "ordered", "order": order}}))
            )


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prepare(rows, held_out, **data):
        for name, sizes in (("data.csv", rows), ("other.csv", held_out)):
            lines = (f"{'ab'[i % 2]},{size}\n" for i, size in enumerate(sizes))
            (tmp_path / name).write_text("species,size\n" + "".join(lines))
        columns = {"size": {"type": "ordered", "order": [*SIZES, "XL"]}}
        split = {"validation": "other.csv"}
        spec = classifier(data=csv_data(columns=columns, split=split, **data))
        return prepare_from_spec(read_spec(spec))

    return prepare


def test_held_out_categories_follow_data_unseen_and_are_not_learned(prepared):
    run = prepared(["S", "S", "L"], ["XL", "M"])
    assert run.validation.x.tolist() == [[1], [pytest.approx(1 / 3)]]
    assert run.model.preprocessing.inputs[0].encoder.mean == pytest.approx(2 / 3)
    with pytest.raises(DataError, match=r"other.csv, line 3, column 'size': found 'XS', which is"):
        prepared(["S", "L"], ["XL", "XS"])
    with pytest.warns(NnregWarning, match="unknown category 'XS', the first of 1 in 2 rows"):
        assert prepared(["S", "L"], ["XL", "XS"], unseen="ignore").validation.x[1] == 1 / 3


def test_a_missing_one_is_imputed_with_the_most_frequent(prepared):
    run = prepared(["S", "L", "L"], ["", "M"], missing="impute")
    assert run.validation.x[0] == pytest.approx(2 / 3)
