"""Predictions of chains of dense layers in one call of compiled kernels, against NumPy's."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnreg
from nnreg.builtin.activations import Softmax
from nnreg.errors import DataError
from nnreg.network import chain_prediction
from nnreg.network.chain_prediction import ChainPrediction
from nnreg.network.network import Network

pytest.importorskip("numba")

RNG = np.random.default_rng(0)
CLOSE = {"float32": 1e-5, "float64": 1e-12}


def built(layers, features, target, *, kernels="numba", dtype="float32", loss="mean_squared_error"):
    spec = {
        "model": {"layers": layers, "dtype": dtype},
        "loss": loss,
        "optimizer": "adam",
        "seed": 3,
        "train": {"kernels": kernels},
    }
    x = RNG.normal(size=(12, features))
    model = nnreg.build(spec, data=(x, target))
    model.network.vector[...] = np.random.default_rng(1).normal(0, 0.4, model.network.vector.size)
    return model


def dense(units, activation="identity", **options):
    return {"type": "dense", "units": units, "activation": activation, **options}


SOFTMAX = dense("classes", "softmax")
CLASSES = np.arange(12) % 3
NUMBERS = RNG.normal(200, 30, 12)
CHAINS = {
    "relu": ([dense(7, "relu"), dense(5, "relu"), SOFTMAX], 6, CLASSES, "cross_entropy"),
    "one layer": ([SOFTMAX], 9, CLASSES, "cross_entropy"),
    "one feature": ([dense(33, "tanh"), SOFTMAX], 1, CLASSES, "cross_entropy"),
    "no bias": ([dense(5, "relu", bias=False), dense(1)], 4, NUMBERS, "mean_squared_error"),
    "numbers": (
        [dense(16, {"type": "leaky_relu", "slope": 0.2}), {"type": "dropout"}, dense(1)],
        5, NUMBERS, "mean_squared_error",
    ),
    "sigmoid": (
        [dense(3, "sigmoid"), dense(1, "sigmoid")], 17, CLASSES % 2, "binary_cross_entropy",
    ),
}  # fmt: skip


@pytest.fixture
def in_one_call(monkeypatch):
    """Let only the compiled function predict."""

    def refuse(*arguments):
        raise AssertionError("the layers were run")

    monkeypatch.setattr(ChainPrediction, "outputs", refuse)
    monkeypatch.setattr(Network, "predict", refuse)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("name", CHAINS)
def test_one_call_predicts_what_the_layers_do(name, dtype, request):
    layers, features, target, loss = CHAINS[name]
    plain, compiled = (
        built(layers, features, target, kernels=kernels, dtype=dtype, loss=loss)
        for kernels in ("numpy", "numba")
    )
    parts = [RNG.normal(size=(rows, features)).astype(dtype) for rows in (1, 2, 5)]
    expected = np.concatenate([plain.predict(x) for x in parts])
    request.getfixturevalue("in_one_call")
    found = np.concatenate([compiled.predict(x) for x in parts])
    tolerance = CLOSE[dtype] * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, CLOSE[dtype], tolerance)


def test_many_weights_are_left_to_the_blas(monkeypatch):
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    x = RNG.normal(size=(2, 6)).astype("f4")
    size = model.network.vector.size
    monkeypatch.setattr(chain_prediction, "MAX_COMPILED_WEIGHTS", size - 1)
    chain = ChainPrediction(model.network)
    assert chain.in_one_call(x) is None
    monkeypatch.setattr(chain_prediction, "MAX_COMPILED_WEIGHTS", size)
    found = ChainPrediction(model.network).in_one_call(x)
    np.testing.assert_allclose(found, chain.outputs(x), 1e-5, 1e-6)


WIDE = [dense(16, "relu"), dense(33, "tanh"), dense(80, "relu"), dense(300, "relu"), SOFTMAX]
"""Widths below, at and above those of tiles of one, two and eight vectors."""


@pytest.mark.parametrize("dtype", CLOSE)
def test_outputs_do_not_depend_on_the_other_rows(dtype, in_one_call):
    model = built(WIDE, 5, CLASSES, dtype=dtype, loss="cross_entropy")
    x = RNG.normal(size=(101, 5)).astype(dtype)
    whole = model.predict(x)
    for rows in (1, 2, 3, 4, 5, 11, 12, 13, 23, 47, 48, 49, 96, 97):
        np.testing.assert_array_equal(model.predict(x[:rows]), whole[:rows])
        np.testing.assert_array_equal(model.predict(x[-rows:]), whole[-rows:])


@pytest.mark.parametrize("dtype", CLOSE)
def test_outputs_of_many_rows_are_those_of_the_layers(dtype):
    model = built(WIDE, 5, CLASSES, dtype=dtype, loss="cross_entropy")
    x = RNG.normal(size=(101, 5)).astype(dtype)
    found, expected = ChainPrediction(model.network).in_one_call(x), model.network.predict(x)
    np.testing.assert_allclose(found, expected, CLOSE[dtype], CLOSE[dtype])


def test_threads_share_many_rows(monkeypatch):
    monkeypatch.setattr(chain_prediction, "MIN_SHARED_PRODUCTS", 1)
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    chain, x = ChainPrediction(model.network), RNG.normal(size=(59, 6)).astype("f4")
    found = []
    for chain._threads in (1, 3, 70):
        found.append(chain.in_one_call(x))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    x[40, 2] = np.inf
    assert chain.in_one_call(x) is None


def test_weights_and_rows_that_cannot_be_written_are_read(in_one_call):
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    x = RNG.normal(size=(2, 6)).astype("f4")
    before = model.predict(x)
    x.flags.writeable = False
    np.testing.assert_array_equal(model.predict(x), before)
    model.network.vector[...] = 0
    np.testing.assert_allclose(model.predict(x), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_as_in_general(value):
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    x = np.zeros((2, 6), "f4")
    x[1, 4] = value
    with pytest.raises(DataError, match="the data, row 1"):
        model.predict(x)
    model.parameters["layers/2/bias"] = np.nan
    with pytest.raises(DataError, match="the data, row 0: the prediction is not finite"):
        model.predict(np.zeros((2, 6), "f4"))


def test_several_threads_may_call_it(in_one_call):
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    rows = [RNG.normal(size=(1, 6)).astype("f4") for _ in range(20)]
    expected = [model.predict(row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(model.predict, rows * 20))
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected * 20))


def test_inputs_that_are_not_finite_are_seen_where_no_output_shows_them():
    model = built(*CHAINS["relu"][:3], loss="cross_entropy")
    model.parameters["layers/0/weight"] = 1
    x = np.full((1, 6), -np.inf, "f4")
    assert ChainPrediction(model.network).in_one_call(x) is None
    with pytest.raises(DataError, match="the data, row 0"):
        model.predict(x)


@pytest.mark.parametrize("dtype", CLOSE)
def test_large_scores_have_the_softmax_of_their_differences(dtype):
    model = built([dense(3)], 3, RNG.normal(size=(12, 3)), dtype=dtype)
    model.network.output_activation = Softmax()
    model.network.vector[:] = np.append(np.eye(3), np.zeros(3))
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e30, 0, 1], [3e4, 0, 3e4]], dtype)
    expected = Softmax().forward(x)[0]
    np.testing.assert_allclose(
        ChainPrediction(model.network).in_one_call(x), expected, CLOSE[dtype]
    )
