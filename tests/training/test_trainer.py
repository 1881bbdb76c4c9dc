"""The training loop."""

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, SpecError, UsageError
from tests.helpers.specs import blobs, classifier, line, regressor


def trained(spec, data, **kwargs):
    model = nnreg.build(spec, data=data)
    model.fit(*data, **kwargs)
    return model


def assert_identical(first, second):
    assert first.network.vector.tobytes() == second.network.vector.tobytes()
    assert first.network.state_vector.tobytes() == second.network.state_vector.tobytes()
    assert list(first.history) == list(second.history)
    assert (
        first.training_state.optimizer_state.keys() == second.training_state.optimizer_state.keys()
    )
    for name, vector in first.training_state.optimizer_state.items():
        assert vector.tobytes() == second.training_state.optimizer_state[name].tobytes()


def test_the_same_spec_and_seed_give_bit_identical_models():
    data = blobs()
    assert_identical(trained(classifier(), data), trained(classifier(), data))
    other = trained(classifier(seed=1), data)
    assert other.network.vector.tobytes() != trained(classifier(), data).network.vector.tobytes()


def test_training_in_two_calls_is_bit_identical_to_training_in_one():
    data = blobs()
    whole = trained(classifier(), data, epochs=10)
    resumed = trained(classifier(), data, epochs=4)
    resumed.fit(*data, epochs=6)
    assert_identical(whole, resumed)


def test_a_line_is_learned():
    x, y = line()
    model = trained(regressor(), (x, y), epochs=100)
    np.testing.assert_allclose(model.parameters["layers/0/weight"][:, 0], [2, -1], atol=1e-6)
    np.testing.assert_allclose(model.parameters["layers/0/bias"], [1], atol=1e-6)


def test_one_step_of_gradient_descent_is_the_formula():
    x, y = line()
    model = nnreg.build(regressor(), data=(x, y))
    w, b = (model.parameters[f"layers/0/{name}"].copy() for name in ("weight", "bias"))
    error = x @ w[:, 0] + b - y
    spec = {**regressor()["train"], "batch_size": 40}
    model = nnreg.build(regressor(train=spec), data=(x, y))
    model.fit(x, y, epochs=1)
    found = model.parameters["layers/0/weight"][:, 0]
    np.testing.assert_allclose(found, w[:, 0] - 0.1 * 2 / 40 * x.T @ error, rtol=1e-12)
    np.testing.assert_allclose(
        model.parameters["layers/0/bias"], b - 0.1 * 2 / 40 * error.sum(), rtol=1e-12
    )
    assert model.history["loss"][0] == pytest.approx(np.mean(error**2), rel=1e-12)


def test_the_loss_of_an_epoch_is_the_mean_over_examples_not_over_batches():
    x, y = line(41)
    spec = regressor(optimizer={"type": "sgd", "learning_rate": 1e-300})
    spec["train"]["batch_size"] = 20  # the last batch has a single example
    model = nnreg.build(spec, data=(x, y))
    expected = model.evaluate(x, y)["loss"]
    model.fit(x, y, epochs=1)
    assert model.history["loss"][0] == pytest.approx(expected, rel=1e-12)


def test_metrics_are_computed_over_the_whole_set():
    x, y = line(41)
    spec = regressor(optimizer={"type": "sgd", "learning_rate": 1e-300}, metrics=["r2"])
    spec["train"]["batch_size"] = 10
    model = nnreg.build(spec, data=(x, y))
    predicted = model.predict(x)
    model.fit(x, y, epochs=1)
    expected = 1 - np.sum((predicted - y) ** 2) / np.sum((y - y.mean()) ** 2)
    assert model.history["r2"][0] == pytest.approx(expected, rel=1e-12)


def test_every_example_is_seen_once_per_epoch_in_an_order_that_changes():
    seen = []

    x, y = line(10)
    model = nnreg.build(regressor(), data=(x, y))
    forward = model.network.forward

    def record_batch(batch, context):
        seen.append(np.array(batch))
        return forward(batch, context)

    model.network.forward = record_batch
    model.fit(x, y, epochs=2)
    first, second = (np.concatenate(seen[i : i + 1]) for i in (0, 1))
    assert sorted(map(tuple, first)) == sorted(map(tuple, second)) == sorted(map(tuple, x))
    assert first.tolist() != second.tolist()


def test_validation_metrics_are_computed_after_each_epoch():
    x, y = blobs()
    model = nnreg.build(classifier(), data=(x, y))
    model.fit(x[:40], y[:40], validation=(x[40:], y[40:]), epochs=3)
    assert model.history.names == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    metrics = model.evaluate(x[40:], y[40:])
    assert model.history[-1]["val_loss"] == metrics["loss"]
    assert model.history[-1]["val_accuracy"] == metrics["accuracy"]


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_early_stopping_waits_for_its_patience_and_keeps_the_best_weights(monitor):
    x, y = blobs(30)
    train = {"epochs": 500, "early_stopping": {"patience": 5, "monitor": monitor}}
    model = nnreg.build(classifier(train=train), data=(x, y))
    model.fit(x[:20], y[:20], validation=(x[20:], y[20:]))
    column = model.history[monitor]
    best = (np.argmax if monitor == "val_accuracy" else np.argmin)(column)
    assert model.training_state.best_epoch == best + 1
    assert len(model.history) == best + 1 + 5 < 500
    model.use_best()
    assert model.evaluate(x[20:], y[20:])[monitor.removeprefix("val_")] == column[best]


