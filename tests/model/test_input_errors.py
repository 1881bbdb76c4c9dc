"""Several inputs that do not fit the spec or the data are refused, each error at its place."""

import copy

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import DataError, SpecError
from nnreg.data.targets import numeric_targets
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.lazy import LazyArray
from nnreg.tables.table import Table
from tests.model.input_specs import (
    CASES,
    FACTS,
    LEFT,
    NEAR,
    PHOTO,
    PRICE,
    RIGHT,
    TABLE_LAYERS,
    spec_of,
    table_spec,
    write_table,
)


def test_several_inputs_that_do_not_fit_into_memory_are_refused(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["left"], file["right"], file["same"] = LEFT, RIGHT, NEAR.astype(int)
    spec = spec_of("siamese", epochs=3)
    spec["data"] = {"source": {"type": "hdf5", "stream": True}, "path": str(tmp_path / "d.h5"),
                    "inputs": {"left": "left", "right": "right"}, "target": "same"}  # fmt: skip
    limit = 2 * 2 * (8 + 8) * LEFT.size  # each as it is stored and as it is encoded
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: limit)
    prepare_from_spec(read_spec(spec))
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: limit - 1)
    with pytest.raises(DataError, match=r"d.h5: several inputs: .* in memory, more than half"):
        prepare_from_spec(read_spec(spec))


def test_a_target_that_does_not_fit_into_memory_is_refused_before_it_is_read():
    rows = np.broadcast_to(0, 10**13)
    table = Table({"y": LazyArray(None, rows, (4,), np.dtype(np.float32))})
    with pytest.raises(DataError, match=r"the target: .* in memory, more than half"):
        numeric_targets(table, ["y"], {})


@pytest.fixture
def table(tmp_path):
    write_table(tmp_path / "t.csv")
    return tmp_path


def problems(table, **changes):
    with pytest.raises(SpecError) as caught:
        nnreg.build(table_spec(table, **changes))
    return [(one.path, one.message) for one in caught.value.problems]


def replaced(index, **changes):
    layers = copy.deepcopy(TABLE_LAYERS)
    layers[index] |= changes
    return [{key: value for key, value in one.items() if value is not None} for one in layers]


LAYER_ERRORS = {
    "first without inputs": (
        replaced(0, inputs=None),
        "$.model.layers[0]",
        "the data has several inputs; name in 'inputs' one of size, place",
    ),
    "unread": (
        replaced(1, inputs="size"),
        "$.model.layers",
        "no entry reads the input 'place'; read it, or remove it",
    ),
    "unknown": (
        replaced(1, inputs="plaec"),
        "$.model.layers[1].inputs",
        "unknown name 'plaec'; did you mean 'place'?",
    ),
    "the input of the list": (
        replaced(1, inputs="input"),
        "$.model.layers[1].inputs",
        "unknown name 'input'; choose one of one, place, size",
    ),
    "name of an input": (
        replaced(1, name="size"),
        "$.model.layers[1].name",
        "the name 'size' is that of an input; give the entry another name",
    ),
    "use of an input": (
        [*TABLE_LAYERS, {"use": "size"}],
        "$.model.layers[4].use",
        "'size' is an input, not a layer",
    ),
}


@pytest.mark.parametrize("name", LAYER_ERRORS)
def test_each_error_of_a_layer_is_reported_at_its_place(table, name):
    layers, path, message = LAYER_ERRORS[name]
    assert (path, message) in problems(table, layers=layers)


DATA_ERRORS = {
    "empty": ({}, "'inputs' is empty; omit it for all columns"),
    "a dot": (
        {"a.b": "a"},
        "the name 'a.b' of an input contains '/' or '.', which separate names; give it another "
        "name",
    ),
    "reserved": ({"input": "a"}, "the name 'input' of an input is reserved; give it another name"),
    "number": (
        {"1": "a"},
        "the name '1' of an input is a number, which unnamed entries have; give it another name",
    ),
}


@pytest.mark.parametrize("name", DATA_ERRORS)
def test_each_error_of_the_data_section_is_reported(table, name):
    inputs, message = DATA_ERRORS[name]
    assert ("$.data", message) in problems(table, inputs=inputs)


def test_an_input_without_columns_is_refused(table):
    ((path, message),) = problems(table, inputs={"size": [], "place": "c"})
    assert path == "$.data.inputs.size"
    assert "not be empty" in message or "at least 1" in message


def test_an_excluded_input_is_refused(table):
    spec = table_spec(table)
    spec["data"]["exclude"] = ["a"]
    with pytest.raises(SpecError, match="'a' is an input and in 'exclude'; remove one of them"):
        nnreg.build(spec)


def test_rows_that_do_not_fit_are_refused():
    model = nnreg.build(spec_of("siamese"), data=CASES["siamese"][1])
    with pytest.raises(DataError, match="no column 'right'"):
        model.predict({"left": LEFT})
    with pytest.raises(DataError, match="the columns differ in length"):
        model.predict({"left": LEFT, "right": RIGHT[:3]})
    with pytest.raises(DataError, match="the model expects"):
        model.predict({"left": LEFT, "right": RIGHT[:, :3]})


def test_arrays_beside_numbers_in_one_input_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", area=FACTS[:, 1], photo=PHOTO, price=PRICE)
    spec = spec_of("two inputs")
    spec["data"] = {"source": "npz", "path": str(tmp_path / "d.npz"), "target": "price",
                    "inputs": {"facts": ["area", "photo"], "photo": "photo"}}  # fmt: skip
    with pytest.raises(DataError, match="or give each an input with a name"):
        nnreg.build(spec)


def test_an_integer_input_is_checked_beside_others():
    x, y = CASES["encoder-decoder"][1]
    model = nnreg.build(spec_of("encoder-decoder"), data=(x, y))
    with pytest.raises(DataError, match="from 0 to 7"):
        model.predict({**x, "so_far": x["so_far"] + 1})
    with pytest.raises(DataError, match="takes integers"):
        model.predict({**x, "source": x["source"] + 0.5})
