"""Networks of several inputs: `data.inputs` by name, read by the layers."""

import csv
import json

import h5py
import numpy as np
import pytest

import nnreg
import nnreg as library
from nnreg.reports.network_diagram import diagram
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.named import NamedArrays
from nnreg.testing.finite_differences import central_difference
from tests.helpers.schemas import validator
from tests.helpers.trained import require_gradients_of_loss, require_saved_and_resumed
from tests.model.input_specs import (
    CASES,
    FACTS,
    LEFT,
    NEAR,
    PHOTO,
    PRICE,
    RIGHT,
    RNG,
    ROWS,
    spec_of,
    table_spec,
    write_table,
)


@pytest.mark.parametrize("name", CASES)
def test_it_learns_its_task(name):
    _, data, reached = CASES[name]
    model = nnreg.run(spec_of(name), data=data)
    assert model.history[-1]["loss"] < reached < model.history[0]["loss"] / 3


@pytest.mark.parametrize("name", CASES)
def test_the_gradients_agree_with_central_differences(name):
    x, y = CASES[name][1]
    some = {key: values[:5] for key, values in x.items()}
    model = nnreg.build(spec_of(name), data=(x, y))
    model.network.vector += 0.1 * RNG.normal(size=model.network.vector.size)
    require_gradients_of_loss(model, some, y[:5])


def test_the_gradient_of_each_input_is_that_of_central_differences():
    network = nnreg.build(spec_of("two inputs"), data=CASES["two inputs"][1]).network
    x = {"facts": FACTS[:3].copy(), "photo": PHOTO[:3].copy()}
    dy = RNG.normal(size=(3, 1))
    context = network.context(
        network.workspace(reuse=True), np.zeros_like(network.vector), input_gradient=True
    )

    def total():
        context.workspace.rewind()
        return float(np.sum(network.forward(NamedArrays(x), context)[0] * dy))

    expected = {key: central_difference(total, values) for key, values in x.items()}
    context.workspace.rewind()
    found = network.forward(NamedArrays(x), context)[1](dy)
    for key, gradient in expected.items():
        np.testing.assert_allclose(found[key], gradient, atol=1e-7 * np.abs(gradient).max())


@pytest.mark.parametrize("name", CASES)
def test_it_saves_resumes_and_copies_bit_identically(name, tmp_path):
    require_saved_and_resumed(spec_of(name), CASES[name][1], tmp_path)


def test_long_inputs_are_predicted_in_chunks_as_each_row_alone():
    model = nnreg.build(spec_of("siamese"), data=CASES["siamese"][1])
    x = {"left": np.tile(LEFT, (20, 1)), "right": np.tile(RIGHT, (20, 1))}
    alone = model.predict({key: values[:1] for key, values in x.items()})
    np.testing.assert_allclose(model.predict(x)[::ROWS], alone[0], rtol=1e-12)


def test_one_named_input_equals_an_unnamed_one(tmp_path):
    write_table(tmp_path / "t.csv")
    layers = [{"type": "dense", "units": 3, "activation": "tanh"}, {"type": "dense", "units": 1}]
    plain = nnreg.run(table_spec(tmp_path, ["a", "b"], layers))
    named = nnreg.run(table_spec(tmp_path, {"facts": ["a", "b"]}, layers))
    np.testing.assert_array_equal(named.network.vector, plain.network.vector)
    assert "inputs facts (batch, 2)" in named.summary()


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "t.csv")
    (tmp_path / "s.json").write_text(json.dumps(table_spec(tmp_path), indent=1))
    return tmp_path


@pytest.fixture
def command(nnreg):
    def run(*arguments):
        code, out, err = nnreg(*arguments)
        assert code == 0, err
        return out

    return run


def test_each_command_handles_several_inputs(table, command):
    command("validate", "s.json")
    command("run", "s.json", "--dry-run")
    command("run", "s.json", "--quiet", "--out", "out")
    page = (table / "out" / "report.html").read_text()
    assert "reads size" in page
    assert "Largest errors" in page
    assert "south" in page  # the inputs of the largest errors
    predicted = command("predict", "out", "t.csv").splitlines()
    model = library.load("out")
    assert len(predicted) == ROWS + 1
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [float(one) for one in predicted[1:4]]
    np.testing.assert_allclose(model.predict(rows[:3]), expected, rtol=1e-5, atol=1e-6)
    assert json.loads(command("evaluate", "out", "t.csv", "--json"))["data"]["r2"] <= 1
    command("run", "s.json", "--quiet", "--out", "more", "--set", "train.epochs=5")
    resumed = command("resume", "out", "--quiet", "--set", "train.epochs=5")
    assert resumed
    np.testing.assert_array_equal(
        library.load("out/checkpoints/last.h5").network.vector,
        library.load("more/checkpoints/last.h5").network.vector,
    )
    assert "model" in command("inspect", "out/checkpoints/best.h5", "--json")
    command("diff", "out", "more")


