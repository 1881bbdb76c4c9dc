"""Predictions for arrays by a plan that is made once: the same as by the general way."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnreg
from nnreg.errors import DataDriftWarning, DataError
from nnreg.interfaces.kernels import Kernels
from nnreg.model import model as model_module
from nnreg.network import prediction
from nnreg.network.chain_prediction import FEW_ROWS

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (60, 5))
CLASSES = np.arange(60) % 3
SOFTMAX = {"type": "dense", "units": "classes", "activation": "softmax"}


def hidden(units=7, **options):
    return {"type": "dense", "units": units, "activation": "relu", **options}


SPEC = {"loss": "cross_entropy", "optimizer": "adam"}


def built(*layers, x=X, y=CLASSES, loss="cross_entropy", model=None, **train):
    settings = {"kernels": "numpy", "epochs": 2, **train}
    layers = {"layers": list(layers), **(model or {})}
    spec = {**SPEC, "loss": loss, "model": layers, "train": settings}
    return nnreg.build(spec, data=(x, y))


def table():
    """Return a model of the columns a, b, c, which takes arrays of three columns too."""
    return built(hidden(), SOFTMAX, x={name: X[:, index] for index, name in enumerate("abc")})


def of_file(path, **options):
    """Return a model of a file with these columns."""
    rows = np.column_stack([X[:, :3], CLASSES])
    np.savetxt(path, rows, delimiter=",", header="a,b,c,y", comments="")
    data = {"source": "csv", "path": str(path), "target": "y", **options}
    return nnreg.build({**SPEC, "model": {"layers": [hidden(), SOFTMAX]}, "data": data})


def classifier(**options):
    return built(hidden(), SOFTMAX, **options)


def regression(*layers, **options):
    layers = layers or (hidden(), {"type": "dense", "units": 1})
    return built(*layers, y=X[:, 0] * 50 + 1000, loss="mean_squared_error", **options)


MODELS = {
    "classes": classifier,
    "float64": lambda: classifier(model={"dtype": "float64"}),
    "numbers": regression,
    "sigmoid": lambda: built(
        hidden(activation="tanh"), {"type": "dense", "units": 1, "activation": "sigmoid"},
        y=CLASSES % 2, loss="binary_cross_entropy",
    ),
    "no bias": lambda: built(hidden(bias=False), {"type": "dropout"}, SOFTMAX),
    "no chain": lambda: built(hidden(), {"type": "layer_norm"}, SOFTMAX),
    "members": lambda: built(hidden(), SOFTMAX, model={"members": 2}),
    "average": lambda: classifier(ema=0.5),
    "reproducible": lambda: classifier(reproducible=True),
    "columns": table,
}  # fmt: skip


@pytest.fixture
def planned(monkeypatch):
    """Return a function that predicts, and fails if the plan does not."""

    def general(*arguments, **options):
        raise AssertionError("the general way was used")

    def predict(model, x):
        with monkeypatch.context() as patch:
            patch.setattr(model_module, "prepare_inputs", general)
            return model.predict(x)

    return predict


def in_general(model, x):
    """Return the predictions for a table, which has no plan."""
    return model.predict(model.raw_rows.inputs(x))


def rows_for(model, count, dtype="f8"):
    columns = len(model.preprocessing.inputs)
    return np.abs(RNG.normal(3, 1, (count, 5 if columns == 1 else columns))).astype(dtype)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [1, FEW_ROWS, FEW_ROWS + 1, 1500])
def test_plans_predict_the_same_bits_as_the_general_way(name, count, planned):
    model = MODELS[name]()
    if name in ("classes", "average"):
        model.fit(X, CLASSES)
    for dtype in ("f4", "f8", "i4", "u1"):
        x = rows_for(model, count, dtype)
        before = x.copy()
        np.testing.assert_array_equal(planned(model, x), in_general(model, x), strict=True)
        np.testing.assert_array_equal(x, before)


def test_rows_may_be_any_view_of_an_array(planned):
    model = classifier()
    x = RNG.normal(size=(12, 5)).astype("f4")
    for view in (x[::-2], np.asfortranarray(x), x[:, ::-1], x.astype(">f4")):
        np.testing.assert_array_equal(model.predict(view), in_general(model, view))
    np.testing.assert_array_equal(planned(model, x[::-2]), model.predict(x[::-2].copy()))


def test_plans_follow_the_weights(planned):
    model = classifier()
    first = planned(model, X[:2])
    model.parameters["layers/1/bias"] = [5, 0, 0]
    changed = planned(model, X[:2])
    assert (changed[:, 0] > first[:, 0]).all()
    np.testing.assert_array_equal(changed, in_general(model, X[:2]))
    model.fit(X, CLASSES, epochs=1)
    np.testing.assert_array_equal(planned(model, X[:2]), in_general(model, X[:2]))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(planned(other, X[:2]), planned(model, X[:2]))
        other.network.vector[...] = 0
        np.testing.assert_allclose(planned(other, X[:2]), 1 / 3, rtol=1e-6)


def test_predictions_are_arrays_of_their_own():
    """Those of a network whose layers return their input too."""
    same = regression({"type": "dropout"}, x=X[:, :1])
    for model, x in ((same, X[:3, :1].astype("f4")), (classifier(), X[:3].astype("f4"))):
        before, found = x.copy(), model.predict(x)
        again = model.predict(x)
        found[...] = -1
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(model.predict(x), again)


def test_several_threads_may_predict_at_once():
    model = classifier()
    parts = [RNG.normal(size=(count, 5)).astype("f4") for count in (1, 2, 30, 400) * 5]
    expected = [model.predict(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict, parts * 10))
    for one, other in zip(found, expected * 10, strict=True):
        np.testing.assert_array_equal(one, other)


WRONG = {
    "missing": np.where(np.eye(3, 5) > 0, np.nan, 1.0),
    "infinite": np.where(np.eye(3, 5) > 0, np.inf, 1.0),
    "too large": np.full((2, 5), 1e39),
    "other columns": np.zeros((2, 4)),
    "one row": np.zeros(5),
    "text": np.full((2, 5), "a"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_rows_are_refused_as_in_general(wrong):
    model, x = classifier(), WRONG[wrong]
    with pytest.raises(DataError) as quickly:
        model.predict(x)
    with pytest.raises(DataError) as general:
        in_general(model, x)
    assert str(quickly.value) == str(general.value)
    assert (
        "row" in str(quickly.value)
        or "shape" in str(quickly.value)
        or "column" in str(quickly.value)
    )


def test_predictions_that_are_not_finite_are_refused():
    model = classifier()
    model.parameters["layers/1/bias"] = [np.nan, 0, 0]
    for count in (1, 50):
        with pytest.raises(DataError, match="the data, row 0: the prediction is not finite"):
            model.predict(X[:count])


def test_suspicious_rows_are_reported():
    with pytest.warns(DataDriftWarning, match="far outside the range"):
        table().predict(np.full((1, 3), 1e4))


@pytest.mark.parametrize("scaling", ["none", "min_max", "robust", "robust_clipped", "power"])
def test_numbers_are_scaled_as_in_general(scaling, tmp_path):
    model, x = of_file(tmp_path / "rows.csv", scaling=scaling), X[:3, :3]
    np.testing.assert_array_equal(model.predict(x), in_general(model, x))


@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
def test_missing_values_are_imputed_as_in_general(tmp_path):
    model, x = of_file(tmp_path / "rows.csv", missing="impute"), X[:3, :3].copy()
    x[1, 2] = np.nan
    np.testing.assert_array_equal(model.predict(x), in_general(model, x))


def test_no_rows_and_lists_go_the_general_way():
    model = classifier()
    assert model.predict(X[:0]).shape == (0, 3)
    np.testing.assert_array_equal(model.predict(X[:2].tolist()), model.predict(X[:2]))


def test_passes_through_many_rows_keep_their_arrays_unless_these_are_large(monkeypatch):
    model, x = classifier(), RNG.normal(size=(3000, 5)).astype("f4")
    expected = model.predict(x)
    (kept,) = model.network._passes._idle
    assert 0 < kept.workspace.nbytes <= prediction.MAX_KEPT_BYTES
    np.testing.assert_array_equal(model.predict(x), expected)
    assert model.network._passes._idle == [kept]
    assert pickle.loads(pickle.dumps(model)).network._passes._idle == []
    monkeypatch.setattr(prediction, "MAX_KEPT_BYTES", kept.workspace.nbytes)
    np.testing.assert_array_equal(model.predict(x[:2500]), model.predict(x[:2500].copy()))
    assert model.network._passes._idle == []
    model.network.kernels = Kernels()
    model.network._passes._idle.append(kept)
    model.predict(x[:1500])
    assert kept not in model.network._passes._idle


def test_predictions_use_the_kernels_that_a_network_has_now():
    class Doubling(Kernels):
        def softmax(self, x, scratch):
            super().softmax(x, scratch)
            np.multiply(x, 2, out=x)

    model = classifier()
    first = [model.predict(X[:count]) for count in (1, 50)]
    model.network.kernels = Doubling()
    for before, count in zip(first, (1, 50), strict=True):
        np.testing.assert_array_equal(model.predict(X[:count]), 2 * before)
