"""The JSON Schema of the rows of a model, and what is wrong with rows that it refuses."""

import jsonschema
import numpy as np
import pytest

import nnreg
from nnreg.model.row_schema import row_problems

ROW = {"size": 40.5, "kind": "a", "flag": "True", "code": 7, "shape": [[1, 2], [3, 4]]}


@pytest.fixture(scope="module")
def model():
    """Return a model of two inputs: columns, and arrays."""
    rng, count = np.random.default_rng(0), 40
    kinds = np.array(["a", "b", "c"])[np.arange(count) % 3].astype(object)
    kinds[5] = None
    x = {
        "size": rng.normal(40, 9, count),
        "kind": kinds,
        "flag": np.arange(count) % 2 == 0,
        "code": np.arange(count) % 3 + 7,
        "shape": rng.normal(size=(count, 2, 2)),
    }
    table = ["size", "kind", "flag", "code"]
    layers = [
        {"type": "flatten", "inputs": "shape", "name": "flat"},
        {"type": "concat", "inputs": ["table", "flat"]},
        {"type": "dense", "units": 3, "activation": "tanh"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]
    spec = {
        "model": {"layers": layers},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "metrics": ["accuracy"],
        "data": {
            "source": "csv",
            "path": "none.csv",
            "target": "y",
            "inputs": {"table": table, "shape": "shape"},
            "columns": {"code": {"type": "category", "unseen": "ignore"}},
            "missing": "impute",
        },
    }
    return nnreg.build(spec, data=(x, np.arange(count) % 2))


def test_it_has_each_column(model):
    found = model.input_schema["properties"]
    assert list(found) == model.input_schema["required"] == list(ROW)
    assert found["size"]["type"] == ["number", "null"]
    assert "in the training rows" in found["size"]["description"]
    assert found["kind"] == {"type": ["string", "null"], "enum": ["a", "b", "c", None]}
    assert found["flag"]["enum"] == ["False", "True", False, True, None]
    assert found["code"] == {
        "type": ["string", "number", "null"], "examples": ["7", "8", "9", 7, 8, 9],
    }  # fmt: skip
    row = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    assert found["shape"] == {"type": "array", "items": row, "minItems": 2, "maxItems": 2}


@pytest.mark.filterwarnings("ignore:.*unknown category 'new'")
@pytest.mark.parametrize(
    "change", [{}, {"flag": False}, {"code": "8"}, {"code": "new"}, {"size": None}, {"more": {}}]
)
def test_a_row_that_fits_is_predicted(model, change):
    row = {**ROW, **change}
    jsonschema.validate(row, model.input_schema)
    assert not list(row_problems(model.input_schema, row))
    assert np.isfinite(model.predict([{**row, "more": 0}])).all()


@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (5, None, "expected an object of values by column, found 5"),
        ({**ROW, "size": "x"}, "size", "expected a number or null, found 'x'"),
        ({**ROW, "size": True}, "size", "expected a number or null, found True"),
        ({**ROW, "kind": "A"}, "kind", "found 'A', no known category; choose one of a, b, c"),
        ({**ROW, "kind": 1}, "kind", "expected text or null, found 1"),
        ({**ROW, "shape": [[1, 2]]}, "shape", "expected a list of 2, found 1"),
        ({**ROW, "shape": [[1, 2], [3, ""]]}, "shape", "item 1: item 1: expected a number, found"),
        ({**ROW, "shape": None}, "shape", "expected a list, found None"),
        ({n: v for n, v in ROW.items() if n != "kind"} | {"kinds": "a"}, "kind",
         "the value is not given; did you mean 'kinds'?"),
        ({n: v for n, v in ROW.items() if n != "size"}, "size",
         "the value is not given; give null if it is missing"),
        ({n: v for n, v in ROW.items() if n != "shape"}, "shape",
         "the value is not given; it is required"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_another(model, row, column, message):
    (problem,) = row_problems(model.input_schema, row)
    assert problem.column == column
    assert problem.message.startswith(message)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row, model.input_schema)


def test_a_number_that_is_not_finite_is_refused(model):
    (problem,) = row_problems(model.input_schema, {**ROW, "size": float("inf")})
    assert problem == ("size", "expected a number or null, found inf")


NUMBERS = np.sin(np.arange(12)).tolist()
LISTS = [NUMBERS[:3], NUMBERS[:2], NUMBERS[:4]]
GROUPS = {"time": [0, 1, 2] * 4}
PLACE = ["string", "number"]


@pytest.mark.parametrize(
    ("data", "layers", "x", "y", "kinds"),
    [
        ({"window": {"length": 3, "order": "time"}}, ["flatten"],
         {"time": range(12), "y": NUMBERS}, {"y": NUMBERS},
         {"y": ["number", "null"], "time": PLACE}),
        ({"inputs": "v", "sequences": {"group": "time"}}, [],
         {"v": NUMBERS, **GROUPS}, {"y": NUMBERS, **GROUPS},
         {"v": ["number", "null"], "time": PLACE}),
        ({"inputs": "v"}, [], {"v": LISTS}, {"y": LISTS}, {"v": "array"}),
    ],
)  # fmt: skip
def test_rows_of_series_have_the_columns_that_place_them(data, layers, x, y, kinds):
    spec = {
        "model": {"layers": [*layers, {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "data": {"source": "csv", "path": "none.csv", "target": "y", **data},
    }
    found = nnreg.build(spec, data=({n: list(v) for n, v in x.items()}, y)).input_schema
    assert found["required"] == list(kinds)
    assert {name: column["type"] for name, column in found["properties"].items()} == kinds


def test_activations_are_those_of_each_layer(model):
    found = model.activations([ROW, ROW])
    assert list(found) == [*model.network.layers, "outputs"]
    assert found["layers/flat"].shape == (2, 4)
    *_, hidden, scores, outputs = found.values()
    w, b = (model.parameters[f"layers/3/{name}"] for name in ("weight", "bias"))
    np.testing.assert_allclose(hidden @ w + b, scores, rtol=1e-6)
    assert outputs.tolist() == model.predict([ROW, ROW]).tolist()


def test_results_are_those_of_the_epoch_of_the_weights(tmp_path):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(40, 2)), rng.normal(size=40)
    layers = [{"type": "dense", "units": 1}]
    spec = {"model": {"layers": layers}, "loss": "mean_squared_error", "optimizer": "adam"}
    model = nnreg.build(spec, data=(x, t))
    assert model.results == {}
    model.fit(x, t, validation=(x[:9], t[:9]), epochs=2)
    assert model.results == {"validation": pytest.approx(model.evaluate(x[:9], t[:9]))}
    nnreg.save(model, tmp_path / "model.h5")
    assert nnreg.load(tmp_path / "model.h5").results == model.results