def test_the_schema_the_summary_and_the_diagram_show_the_inputs(table):
    spec = table_spec(table)
    validator().validate(spec)
    model = nnreg.build(spec)
    assert "inputs size (batch, 2), place (batch, 3)" in model.summary()
    picture = diagram(model).file()
    assert "size" in picture
    assert "place" in picture
    resolved = table / "r.json"
    resolved.write_text(json.dumps(json.loads(json.dumps(spec))))
    assert read_spec(str(resolved)).spec.data.groups == {
        "size": ("a", "b"),
        "place": ("kind", "c"),
    }


def test_an_override_can_set_an_input(table):
    model = nnreg.build(read_spec("s.json", ["data.inputs.size=b"]))
    assert model.preprocessing.input_shape == {"size": (1,), "place": (3,)}


def test_folds_and_weights_take_several_inputs(table):
    spec = table_spec(table)
    spec["data"] |= {"split": {}, "sample_weights": "c"}
    spec["data"]["inputs"] = {"size": ["a", "b"], "place": "kind"}
    with open("t.csv") as file:
        lines = file.read().replace("-", "")
    (table / "t.csv").write_text(lines)
    result = nnreg.run({**spec, "train": {"epochs": 2, "folds": 3}})
    assert len(result.models) == 3


def test_columns_of_numbers_and_arrays_from_one_file(tmp_path):
    np.savez(tmp_path / "d.npz", rooms=FACTS[:, 0], area=FACTS[:, 1], photo=PHOTO, price=PRICE)
    spec = spec_of("two inputs", epochs=3)
    spec["data"] = {"source": "npz", "path": str(tmp_path / "d.npz"), "target": "price",
                    "inputs": {"facts": ["rooms", "area"], "photo": "photo"}}  # fmt: skip
    model = nnreg.run(spec, out=tmp_path / "out")
    assert model.preprocessing.input_shape == {"facts": (2,), "photo": (6, 6, 1)}
    x = {"rooms": FACTS[:, 0], "area": FACTS[:, 1], "photo": PHOTO}
    np.testing.assert_array_equal(nnreg.load(tmp_path / "out").predict(x), model.predict(x))
    assert (tmp_path / "out" / "summary.json").exists()


def test_inputs_that_stay_in_their_file_are_read_into_memory(tmp_path):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["left"], file["right"], file["same"] = LEFT, RIGHT, NEAR.astype(int)
    spec = spec_of("siamese", epochs=3)
    spec["data"] = {"source": {"type": "hdf5", "stream": True}, "path": str(tmp_path / "d.h5"),
                    "inputs": {"left": "left", "right": "right"}, "target": "same"}  # fmt: skip
    stored = prepare_from_spec(read_spec(spec))
    spec["data"]["source"] = "hdf5"
    memory = prepare_from_spec(read_spec(spec))
    for name in ("left", "right"):
        np.testing.assert_array_equal(stored.train.x[name], memory.train.x[name])
    assert stored.train.digest == memory.train.digest


def test_the_weights_of_a_tower_can_be_taken_over(tmp_path):
    data = CASES["siamese"][1]
    nnreg.save(nnreg.run(spec_of("siamese", epochs=2), data=data), tmp_path / "first.h5")
    start = {"checkpoint": str(tmp_path / "first.h5"), "layers": ["layers/tower"]}
    model = nnreg.build(
        spec_of("siamese", train={"epochs": 1, "start_from": start}, seed=4), data=data
    )
    first = nnreg.load(tmp_path / "first.h5")
    name = "layers/tower/weight"
    np.testing.assert_array_equal(model.parameters[name], first.parameters[name])


def test_one_column_may_stand_alone_as_text(table):
    model = nnreg.build(table_spec(table, inputs="a", layers=[{"type": "dense", "units": 1}]))
    assert model.preprocessing.names == ("a",)


def test_units_of_a_named_last_layer_make_numbers_classes():
    layers = [{"type": "dense", "units": "classes", "activation": "softmax", "name": "last"}]
    spec = spec_of("siamese", model={"layers": layers}, loss="mean_squared_error")
    model = nnreg.build(spec, data=(LEFT, NEAR.astype(int)))
    assert model.classes == ("0", "1")
