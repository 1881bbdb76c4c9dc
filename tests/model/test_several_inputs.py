"""Networks of several inputs: `data.inputs` by name, read by the layers."""

import copy
import csv
import json
import pickle

import h5py
import jsonschema
import numpy as np
import pytest

import nnreg
import nnreg as library
from nnreg import DataError, SpecError
from nnreg.data.targets import numeric_targets
from nnreg.reports.network_diagram import diagram
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.spec.json_schema import json_schema
from nnreg.tables.lazy import LazyArray
from nnreg.tables.named import NamedArrays
from nnreg.tables.table import Table
from nnreg.testing.finite_differences import central_difference

RNG = np.random.default_rng(0)
ROWS = 120
FACTS, PHOTO = RNG.normal(size=(ROWS, 2)), RNG.normal(size=(ROWS, 6, 6, 1))
PRICE = FACTS[:, 0] * FACTS[:, 1] + 3 * PHOTO.mean(axis=(1, 2, 3))
LEFT = RNG.normal(size=(ROWS, 4))
NEAR = RNG.random(ROWS) < 0.5
RIGHT = np.where(NEAR[:, None], LEFT, RNG.normal(size=(ROWS, 4))) + 0.1
SOURCE = RNG.integers(0, 8, (ROWS, 4))
SO_FAR = np.hstack([np.zeros((ROWS, 1), int), SOURCE[:, :0:-1]])

TWO = [
    {"type": "dense", "units": 8, "activation": "tanh", "inputs": "facts", "name": "table"},
    {"type": "conv2d", "filters": 4, "activation": "tanh", "inputs": "photo"},
    {"type": "global_average_pool", "name": "picture"},
    {"type": "concat", "inputs": ["table", "picture"]},
    {"type": "dense", "units": 1},
]
SIAMESE = [
    {"type": "dense", "units": 16, "activation": "tanh", "inputs": "left", "name": "tower"},
    {"use": "tower", "inputs": "right", "name": "other"},
    {"type": "distance", "inputs": ["tower", "other"]},
    {"type": "dense", "units": 1, "activation": "sigmoid"},
]
ENCODER_DECODER = [
    {"type": "embedding", "vocabulary": 8, "units": 16, "inputs": "source", "name": "words"},
    {"type": "add_position"},
    {"type": "lstm", "units": 16, "sequences": True, "name": "memory"},
    {"use": "words", "inputs": "so_far", "name": "written"},
    {"type": "add_position"},
    {"type": "lstm", "units": 16, "sequences": True, "name": "state"},
    {"type": "cross_attention", "inputs": ["state", "memory"], "name": "looked_up"},
    {"type": "concat", "inputs": ["state", "looked_up"]},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
CASES = {
    "two inputs": (
        {"layers": TWO, "loss": "mean_squared_error", "rate": 0.01, "epochs": 60},
        ({"facts": FACTS, "photo": PHOTO}, PRICE),
        0.2,
    ),
    "siamese": (
        {"layers": SIAMESE, "loss": "binary_cross_entropy", "rate": 0.02, "epochs": 150},
        ({"left": LEFT, "right": RIGHT}, NEAR.astype(int)),
        0.05,
    ),
    "encoder-decoder": (
        {"layers": ENCODER_DECODER, "loss": "cross_entropy", "rate": 0.01, "epochs": 80},
        ({"source": SOURCE, "so_far": SO_FAR}, SOURCE[:, ::-1]),
        0.15,
    ),
}


def spec_of(name, epochs=None, **changes):
    options = CASES[name][0]
    return {
        "model": {"layers": copy.deepcopy(options["layers"]), "dtype": "float64"},
        "loss": options["loss"],
        "optimizer": {"type": "adam", "learning_rate": options["rate"]},
        "train": {"epochs": epochs or options["epochs"]},
        **changes,
    }


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
    _, found = model.gradients(some, y[:5])
    vector = np.concatenate([one.reshape(-1) for one in found.values()])
    rows = RNG.choice(len(vector), min(150, len(vector)), replace=False)
    expected = np.zeros(len(rows))
    for index, row in enumerate(rows):
        losses = []
        for change in (1e-5, -1e-5):
            model.network.vector[row] += change
            losses.append(model.gradients(some, y[:5])[0])
            model.network.vector[row] -= change
        expected[index] = (losses[0] - losses[1]) / 2e-5
    np.testing.assert_allclose(vector[rows], expected, atol=1e-7 * np.abs(vector).max())


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
    x, y = CASES[name][1]
    whole = nnreg.run(spec_of(name, epochs=4), data=(x, y))
    half = nnreg.run(spec_of(name, epochs=2), data=(x, y))
    nnreg.save(half, tmp_path / "half.h5")
    loaded = nnreg.load(tmp_path / "half.h5")
    np.testing.assert_array_equal(loaded.predict(x), half.predict(x))
    loaded.fit(x, y, epochs=2)
    np.testing.assert_array_equal(loaded.network.vector, whole.network.vector)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(whole)).predict(x), whole.predict(x))


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


def write_table(path):
    rows = zip(FACTS.round(3), LEFT.round(3), PRICE.round(3), strict=True)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "kind", "price"])
        for (a, b), (c, d, *_), price in rows:
            writer.writerow([a, b, c, "north" if d > 0 else "south", price])


TABLE_LAYERS = [
    {"type": "dense", "units": 4, "activation": "tanh", "inputs": "size", "name": "one"},
    {"type": "dense", "units": 4, "activation": "tanh", "inputs": "place", "name": "two"},
    {"type": "concat", "inputs": ["one", "two"]},
    {"type": "dense", "units": 1},
]


def table_spec(folder, inputs=None, layers=TABLE_LAYERS, **changes):
    inputs = {"size": ["a", "b"], "place": ["kind", "c"]} if inputs is None else inputs
    return {
        "data": {"source": "csv", "path": str(folder / "t.csv"), "inputs": inputs,
                 "target": "price", "split": {"validation": 0.2, "test": 0.2}},
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "metrics": ["r2"],
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "train": {"epochs": 3},
        **changes,
    }  # fmt: skip


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
    np.testing.assert_allclose(model.predict(rows[:3]), [float(one) for one in predicted[1:4]])
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
    jsonschema.validate(spec, json_schema())
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
        numeric_targets(table, ["y"])


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


def test_one_column_may_stand_alone_as_text(table):
    model = nnreg.build(table_spec(table, inputs="a", layers=[{"type": "dense", "units": 1}]))
    assert model.preprocessing.names == ("a",)


def test_units_of_a_named_last_layer_make_numbers_classes():
    layers = [{"type": "dense", "units": "classes", "activation": "softmax", "name": "last"}]
    spec = spec_of("siamese", model={"layers": layers}, loss="mean_squared_error")
    model = nnreg.build(spec, data=(LEFT, NEAR.astype(int)))
    assert model.classes == ("0", "1")
