"""Ensembles: members train as they would alone, and predict their mean."""

import numpy as np
import pytest

import nnreg
from nnreg.network.ensemble import Ensemble

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
NUMBERS = 5 + 3 * X[:, 0] - X[:, 1]
CLASSES = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], (-0.5, 0.5))]
HIDDEN = {"type": "dense", "units": 5, "activation": "tanh"}
TASKS = {
    "numbers": (NUMBERS, {"type": "dense", "units": 1}, "mean_squared_error"),
    "classes": (
        CLASSES,
        {"type": "dense", "units": "classes", "activation": "softmax"},
        "cross_entropy",
    ),
}


def build(task, members, hidden=(HIDDEN,), *, optimizer="adam", **changes):
    target, last, loss = TASKS[task]
    document = {
        "model": {"layers": [*hidden, last], "members": members, "dtype": "float64"},
        "loss": loss,
        "optimizer": optimizer,
        "train": {"epochs": 3, "batch_size": 16, **changes},
    }
    return nnreg.build(document, data=(X, target))


def alone(task, ensemble, index, *arguments, **changes):
    """Return a network with the initial weights of a member."""
    model = build(task, 1, *arguments, **changes)
    model.network.vector[...] = ensemble.network.member(index).vector
    return model


def fit(model, task):
    return model.fit(X, TASKS[task][0])


def mean_difference(a, b):
    return np.max(np.abs(np.asarray(a) - np.asarray(b)))


@pytest.mark.parametrize("optimizer", [{"type": "sgd", "learning_rate": 0.1}, "adam"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"l2": 0.01, "weight_decay": 0.1, "ema": 0.9}, {"accumulate": 2}, {"shards": 2}],
)
def test_members_train_as_networks_alone(task, optimizer, settings):
    changes = {"optimizer": optimizer, **settings}
    ensemble = build(task, 3, **changes)
    members = [alone(task, ensemble, index, **changes) for index in range(3)]
    history = fit(ensemble, task)
    losses = [fit(member, task)[-1]["loss"] for member in members]
    for index, member in enumerate(members):
        found = ensemble.network.member(index).vector
        assert np.allclose(found, member.network.vector, rtol=1e-12, atol=1e-13)
    assert history[-1]["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    predictions = np.mean([member.predict(X) for member in members], axis=0)
    assert np.allclose(ensemble.predict(X), predictions, rtol=1e-12)


def test_the_first_member_starts_as_a_single_network():
    ensemble, single = build("numbers", 3), build("numbers", 1)
    first, second = (ensemble.network.member(index).vector for index in (0, 1))
    assert np.array_equal(first, single.network.vector)
    assert mean_difference(first, second) > 0.1


@pytest.mark.parametrize("task", TASKS)
def test_evaluation_is_that_of_the_mean_prediction(task):
    model = build(task, 3)
    found, y = model.evaluate(X, TASKS[task][0])["loss"], model.predict(X)
    if task == "numbers":
        expected = np.mean((y - NUMBERS) ** 2)
    else:
        rows = [list(model.classes).index(name) for name in CLASSES]
        expected = -np.mean(np.log(y[np.arange(len(y)), rows]))
    assert found == pytest.approx(expected, rel=1e-6)


def test_all_members_run_at_once_or_one_after_the_other_with_the_same_result():
    model = build("classes", 3)
    network = model.network
    assert isinstance(network, Ensemble)
    found = []
    for stacked in (True, False):
        gradient = np.zeros_like(network.vector)
        context = network.context(network.workspace(reuse=True), gradient, input_gradient=True)
        assert context.stacked is not None
        if not stacked:
            context.stacked = None
        z, backward = network.forward(X, context)
        dx = backward(np.cos(np.arange(float(z.size))).reshape(z.shape))
        found.append((z.copy(), dx, gradient))
    for one, other in zip(*found, strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "hidden", [(HIDDEN,), (HIDDEN, {"type": "layer_norm"})], ids=["stacked", "one by one"]
)
@pytest.mark.parametrize("task", TASKS)
def test_the_gradients_agree_with_central_differences(task, hidden):
    model = build(task, 3, hidden)
    network, target = model.network, TASKS[task][0]
    examples = model.examples(X, target)
    network.vector[...] += 0.1 * np.sin(np.arange(network.vector.size))
    gradient = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=False), gradient)

    def loss():
        z, backward = network.forward(examples.x, context)
        value, loss_backward = model.evaluation.loss_of(z, examples.targets, context)
        backward(loss_backward())
        return value

    loss()
    found, values = gradient.copy(), network.vector.copy()
    for index in range(0, len(values), 7):
        pair = []
        for step in (1e-5, -1e-5):
            network.vector[index] = values[index] + step
            pair.append(loss())
        network.vector[index] = values[index]
        expected = 3 * (pair[0] - pair[1]) / 2e-5  # of the sum; the loss is the mean
        assert found[index] == pytest.approx(expected, rel=1e-5, abs=1e-8)
