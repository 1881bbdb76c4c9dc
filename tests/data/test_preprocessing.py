"""Sources and preprocessing: from raw rows to arrays."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from nnreg import DataError
from nnreg.builtin.encoders import Category, Number
from nnreg.builtin.sources.arrays import Hdf5, Npz
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.input_columns import InputColumn
from nnreg.data.targets import ClassTarget
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.columns import numbers
from nnreg.tables.convert import table_of
from tests.helpers.specs import CSV, classifier, csv_data, regressor


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    return tmp_path


def prepared(spec):
    return prepare_from_spec(read_spec(spec))


def test_numeric_columns_are_standardized_and_categorical_ones_one_hot_encoded(directory):
    run = prepared(classifier(data=csv_data()))
    island, length, depth = run.model.preprocessing.inputs
    encoder = Category(unseen="refuse", categories=("north", "south"))
    assert replace(island, summary=None) == InputColumn("island", encoder, "north")
    assert isinstance(length.encoder, Number)
    assert length.encoder.mean == pytest.approx(2.525)
    x = run.train.x
    assert x.shape == (8, 4)
    assert x.dtype == np.float32
    assert x[:, 2:].mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert x[:, 2].std() == pytest.approx(1)
    np.testing.assert_array_equal(x[:3, :2], [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(x[5, :2], [1, 0])  # the missing island is the most frequent
    assert x[2, 3] == pytest.approx(0, abs=1e-6)  # the missing depth is the mean
    assert depth.fill == pytest.approx(np.mean([5.5, 5.1, 2.2, 5, 2.9, 5.7, 2.5]))


def test_categories_of_the_target_become_sorted_classes(directory):
    run = prepared(classifier(data=csv_data()))
    assert run.model.classes == ("blue", "red")
    np.testing.assert_array_equal(run.train.raw_targets, [1, 1, 0, 0, 1, 0, 1, 0])


def test_numbers_as_classes_are_ordered_by_value(directory):
    (directory / "data.csv").write_text("a,species\n1,10\n2,9\n3,10\n")
    assert prepared(classifier(data=csv_data())).model.classes == ("9", "10")


def test_preprocessing_is_fitted_on_the_training_split_alone(directory):
    data = csv_data(split={"validation": 0.25, "test": 0.25}, exclude=["island"])
    run = prepared(classifier(data=data))
    assert [len(run.train), len(run.validation), len(run.test)] == [4, 2, 2]
    assert run.train.x.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert abs(np.concatenate([run.train.x, run.test.x]).mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize("value", ["14.62", "1e200", "1e-200", "-1e308", "0"])
def test_a_constant_column_is_divided_by_1(directory, value):
    rows = "".join(f"{number},{value},{'xy'[number % 2]}\n" for number in range(1000))
    (directory / "data.csv").write_text("a,constant,species\n" + rows)
    column = prepared(classifier(data=csv_data())).model.preprocessing.inputs[1]
    assert (column.encoder.mean, column.encoder.std, column.fill) == (
        float(value),
        1.0,
        float(value),
    )


@pytest.mark.parametrize("target_scaling", ["standard", "none"])
def test_a_column_of_huge_numbers_trains_or_is_refused_with_its_location(directory, target_scaling):
    rows = "".join(f"{number % 7 - 3}e307,{number % 5 - 2}e200\n" for number in range(40))
    (directory / "data.csv").write_text("a,price\n" + rows)
    data = csv_data(target="price", target_scaling=target_scaling)
    spec = regressor(data=data, model={"layers": [{"type": "dense", "units": 1}]})
    if target_scaling == "none":
        with pytest.raises(DataError, match=r"data\.csv, line 2, column 'price': the value is too"):
            prepared(spec)
        return
    run = prepared(spec)
    assert run.train.x.std() == pytest.approx(1)
    assert run.train.targets.std() == pytest.approx(1)
    for record in run.model.trainer(run.train).epochs():
        assert np.isfinite(record["loss"])
    assert np.isfinite(run.model.predict({"a": [1e307]})).all()


def test_a_value_beyond_the_range_of_the_network_is_refused_with_its_location(directory):
    model = prepared(classifier(data=csv_data())).model
    (directory / "new.csv").write_text("island,length,depth\nnorth,1,2\nsouth,1,1e300\n")
    table = Csv().read(directory / "new.csv")
    with pytest.raises(
        DataError, match=r"new\.csv, line 3, column 'depth': the value is too large"
    ):
        model.predict(table)


def test_a_split_can_be_a_file_of_its_own(directory):
    (directory / "held-out.csv").write_text("species,island,length,depth\nred,north,1,5\n")
    run = prepared(classifier(data=csv_data(split={"validation": "held-out.csv"})))
    assert [len(run.train), len(run.validation)] == [8, 1]


def test_scaling_can_be_turned_off(directory):
    x = prepared(classifier(data=csv_data(scaling="none", inputs=["length"]))).train.x
    np.testing.assert_allclose(x[:, 0], [1, 1.2, 3.9, 4.1, 0.8, 4.4, 1.1, 3.7], rtol=1e-6)


def test_a_scaled_target_is_predicted_in_its_own_units(directory):
    data = csv_data(target="length", target_scaling="standard", inputs=["depth", "species"])
    model = prepared(regressor(data=data)).model
    model.parameters["layers/0/weight"][...] = 0
    model.parameters["layers/0/bias"][...] = 0
    rows = table_of([{"depth": 1, "species": "red"}])
    assert model.predict(rows)[0] == pytest.approx(2.525)


def test_several_target_columns_are_predicted_together(directory):
    data = csv_data(target=["length", "depth"], inputs=["species"])
    (directory / "data.csv").write_text("species,length,depth\nred,1,2\nblue,3,4\n")
    layers = {"layers": [{"type": "dense", "units": 2}]}
    assert prepared(regressor(data=data, model=layers)).train.raw_targets.tolist() == [
        [1, 2],
        [3, 4],
    ]


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        (None, {}, r"data\.csv: cannot read the data: No such file"),
        ("", {}, "the file is empty"),
        ("species,island,length,depth\n", {}, "a header but no rows"),
        (CSV.replace("blue,south,4.1,2.2", "blue,south,4.1"), {},
         "line 5: 3 cells, but the header has 4"),
        (CSV.replace("4.1", "four"), {},
         r"line 5, column 'length': found 'four' among numbers; fix the value, or"),
        (CSV.replace("4.1", "1e999"), {}, "found '1e999' among numbers"),
        (CSV, {"columns": {"island": "number"}},
         r"line 2, column 'island': found 'north', expected a number"),
        (CSV, {"target": "specie"}, "no column 'specie'; did you mean 'species'"),
        (CSV, {"inputs": ["lenght"]}, "no column 'lenght'; did you mean 'length'"),
        (CSV, {"exclude": ["lenght"]}, "no column 'lenght'; did you mean 'length'"),
        (CSV, {"columns": {"lenght": "category"}}, "no column 'lenght'; did you mean 'length'"),
        (CSV, {"missing": "refuse", "inputs": ["depth"]},
         r"line 4, column 'depth': the value is missing; fix it, or set data.missing"),
        (CSV.replace("red,south,1.1", "NA,south,1.1"), {},
         r"line 8, column 'species': the target is missing"),
        (CSV.replace("depth", "length"), {}, "column 'length' occurs twice"),
        ("species,x\nred,\nblue,\n", {}, "column 'x' has no values"),
        ("species\nred\n", {}, "no input columns are left"),
        ('species,x\nred,"1\n', {}, "not well-formed CSV"),
        (CSV, {"split": {"validation": 0.01}}, "less than one row"),
        (CSV, {"split": {"validation": "no.csv"}}, r"no\.csv: cannot read the data"),
    ],
)  # fmt: skip
def test_bad_data_are_reported_with_file_line_column_and_fix(directory, text, data, message):
    if text is None:
        (directory / "data.csv").unlink()
    else:
        (directory / "data.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        prepared(classifier(data=csv_data(**data)))


def test_a_missing_number_in_the_target_is_refused(directory):
    with pytest.raises(DataError, match=r"line 4, column 'depth': the target is missing"):
        prepared(regressor(data=csv_data(target="depth")))


def test_an_unknown_class_is_refused(directory):
    (directory / "held-out.csv").write_text("species,island,length,depth\nrod,north,1,5\n")
    data = csv_data(split={"validation": "held-out.csv"})
    with pytest.raises(DataError, match=r"line 2, .*unknown class 'rod'; did you mean"):
        prepared(classifier(data=data))


@pytest.mark.parametrize(("unseen", "refused"), [("refuse", True), ("ignore", False)])
def test_an_unknown_category_is_refused_or_ignored_as_the_spec_says(directory, unseen, refused):
    model = prepared(classifier(data=csv_data(unseen=unseen))).model
    rows = [{"island": "west", "length": 1, "depth": 2}]
    if refused:
        with pytest.raises(DataError, match=r"row 0, column 'island': unknown category 'west'"):
            model.predict(rows)
    else:
        with pytest.warns(NnregWarning, match="'west', the first of 3 in 5 rows; they are ign"):
            found = model.predict([*rows * 3, *({**rows[0], "island": "north"} for _ in "ab")])
        assert found.shape == (5, 2)


def test_npz_and_hdf5_give_the_same_columns(tmp_path):
    x, y = np.arange(12.0).reshape(3, 2, 2), np.array(["a", "b", "a"])
    np.savez(tmp_path / "d.npz", x=x, y=y)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"], file["y"] = x, y.astype("S")
    for table in (Npz().read(tmp_path / "d.npz"), Hdf5().read(tmp_path / "d.h5")):
        np.testing.assert_array_equal(table.columns["x"], x)
        assert table.columns["y"].tolist() == ["a", "b", "a"]


@pytest.mark.parametrize("source", [Npz(), Hdf5()])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"text"])
def test_a_damaged_array_file_is_refused(tmp_path, source, content):
    (tmp_path / "d").write_bytes(content)
    with pytest.raises(DataError, match="not an"):
        source.read(tmp_path / "d")


def test_an_npz_with_pickled_objects_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"d\.npz, 'x': Python objects, which can run code"):
        Npz().read(tmp_path / "d.npz")


def test_an_hdf5_link_to_another_file_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = [1, 2, 3]
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "x")
    with pytest.raises(DataError, match="is not a hard link"):
        Hdf5().read(tmp_path / "d.h5")


def test_an_image_of_the_wrong_size_is_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((6, 8, 8)), y=np.arange(6) % 2)
    layers = [{"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"}]
    data = {"source": "npz", "path": str(tmp_path / "d.npz"), "target": "y"}
    model = prepared(classifier(data=data, model={"layers": layers})).model
    with pytest.raises(DataError, match=r"shape \(9, 9\); the model expects \(8, 8\)"):
        model.predict(np.zeros((1, 9, 9)))


def test_arrays_of_different_length_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((6, 2)), y=np.arange(5))
    data = {"source": "npz", "path": str(tmp_path / "d.npz"), "target": "y"}
    with pytest.raises(DataError, match="differ in length"):
        prepared(regressor(data=data))


def test_integers_stay_integers_if_the_first_layer_takes_them(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.array([[1, 2], [3, 0]]), y=np.array(["a", "b"]))
    layers = [
        {"type": "embedding", "vocabulary": 4, "units": 3},
        {"type": "flatten"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    data = {"source": "npz", "path": str(tmp_path / "d.npz"), "target": "y"}
    run = prepared(classifier(data=data, model={"layers": layers}))
    assert run.train.x.tolist() == [[1, 2], [3, 0]]
    assert run.train.x.dtype.kind == "i"
    for bad in ([[4, 0]], [[-1, 0]]):
        with pytest.raises(DataError, match="integers from 0 to 3"):
            run.model.predict(np.array(bad))


def test_a_table_comes_from_frames_mappings_rows_and_arrays():
    class Frame:
        columns = ("a", "b")

        def __getitem__(self, key):
            return {"a": np.array([1.0, 2.0]), "b": np.array(["x", None], object)}[key]

    rows = [{"a": 1.0, "b": "x"}, {"a": 2.0, "b": None}]
    array = np.array([[1.0, "x"], [2.0, None]], object)
    for table in (table_of(Frame()), table_of(rows), table_of(array, ["a", "b"])):
        assert numbers(table, "a").tolist() == [1.0, 2.0]
        assert table.columns["b"].tolist() == ["x", None]


def test_an_array_of_another_number_of_columns_is_refused():
    with pytest.raises(DataError, match=r"shape \(1, 3\); expected \(rows, 2\) with the columns a"):
        table_of([[1, 2, 3]], ["a", "b"])


def test_class_names_of_whole_numbers_have_no_decimal_point():
    target = ClassTarget("y", ("0", "1", "2.5"))
    assert target.encode(table_of({"y": np.array([1.0, 0.0, 2.5])})).tolist() == [1, 0, 2]


def test_the_categories_that_are_not_the_most_frequent_are_one_more(directory):
    names = ["a", "b", "b", "c", "c", "c", "d", ""]
    rows = [f"{name},{number}" for number, name in enumerate(names)]
    (directory / "names.csv").write_text("\n".join(["name,t", *rows]) + "\n")
    data = {"source": "csv", "path": "names.csv", "target": "t", "missing": "impute"}
    model = prepared(regressor(data={**data, "max_categories": 2})).model
    (column,) = model.preprocessing.inputs
    encoder = Category(2, "refuse", ("b", "c"), other=True)
    assert replace(column, summary=None) == InputColumn("name", encoder, "c")
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]
    table = table_of({"name": ["b", "c", "a", "never seen", None]})
    np.testing.assert_array_equal(column.encode(table), expected)
    assert model.predict(table_of({"name": ["a"]})) == model.predict(table_of({"name": ["new"]}))
    enough = prepared(regressor(data={**data, "max_categories": 4})).model
    assert enough.preprocessing.inputs[0].shape == (4,)
