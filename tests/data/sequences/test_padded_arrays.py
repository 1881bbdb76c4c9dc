"""Arrays in NPZ and HDF5 files, with a column of lengths or a padding value."""

import h5py
import numpy as np
import pytest

import nnreg as library
from nnreg.errors import DataError, NnregWarning, SpecError
from tests.helpers.sequences import PER_SEQUENCE, PER_STEP, prepare, spec

X = np.array([[1.0, 2, 3, 9], [4, 9, 9, 9], [5, 6, 9, 9]])
LENGTHS = np.array([3, 1, 2])
KINDS = np.array(["a", "b", "a"])
TAGS = np.array([[0, 1, 0, 7], [1, 7, 7, 7], [0, 1, 7, 7]])


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save()
    return tmp_path


def save(path="data.npz", **changes):
    arrays = {"x": X, "n": LENGTHS, "kind": KINDS, "tags": TAGS} | changes
    if path.endswith("npz"):
        np.savez(path, **arrays)
        return
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values.tolist() if values.dtype.kind == "U" else values


def padded(base=PER_SEQUENCE, target="kind", path="data.npz", sequences=None, **data):
    data = {"inputs": "x", "scaling": "none", "sequences": sequences or {"lengths": "n"}, **data}
    return spec(base, "npz" if path.endswith("npz") else "hdf5", path, target, **data)


@pytest.mark.parametrize("path", ["data.npz", "data.h5"])
@pytest.mark.parametrize("sequences", [{"lengths": "n"}, {"padding": 9}])
def test_only_the_real_steps_are_read(path, sequences):
    save(path)
    x = prepare(padded(path=path, sequences=sequences)).train.x
    assert x.lengths.tolist() == [3, 1, 2]
    assert x.points[:, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_only_trailing_steps_are_padding():
    save(x=np.array([[9.0, 2, 9, 9], [4, 9, 5, 9], [9, 9, 9, 9]]))
    with pytest.warns(NnregWarning, match="row 2, column 'x': a sequence without steps"):
        x = prepare(padded(sequences={"padding": 9})).train.x
    assert x.lengths.tolist() == [2, 3, 0]
    assert x.points[:, 0].tolist() == [9, 2, 4, 9, 5]


def test_values_after_the_last_step_do_not_count_for_the_mean():
    save(x=np.where(X == 9, np.nan, X))
    run = prepare(padded(scaling="standard"))
    assert run.model.preprocessing.inputs[0].encoder.mean == pytest.approx(3.5)


def test_a_step_of_several_values_is_padding_if_all_of_them_are():
    save(x=np.stack([X, np.where(X == 4, 9, X)], axis=2))
    x = prepare(padded(sequences={"padding": 9})).train.x
    assert x.lengths.tolist() == [3, 1, 2]
    assert x.points[3].tolist() == [4, 9]


@pytest.mark.parametrize(
    ("sequences", "path"),
    [
        ({"padding": 9}, r"\$\.data\.sequences: none of the columns n, kind has ar"),
        (
            {"input": {"padding": 9}},
            r"\$\.data\.sequences\.input: none of the columns n has arrays",
        ),
    ],
)
def test_a_setting_without_an_array_to_which_it_applies_is_refused(sequences, path):
    with pytest.raises(SpecError, match=path):
        prepare(padded(inputs=["n"], sequences=sequences))


def test_text_may_be_padded():
    save(x=np.array([["p", "q", ""], ["q", "", ""], ["p", "", ""]]))
    x = prepare(padded(sequences={"padding": ""})).train.x
    assert x.points.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    with pytest.raises(DataError, match=r"column 'x' holds text, but .* is 0"):
        prepare(padded(sequences={"padding": 0}))


@pytest.mark.parametrize("sequences", [{"lengths": "n"}, {"padding": 9}])
def test_targets_per_step_have_the_lengths_of_the_inputs(sequences):
    run = prepare(padded(PER_STEP, target="tags", sequences=sequences))
    assert run.model.classes == ("0", "1")  # 7 is padding
    assert run.train.raw_targets.points.tolist() == [0, 1, 0, 1, 0, 1]


def test_arrays_listed_as_constant_are_values_of_a_sequence():
    save(labels=np.array([[0, 1], [1, 0], [1, 1]]))
    layers = [{"type": "lstm", "units": 4}, {"type": "dense", "units": 2, "activation": "sigmoid"}]
    base = {
        **PER_SEQUENCE,
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "metrics": [],
    }
    constant = {"lengths": "n", "constant": ["labels"]}
    assert prepare(padded(base, "labels", sequences=constant)).train.raw_targets.shape == (3, 2)
    with pytest.raises(
        DataError, match="row 0, column 'n': a sequence of 3 steps, but column 'lab"
    ):
        prepare(padded(base, "labels"))


def test_each_of_several_inputs_has_its_own_lengths():
    save(z=np.array([[1, 0], [2, 3], [4, 0]]))
    layers = [
        {"type": "lstm", "units": 2, "inputs": "left", "name": "l"},
        {"type": "embedding", "vocabulary": 5, "units": 2, "inputs": "right"},
        {"type": "lstm", "units": 2, "name": "r"},
        {"type": "concat", "inputs": ["l", "r"]},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    base = {**PER_SEQUENCE, "model": {"layers": layers}}
    sequences = {"left": {"lengths": "n"}, "right": {"padding": 0}}
    document = padded(base, inputs={"left": "x", "right": "z"}, sequences=sequences)
    run = prepare(document)
    assert run.train.x["left"].lengths.tolist() == [3, 1, 2]
    assert run.train.x["right"].lengths.tolist() == [1, 2, 1]
    assert run.train.x["right"].dtype == np.int64
    document["data"]["sequences"] = {**sequences, "rihgt": {"padding": 0}}
    with pytest.raises(
        SpecError, match="neither an input nor a target column; did you mean 'right"
    ):
        prepare(document)


def test_a_target_of_several_inputs_has_lengths_of_its_own():
    sequences = {"words": {"lengths": "n"}, "tags": {"lengths": "n"}}
    layers = [{**PER_STEP["model"]["layers"][0], "inputs": "words"}, PER_STEP["model"]["layers"][1]]
    base = {**PER_STEP, "model": {"layers": layers}}
    run = prepare(padded(base, "tags", inputs={"words": "x"}, sequences=sequences))
    assert run.train.raw_targets.points.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3, 5, 2], r"row 1, column 'n': a sequence of 5 steps, but column 'x' has 4; correct it"),
        ([3, -1, 2], r"row 1, column 'n': found -1, expected the length of a sequence"),
        ([3, 1, 2.5], r"row 2, column 'n': found 2\.5, expected the length of a sequence"),
        ([3, np.nan, 2], r"row 1, column 'n': found a missing value"),
        (["3", "x", "2"], r"row 1, column 'n': found 'x', expected a number"),
        ([[3, 1], [1, 1], [2, 1]], r"column 'n' has shape \(3, 2\); expected one value per row"),
        ([3, 1], "the columns differ in length"),
    ],
)
def test_a_wrong_length_is_refused_with_its_row(lengths, message):
    save(n=np.array(lengths))
    with pytest.raises(DataError, match=message):
        prepare(padded())


