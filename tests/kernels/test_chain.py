"""Steps of chains of dense layers in one call of compiled kernels, compared with those by layer."""

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError
from nnreg.builtin.kernels import numba_threaded_chain
from nnreg.builtin.kernels.numba_chain import ACTIVATIONS
from nnreg.testing.finite_differences import central_difference
from nnreg.training import parallelism
from tests.training.test_denormals import model_of as one_value
from tests.training.test_trainer import assert_identical

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")


@pytest.fixture(autouse=True, params=["on one core", "in three threads"])
def threads(request, monkeypatch):
    """Let threads share the steps, or not: otherwise only those of wide layers are shared."""
    if request.param == "in three threads":
        monkeypatch.setattr(parallelism, "MIN_FLOPS_FOR_THREADS", 0)
        monkeypatch.setattr(parallelism, "available_threads", lambda: 3)
        monkeypatch.setattr(numba_threaded_chain, "MIN_FLOPS_PER_THREAD", 1)


LABELS = "cross_entropy"


def layer(units, activation="identity", **options):
    return {"type": "dense", "units": units, "activation": activation, **options}


SOFTMAX = layer("classes", "softmax")
LAYERS = (layer(5, "tanh"), SOFTMAX)


def data_for(loss, rows=30, features=3):
    """Return inputs and targets as a loss takes them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features))
    if loss == LABELS:
        return x, (np.arange(rows) + (x[:, 0] > 0)) % 3
    if loss == "binary_cross_entropy":
        return x, np.where(x[:, 0] + rng.normal(size=rows) > 0, "yes", "no")
    return x, rng.normal(size=(rows, 2)) + x[:, :1]


def model_of(kernels, loss=LABELS, layers=LAYERS, dtype="float64", members=1, **options):
    """Return a model, and the rows of its data."""
    train = {"batch_size": 7, "epochs": 3, "kernels": kernels, **options.pop("train", {})}
    spec = {"optimizer": {"type": "adam", "learning_rate": 0.02}, "loss": loss, **options}
    model = {"layers": list(layers), "dtype": dtype, "members": members}
    spec |= {"model": model, "train": train}
    name = loss if isinstance(loss, str) else loss["type"]
    x, y = data_for(name)
    return nnreg.build(spec, data=(x, y)), x, y


def trainer_of(kernels, weights=None, validation=False, **options):
    """Return a model and its trainer, which has a compiled chain with Numba only."""
    model, x, y = model_of(kernels, **options)
    train = model.with_sample_weights(model.examples(x, y, training=True), x, weights)
    held_out = model.examples(x[:9], y[:9]) if validation else None
    trainer = model.trainer(train, held_out)
    assert (trainer._chain is not None) == (kernels == "numba")
    several = model.network.members > 1 or trainer.settings.clip_norm is not None
    shared = kernels == "numba" and parallelism.MIN_FLOPS_FOR_THREADS == 0 and not several
    assert trainer.division.chain == shared
    return model, trainer


def compare(tolerance=1e-11, **options):
    """Train by layer and as a chain, and require the same numbers."""
    (plain, first), (model, second) = (trainer_of(k, **options) for k in ("numpy", "numba"))
    for expected, found in zip(first.epochs(), second.epochs(), strict=True):
        assert found.keys() == expected.keys()
        assert list(found.values()) == pytest.approx(list(expected.values()), rel=tolerance)
    scale = np.abs(plain.network.vector).max()
    np.testing.assert_allclose(model.network.vector, plain.network.vector, atol=tolerance * scale)
    for name, vector in plain.training_state.optimizer_state.items():
        found = model.training_state.optimizer_state[name]
        np.testing.assert_allclose(found, vector, atol=tolerance * (np.abs(vector).max() + 1e-9))
    assert model.training_state.step == plain.training_state.step
    norms = first.gradient_norms()
    assert second.gradient_norms() == pytest.approx(norms, rel=100 * tolerance)


def output_for(loss, activation):
    if loss == LABELS:
        return SOFTMAX
    if loss == "binary_cross_entropy":
        return layer(1, "sigmoid")
    return layer(2, activation)


@pytest.mark.parametrize("activation", [one.__name__.lower() for one in ACTIVATIONS])
@pytest.mark.parametrize(
    "loss",
    [LABELS, {"type": LABELS, "label_smoothing": 0.2}, "binary_cross_entropy",
     {"type": "binary_cross_entropy", "label_smoothing": 0.1}, "mean_squared_error",
     "mean_absolute_error", {"type": "huber", "delta": 0.3}],
    ids=lambda one: one if isinstance(one, str) else f"{one['type']} with an option",
)  # fmt: skip
def test_every_loss_and_activation(loss, activation):
    activation = {"leakyrelu": {"type": "leaky_relu", "slope": 0.2}}.get(activation, activation)
    last = output_for(loss if isinstance(loss, str) else loss["type"], activation)
    compare(loss=loss, layers=[layer(5, activation), layer(4, activation, bias=False), last])


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", {"type": "sgd", "momentum": 0.8}, {"type": "sgd", "momentum": 0.8, "nesterov": True},
     {"type": "rmsprop", "rho": 0.8, "epsilon": 1e-3}, {"type": "adam", "beta1": 0.7},
     {"type": "adamw", "weight_decay": 0.3, "epsilon": 1e-4}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("schedule", [None, "cosine", "step"])
def test_every_optimizer_and_schedule(optimizer, schedule):
    named = {} if schedule is None else {"schedule": SCHEDULES[schedule]}
    compare(optimizer=optimizer, **named)


SCHEDULES = {"cosine": "cosine", "step": {"type": "step", "every": 1, "decay": 0.5}}


@pytest.mark.parametrize(
    "train",
    [{"l1": 0.01}, {"l2": 0.01}, {"weight_decay": 0.1}, {"clip_norm": 0.1}, {"clip_norm": 100.0},
     {"clip_value": 0.01}, {"l1": 0.1, "l2": 0.1, "weight_decay": 0.5, "clip_norm": 0.2,
      "clip_value": 0.05}, {"shuffle": False}],
    ids=str,
)  # fmt: skip
def test_every_setting(train):
    compare(train=train, layers=[layer(5, "relu"), layer(4, "sigmoid", bias=False), SOFTMAX])


@pytest.mark.parametrize("batch_size", [1, 2, 8, 15, 16, 17, 29, 30, 100])
def test_batches_of_every_size(batch_size):
    compare(train={"batch_size": batch_size})


@pytest.mark.parametrize("units", [(1,), (2, 1), (3, 5), (4,), (9, 7, 8), (17, 33), (64, 6)])
def test_layers_of_every_width(units):
    compare(layers=[*(layer(one, "tanh") for one in units), SOFTMAX])


@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
def test_weights_of_examples(loss):
    weights = np.arange(30) % 4
    compare(loss=loss, weights=weights, layers=[layer(5, "relu"), output_for(loss, "identity")])


@pytest.mark.parametrize("batch_size", [7, 30])
def test_dropout_draws_the_same_numbers(batch_size):
    dropout = {"type": "dropout", "rate": 0.4}
    layers = [layer(5, "tanh"), dropout, layer(6, "relu", bias=False), dropout, SOFTMAX]
    compare(layers=layers, train={"batch_size": batch_size})


@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
def test_members_of_an_ensemble(loss, dtype, tolerance):
    dropout = {"type": "dropout", "rate": 0.4}
    layers = [layer(5, "tanh"), dropout, layer(6, "relu", bias=False), output_for(loss, "identity")]
    compare(tolerance, loss=loss, layers=layers, dtype=dtype, members=3, weights=np.arange(30) % 4)


def test_metrics_and_validation():
    compare(metrics=["accuracy", "log_loss"], validation=True)
    compare(loss="mean_squared_error", layers=[layer(2)], metrics=["mean_absolute_error"])
    compare(metrics=["accuracy", "log_loss"], validation=True, members=2)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
def test_single_precision(loss, activation):
    layers = [layer(20, activation), layer(9, activation), output_for(loss, "identity")]
    compare(1e-5, loss=loss, layers=layers, dtype="float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_steps_have_the_same_bits(dtype):
    dropout = {"type": "dropout", "rate": 0.4}
    layers = [layer(5, "tanh"), dropout, SOFTMAX]
    options = {"layers": layers, "dtype": dtype, "train": {"batch_size": 4}}
    model, trainer = trainer_of("numba", **options)
    list(trainer.epochs())
    again, trainer = trainer_of("numba", **options)
    trainer.on_batch = lambda record: None
    list(trainer.epochs())
    assert_identical(model, again)


@pytest.mark.parametrize("where", ["input", "weight"])
def test_values_that_are_not_numbers_are_found(where):
    model, trainer = trainer_of("numba", layers=[layer(5, "relu"), SOFTMAX], dtype="float32")
    if where == "input":
        trainer.train.x[3] = np.nan
    else:
        model.network.vector[-1] = np.inf
    with pytest.raises(DivergedError, match="the loss is not finite"):
        list(trainer.epochs())


@pytest.mark.parametrize("loss", [LABELS, "binary_cross_entropy", "mean_squared_error"])
def test_gradients_are_those_of_central_differences(loss):
    layers = [layer(5, "tanh"), layer(4, "sigmoid", bias=False), output_for(loss, "tanh")]
    model, trainer = trainer_of("numba", loss=loss, layers=layers, train={"batch_size": 30})
    steps, vector, value = trainer._chain._steps, model.network.vector, np.zeros(1)
    still, nothing = np.zeros(1), np.zeros((0, 0))

    def measured():
        assert steps(np.arange(30), np.zeros(0, "f4"), still, 1, value, nothing) == 1
        return value[0]

    measured()
    gradient = trainer._shards.gradient.copy()
    np.testing.assert_allclose(gradient, central_difference(measured, vector), atol=1e-9)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_tiny_values_of_the_optimizer_are_cleared(optimizer):
    half = {"adam": {"beta1": 0.5, "beta2": 0.5}, "rmsprop": {"rho": 0.5}, "sgd": {"momentum": 0.5}}
    settings = {"type": optimizer, **half[optimizer]}
    plain, found = (one_value(140, settings, kernels=k)[0] for k in ("numpy", "numba"))
    rows = one_value(140, settings)[1:]
    for model in (plain, found):
        model.fit(*rows)
    for name, vector in found.training_state.optimizer_state.items():
        assert vector[0] == 0
        expected = plain.training_state.optimizer_state[name]
        np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-9)