def test_without_validation_the_last_epoch_is_the_best():
    model = trained(classifier(), blobs())
    assert model.training_state.best_epoch == 5


def test_l2_and_l1_move_weights_and_leave_biases():
    x, y = line()
    for option, penalty in (("l2", lambda w: 2 * 0.01 * w), ("l1", lambda w: 0.01 * np.sign(w))):
        settings = {**regressor()["train"], "batch_size": 40}
        base = nnreg.build(regressor(train=settings), data=(x, y))
        start = base.parameters["layers/0/weight"].copy()
        base.fit(x, y, epochs=1)
        penalized = trained(regressor(train={**settings, option: 0.01}), (x, y), epochs=1)
        difference = base.parameters["layers/0/weight"] - penalized.parameters["layers/0/weight"]
        np.testing.assert_allclose(difference, 0.1 * penalty(start), rtol=1e-9)
        np.testing.assert_array_equal(
            base.parameters["layers/0/bias"], penalized.parameters["layers/0/bias"]
        )


@pytest.mark.parametrize(("option", "limit"), [("clip_norm", 0.01), ("clip_value", 0.001)])
def test_clipping_limits_the_step(option, limit):
    x, y = line()
    settings = {"epochs": 1, "batch_size": 40, option: limit}
    model = nnreg.build(regressor(train=settings), data=(x, y))
    before = model.network.vector.copy()
    model.fit(x, y)
    step = (before - model.network.vector) / 0.1
    size = np.linalg.norm(step) if option == "clip_norm" else np.abs(step).max()
    assert size == pytest.approx(limit, rel=1e-9)


class TestDivergence:
    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
    def test_a_gradient_whose_square_overflows_is_reported_or_clipped(self, optimizer):
        x, y = np.full((64, 1), 1e21), np.linspace(0, 1, 64)
        layers = [{"type": "dense", "units": 1, "initializer": "zeros", "bias": False}]
        spec = regressor(
            model={"layers": layers},
            loss="mean_absolute_error",
            optimizer={"type": optimizer, "learning_rate": 1e-22},
        )
        with pytest.raises(DivergedError, match=r"epoch 1, batch 2: the optimizer's .*clip_norm"):
            nnreg.build(spec, data=(x, y)).fit(x, y)
        clipped = nnreg.build({**spec, "train": {"epochs": 5, "clip_norm": 1.0}}, data=(x, y))
        clipped.fit(x, y)
        assert 5e-22 < clipped.network.vector[0] < 5e-21

    def diverging(self, **changes):
        spec = regressor(optimizer={"type": "sgd", "learning_rate": 1e200}, **changes)
        layers = [{"type": "dense", "units": 3}, {"type": "dense", "units": 1}]
        spec["model"] = {"layers": layers, "dtype": "float64"}
        return nnreg.build(spec, data=line())

    def test_the_error_names_epoch_batch_and_layer_and_suggests_a_fix(self):
        model = self.diverging()
        with pytest.raises(DivergedError) as caught:
            model.fit(*line())
        assert str(caught.value).startswith("epoch 1, batch 2: the loss is not finite; first non-")
        assert "first non-finite value in the output of layers/1." in str(caught.value)
        assert "Lower optimizer.learning_rate" in str(caught.value)

    def test_the_weights_of_the_last_finite_epoch_are_restored(self):
        x, y = line()
        momentum = {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}
        in_order = {"batch_size": 10, "shuffle": False}
        model = nnreg.build(regressor(optimizer=momentum, train=in_order), data=(x, y))
        model.fit(x, y, epochs=2)
        weights, velocity = (
            model.network.vector.copy(),
            model.training_state.optimizer_state["velocity"].copy(),
        )
        y[-1] = 1e200
        with pytest.raises(DivergedError, match="epoch 3, batch 4"):
            model.fit(x, y, epochs=1)
        np.testing.assert_array_equal(model.network.vector, weights)
        np.testing.assert_array_equal(model.training_state.optimizer_state["velocity"], velocity)
        assert model.training_state.epoch == len(model.history) == 2

    def test_the_first_non_finite_gradient_is_named(self):
        x, y = line()
        model = nnreg.build(regressor(), data=(x, y))
        layer = model.network.plan.children["layers/0"][0]
        forward = type(layer).forward

        class NonFinite(type(layer)):
            def forward(self, x, context):
                y, backward = forward(self, x, context)

                def with_nan(dy):
                    dx = backward(dy)
                    context.gradients["weight"][0] = np.nan
                    return dx

                return y, with_nan

        model.network.layers["layers/0"] = NonFinite(**vars(layer))
        with pytest.raises(DivergedError, match="the gradient of layers/0 in the previous step"):
            model.fit(x, y)

    def test_a_non_finite_validation_loss_stops_the_training(self):
        x, y = line()
        model = nnreg.build(regressor(), data=(x, y))
        with pytest.raises(DivergedError, match="the validation loss is not finite"):
            model.fit(x, y, validation=(x * 1e200, y))