def test_an_unknown_column_of_lengths_is_refused():
    with pytest.raises(DataError, match="no column 'm'"):
        prepare(padded(sequences={"lengths": "m"}))


def test_lengths_are_no_inputs_unless_listed():
    save(kind=KINDS)
    document = padded()
    document["data"] |= {"inputs": None, "exclude": ["tags"]}
    del document["data"]["inputs"]
    assert prepare(document).model.preprocessing.names == ("x",)


def test_arrays_that_stay_in_their_file_are_read_to_memory(monkeypatch):
    save("data.h5")
    document = padded(path="data.h5")
    document["data"]["source"] = {"type": "hdf5", "stream": True}
    assert prepare(document).train.x.points[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr("nnreg.data.sequences.require_memory", refuse)
    with pytest.raises(DataError, match="column 'x', whose sequences are read to memory: 96"):
        prepare(document)


def refuse(size, where, hint):
    raise DataError(f"{where}: {size}")


def test_raw_rows_are_predicted_and_evaluated_as_in_training():
    library.run(padded(PER_STEP, target="tags"), out="out")
    model = library.load("out")
    rows = {"x": X, "n": LENGTHS}
    found = model.predict(rows)
    assert [len(one) for one in found] == [3, 1, 2]
    alone = model.predict(library.Padded(X[..., :2][:1], [2]))[0]
    np.testing.assert_allclose(alone, found[0][:2], rtol=1e-12)
    lists = [[1, 2, 3], [4], [5, 6]]
    for one, other in zip(found, model.predict({"x": lists}), strict=True):
        np.testing.assert_array_equal(one, other)
    measured = model.evaluate(rows, {"tags": TAGS})
    assert measured == model.evaluate({"x": lists}, {"tags": [[0, 1, 0], [1], [0, 1]]})


def test_more_steps_than_in_training_are_predicted():
    library.run(padded(), out="out")
    model = library.load("out")
    assert model.predict({"x": [[1.0] * 20, [2.0]]}).shape == (2, 2)