def test_a_steady_step_reuses_its_arrays():
    x, y = blobs()
    model = nnreg.build(classifier(metrics=[]), data=(x, y))
    examples = model.examples(x, y)
    from nnreg.training.trainer import Trainer

    trainer = Trainer(
        model.network, model.evaluation, model.spec.optimizer, model.spec.train, examples
    )
    epochs = trainer.epochs()
    next(epochs)
    before = {
        key: id(array) for key, array in next(iter(trainer._shards)).workspace._buffers.items()
    }
    next(epochs)
    assert {
        key: id(array) for key, array in next(iter(trainer._shards)).workspace._buffers.items()
    } == before


def test_early_stopping_needs_the_metric_it_monitors():
    x, y = blobs()
    model = nnreg.build(classifier(train={"early_stopping": {}}), data=(x, y))
    with pytest.raises(
        UsageError,
        match="early stopping monitors 'val_loss', but there is no validation split; add",
    ):
        model.fit(x, y)
    monitored = {"early_stopping": {"monitor": "loss"}, "epochs": 3}
    assert len(trained(classifier(train=monitored), (x, y)).history) == 3


def normalized(layers, size, rows, **train):
    """Return a model with these layers, and its examples."""
    x, y = line(rows)
    layers = [*layers, {"type": "dense", "units": 1}]
    settings = {"epochs": 2, "batch_size": size, **train}
    model = nnreg.build(regressor(model={"layers": layers}, train=settings), data=(x, y))
    return model, (x, y)


@pytest.mark.parametrize(
    ("size", "rows", "fix"),
    [
        (32, 33, "set it to 33"),
        (1, 33, "set it to 3,"),
        (4, 5, "set it to 5"),
        (32, 1, "add training rows"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_batch_norm_is_not_trained_on_a_single_row(size, rows, fix, nested):
    layer = {"type": "batch_norm"}
    layers = [{"type": "residual", "layers": [layer]} if nested else layer]
    model, data = normalized(layers, size, rows)
    before = model.network.vector.copy()
    with pytest.raises(SpecError, match=rf"batch_size: found {size}, .*layers\[0\].*{fix}"):
        model.fit(*data)
    np.testing.assert_array_equal(model.network.vector, before)


def test_batch_norm_is_trained_where_each_batch_has_several_values_per_feature():
    for size, rows in ((32, 34), (33, 33), (100, 2)):
        model, data = normalized([{"type": "batch_norm"}], size, rows)
        model.fit(*data)
    frozen = normalized([{"type": "batch_norm"}], 32, 33, freeze=["layers/0"])
    frozen[0].fit(*frozen[1])
    pictures = np.random.default_rng(0).normal(size=(3, 2, 2, 1))
    layers = [{"type": "batch_norm"}, {"type": "flatten"}, {"type": "dense", "units": 1}]
    data = (pictures, np.arange(3.0))
    spec = regressor(model={"layers": layers}, train={"epochs": 1, "batch_size": 2})
    nnreg.build(spec, data=data).fit(*data)


@pytest.mark.parametrize(
    ("units", "threads", "expected"),
    [(8, None, 1), (1_000, None, None), (8, 2, 1), (1_000, 1, 1), (1_000, 3, 3)],
)
def test_the_number_of_threads_depends_on_the_largest_matrix_product(units, threads, expected):
    x, y = blobs()
    layers = [*[{"type": "dense", "units": units}] * 2, classifier()["model"]["layers"][-1]]
    spec = classifier(model={"layers": layers}, train={"threads": threads})
    model = nnreg.build(spec, data=(x, y))
    assert model.trainer(model.examples(x, y)).threads == expected


def test_threads_can_be_limited():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    from nnreg._utils.threads import blas_threads

    with blas_threads(1):
        counts = {info["num_threads"] for info in threadpoolctl.threadpool_info()
                  if info["user_api"] == "blas"}  # fmt: skip
    assert counts <= {1}


def test_layer_state_that_overflows_is_divergence_and_not_kept():
    x, y = blobs()
    spec = classifier(model={"layers": ["batch_norm", *classifier()["model"]["layers"]]})
    model = nnreg.build(spec, data=(x * 1e30, y))
    with pytest.raises(DivergedError, match="first non-finite value in the state of layers/0"):
        model.fit(x * 1e30, y)
    assert np.isfinite(model.network.state_vector).all()
