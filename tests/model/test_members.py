"""Ensembles: members train as they would alone, and predict their mean."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

import nnreg
from nnreg.model.compatibility import refuse_incompatible
from nnreg.network.ensemble import Ensemble
from nnreg.network.stacked import stackable
from nnreg.reports.network_diagram import boxes_of
from nnreg.spec.document import read_spec
from tests.helpers.trained import require_resumed_in_mid_epoch, require_saved_and_resumed
from tests.helpers.work import calls

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


class Ones:
    """A generator whose numbers do not depend on their order: dropout keeps every value."""

    def random(self, shape, dtype):
        return np.ones(shape, dtype)


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


RESIDUAL = {
    "type": "residual",
    "layers": [HIDDEN, {"type": "dropout"}, {"type": "dense", "units": 5}],
}
BRANCHES = {
    "type": "stack",
    "layers": [
        {**HIDDEN, "name": "a"},
        {"type": "dense", "units": 5, "name": "b"},
        {"type": "multiply", "inputs": ["a", "b"], "name": "c"},
        {"type": "concat", "inputs": ["c", "a"], "axis": 0},
    ],
}
STACKED = {
    "dense": [HIDDEN],
    "residual": [HIDDEN, RESIDUAL],
    "graph": [HIDDEN, BRANCHES],
    "repeated": [HIDDEN, {"type": "stack", "times": 2, "layers": [HIDDEN]}],
    "batch norm": [HIDDEN, {"type": "batch_norm"}],
    "activation": [{"type": "flatten"}, HIDDEN, {"type": "activation", "activation": "softmax"}],
    "parameters": [{**HIDDEN, "activation": "prelu"}, HIDDEN],
    "layer norm": [HIDDEN, {"type": "layer_norm"}],
    "in a residual": [HIDDEN, {"type": "residual", "layers": [{"type": "rms_norm"}, HIDDEN]}],
}


@pytest.mark.parametrize("hidden", STACKED.values(), ids=STACKED)
@pytest.mark.parametrize("training", [False, True])
def test_all_members_run_at_once_or_one_after_the_other_with_the_same_result(hidden, training):
    model = build("classes", 3, [{**HIDDEN, "name": "first"}, *hidden, HIDDEN])
    require_same_one_by_one(model.network, X, training=training)


def require_same_one_by_one(network, x, *, training):
    """Require scores, gradients and buffers of all members at once to be those of each."""
    assert isinstance(network, Ensemble)
    network.vector[...] += 0.1 * np.sin(np.arange(network.vector.size))
    start, found = network.vector.copy(), []
    for stacked in (True, False):
        gradient, workspace = np.zeros_like(network.vector), network.workspace(reuse=True)
        workspace.rng = Ones()
        context = network.context(workspace, gradient, training=training, input_gradient=True)
        assert context.stacked is not None
        if not stacked:
            context.stacked = None
        z, backward = network.forward(x, context)
        dx = backward(np.cos(np.arange(float(z.size))).reshape(z.shape))
        found.append((z.copy(), dx, gradient, network.state_vector.copy()))
        network.initialize(0)
        network.vector[...] = start
    for one, other in zip(*found, strict=True):
        if one is None or other is None:  # integers have no gradient
            assert one is other
        else:
            assert np.allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("training", [False, True])
def test_embeddings_of_all_members_run_at_once(training):
    table = {"a": X[:, 0], "kind": CLASSES, "b": X[:, 1], "size": np.array(["S", "L"] * 20)}
    document = {
        "data": {
            "source": "csv",
            "path": "data.csv",
            "target": "target",
            "columns": {"kind": "index", "size": "index"},
        },
        "model": {
            "layers": ["column_embedding", HIDDEN, TASKS["numbers"][1]],
            "members": 3,
            "dtype": "float64",
        },
        "loss": "mean_squared_error",
        "optimizer": "adam",
    }
    model = nnreg.build(document, data=(table, NUMBERS))
    x = model.examples(table, NUMBERS).x
    require_same_one_by_one(model.network, x, training=training)


def test_a_first_embedding_of_all_members_runs_at_once():
    x, y = KINDS["embedding"][2:]
    model = nnreg.build(document_of("embedding", 3), data=(x, y))
    assert stackable(model.network.member(0))
    require_same_one_by_one(model.network, model.examples(x, y).x, training=True)


@pytest.mark.parametrize(
    "hidden", [(HIDDEN,), (HIDDEN, {"type": "rms_norm"})], ids=["stacked", "one by one"]
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


SEQUENCES = np.sin(np.arange(40 * 6 * 2.0)).reshape(40, 6, 2)
LENGTHS = 1 + np.arange(40) % 6
IMAGES = np.cos(np.arange(40 * 36.0)).reshape(40, 6, 6, 1)
TOKENS = np.arange(160).reshape(40, 4) % 7
TWO_OUTPUTS = {
    "layers": [
        {**HIDDEN, "name": "trunk"},
        {"type": "dense", "units": 1, "name": "price"},
        {**TASKS["classes"][1], "inputs": "trunk", "name": "style"},
    ],
    "loss": {"price": {"type": "huber", "weight": 0.5}, "style": "cross_entropy"},
    "metrics": {"style": ["accuracy"], "price": ["r2"]},
}
ONE_LAST, LOSS = {"type": "dense", "units": 1}, "mean_squared_error"
KINDS = {
    "dropout": ([HIDDEN, {"type": "dropout", "rate": 0.3}, ONE_LAST], LOSS, X, NUMBERS),
    "batch norm": ([HIDDEN, {"type": "batch_norm"}, ONE_LAST], LOSS, X, NUMBERS),
    "graph": (
        [{**HIDDEN, "name": "a"}, {"type": "concat", "inputs": ["a", "input"]}, ONE_LAST],
        LOSS,
        X,
        NUMBERS,
    ),
    "convolution": (
        [{"type": "conv2d", "filters": 2, "kernel": 3}, {"type": "flatten"}, ONE_LAST],
        LOSS,
        IMAGES,
        NUMBERS,
    ),
    "embedding": (
        [{"type": "embedding", "vocabulary": 7, "units": 3}, {"type": "flatten"}, ONE_LAST],
        LOSS,
        TOKENS,
        NUMBERS,
    ),
    "recurrent": ([{"type": "gru", "units": 3}, ONE_LAST], LOSS, SEQUENCES, NUMBERS),
    "masks": (
        [{"type": "gru", "units": 3}, ONE_LAST],
        LOSS,
        nnreg.Padded(SEQUENCES * (np.arange(6) < LENGTHS[:, None])[..., None], LENGTHS),
        NUMBERS,
    ),
    "two inputs": (  # read by a layer with parameters and by one without
        [
            {**HIDDEN, "inputs": "a", "name": "c"},
            {"type": "concat", "inputs": ["c", "b"]},
            ONE_LAST,
        ],
        LOSS,
        {"a": X, "b": X[:, :2]},
        NUMBERS,
    ),
    "two inputs, of tokens": (
        [
            {"type": "embedding", "vocabulary": 7, "units": 3, "inputs": "a"},
            {"type": "flatten", "name": "c"},
            {"type": "concat", "inputs": ["c", "b"]},
            ONE_LAST,
        ],
        LOSS,
        {"a": TOKENS, "b": X[:, :2]},
        NUMBERS,
    ),
    "labels": (
        [HIDDEN, {"type": "dense", "units": 1, "activation": "sigmoid"}],
        "binary_cross_entropy",
        X,
        (X[:, 0] > 0).astype(int),
    ),
    "two outputs": (
        TWO_OUTPUTS["layers"],
        TWO_OUTPUTS["loss"],
        X,
        {"price": NUMBERS, "style": CLASSES},
    ),
}


def document_of(kind, members=2, **changes):
    layers, loss, *_ = KINDS[kind]
    found = {
        "model": {"layers": layers, "members": members, "dtype": "float64"},
        "loss": loss,
        "optimizer": "adam",
        "train": {"epochs": 2, "batch_size": 16, **changes},
    }
    return found | {"metrics": TWO_OUTPUTS["metrics"]} if kind == "two outputs" else found


@pytest.mark.parametrize("kind", KINDS)
def test_any_network_is_saved_and_resumed(kind, tmp_path):
    require_saved_and_resumed(document_of(kind), KINDS[kind][2:], tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dropout"])
def test_any_network_trains_and_predicts_as_its_members(kind):
    x, y = KINDS[kind][2:]
    ensemble = nnreg.build(document_of(kind), data=(x, y))
    members = []
    for index in range(2):
        members.append(nnreg.build(document_of(kind, 1), data=(x, y)))
        members[-1].network.vector[...] = ensemble.network.member(index).vector
    for model in (ensemble, *members):
        model.fit(x, y)
    for index, model in enumerate(members):
        found = ensemble.network.member(index).vector
        assert np.allclose(found, model.network.vector, rtol=1e-10, atol=1e-12)
    whole, parts = ensemble.predict(x), [model.predict(x) for model in members]
    for name in whole if isinstance(whole, dict) else ("",):
        mean = np.mean([part[name] if name else part for part in parts], axis=0)
        assert np.allclose(whole[name] if name else whole, mean, rtol=1e-9)


def test_a_mixture_of_normal_distributions_has_the_moments_of_all_members():
    document = {
        "model": {"layers": [HIDDEN, {"type": "dense", "units": 2}], "members": 3},
        "loss": "gaussian_nll",
        "optimizer": "adam",
    }
    model = nnreg.build(document, data=(X, NUMBERS))
    parts = []
    for index in range(3):
        single = nnreg.build(
            {**document, "model": {**document["model"], "members": 1}}, data=(X, NUMBERS)
        )
        single.network.vector[...] = model.network.member(index).vector
        parts.append(single.predict(X))
    means, variances = np.moveaxis(np.stack(parts), -1, 0)
    expected = np.stack([means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)], axis=-1)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-4)


def test_numbers_on_a_logarithmic_scale_are_averaged_in_their_own_units():
    data = {"source": "csv", "path": "data.csv", "target": "target", "target_scaling": "log"}
    document = document_of("dropout", 3) | {"data": data}
    model = nnreg.run(document, data=(X, np.exp(NUMBERS / 3)))
    members = np.array(model.predict_members(X))
    np.testing.assert_allclose(model.predict(X), members.mean(axis=0), rtol=1e-9)
    geometric = np.expm1(np.log1p(members).mean(axis=0))
    assert mean_difference(model.predict(X), geometric) > 0.01


def test_settings_of_parameters_apply_to_those_of_every_member():
    train = {
        "freeze": ["layers/0"],
        "regularize": {"layers/1/weight": {"type": "l2", "factor": 0.1}},
        "learning_rates": {"*/bias": 3.0},
        "weight_decay": 0.1,
        "l1": 0.01,
        "constrain": {"members/*/layers/2/*": "non_negative"},
    }
    model = build("numbers", 2, (HIDDEN, HIDDEN), **train)
    train["constrain"] = {"layers/2/*": "non_negative"}
    members = [alone("numbers", model, index, (HIDDEN, HIDDEN), **train) for index in range(2)]
    for one in (model, *members):
        one.fit(X, NUMBERS)
    for index, member in enumerate(members):
        assert np.allclose(model.network.member(index).vector, member.network.vector, rtol=1e-12)


def test_weights_of_rows_are_those_of_each_member():
    weights = np.linspace(0, 2, len(X))
    model = build("classes", 2)
    members = [alone("classes", model, index) for index in range(2)]
    for one in (model, *members):
        one.fit(X, CLASSES, weights=weights)
    for index, member in enumerate(members):
        assert np.allclose(model.network.member(index).vector, member.network.vector, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["lbfgs", {"type": "sam", "base": "adam"}, "muon"])
def test_optimizers_of_all_parameters_reduce_the_loss(optimizer):
    model = build("numbers", 2, optimizer=optimizer, epochs=8, batch_size=40)
    before = model.evaluate(X, NUMBERS)["loss"]
    model.fit(X, NUMBERS)
    assert model.evaluate(X, NUMBERS)["loss"] < before


def test_members_start_from_those_of_a_checkpoint_or_share_layers_of_one_network(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    ensemble, single = build("numbers", 2), build("numbers", 1)
    for model, name in ((ensemble, "ensemble.h5"), (single, "single.h5")):
        model.fit(X, NUMBERS)
        nnreg.save(model, name)
    again = build("numbers", 2, start_from="ensemble.h5")
    assert np.array_equal(again.network.vector, ensemble.network.vector)
    shared = build("numbers", 2, start_from={"checkpoint": "single.h5", "layers": ["layers/0"]})
    for index in range(2):
        name = f"members/{index}/layers/0/weight"
        assert np.array_equal(shared.parameters[name], single.parameters["layers/0/weight"])
    with pytest.raises(nnreg.SpecError, match=r"start_from: all members .* stay alike"):
        build("numbers", 2, start_from="single.h5")


@dataclass(frozen=True)
class Spread(nnreg.Loss):
    """Mean of (y - mean(y))², which compares the examples of a batch"""

    independent = False

    def forward(self, y, t):
        difference = y - y.mean(axis=0)
        return float(np.mean(difference**2)), lambda: 2 * difference / y.size


def test_a_loss_that_compares_the_examples_of_a_batch_is_refused():
    spec = read_spec(document_of("dropout")).spec
    with pytest.raises(nnreg.SpecError, match=r'\$\.loss: compares .*; remove "members"'):
        refuse_incompatible(replace(spec, loss=Spread()), build("numbers", 2).network, {})


def test_an_unfinished_epoch_resumes_with_the_scores_of_all_members(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [",".join(map(str, (*x, y))) for x, y in zip(X, NUMBERS, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["a,b,c,target", *rows]))
    document = document_of("dropout", epochs=3, ema=0.9) | {
        "metrics": ["r2"],
        "data": {"source": "csv", "path": "data.csv", "target": "target"},
    }
    require_resumed_in_mid_epoch(document, batches=5)


@pytest.mark.parametrize("division", [{"shards": 2}, {"reproducible": True}])
def test_threads_do_not_change_a_bit(division):
    found = []
    for threads in (1, 2):
        model = build("classes", 3, (HIDDEN, {"type": "dropout"}), threads=threads, **division)
        model.fit(X, CLASSES)
        found.append((model.network.vector.tobytes(), model.predict(X).tobytes()))
    assert found[0] == found[1]


def test_more_members_need_no_more_calls_than_two():
    def calls_of(members):
        model = build("numbers", members, (HIDDEN, {"type": "dropout"}), weight_decay=0.1)
        model.fit(X, NUMBERS)
        return [calls(partial(model.fit, X, NUMBERS, epochs=epochs)) for epochs in (1, 5)]

    (one, five), (one_of_more, five_of_more) = calls_of(2), calls_of(5)
    assert five_of_more - one_of_more <= five - one + 8


def test_the_summary_and_the_diagram_show_the_layers_of_one_member():
    model = build("numbers", 3)
    assert "layers/0  dense  (batch, 5)          20" in model.summary()
    assert model.summary().endswith("3 members, 78 parameters")
    (box,) = boxes_of(model)
    assert (box.kind, box.times, box.size, len(box.children)) == ("members", 3, 26, 2)


def test_a_layer_of_a_member_is_named_where_training_diverges():
    model = build("numbers", 2)
    model.parameters["members/1/layers/0/weight"][...] = np.inf
    with pytest.raises(nnreg.DivergedError, match="members/1/layers/0"):
        model.fit(X, NUMBERS)


def test_a_decay_of_weights_follows_the_learning_rate_of_each_member():
    rates = {"members/1/*": 0.5}
    model = build("numbers", 2, optimizer="sgd", weight_decay=0.1, learning_rates=rates)
    members = [
        alone("numbers", model, index, optimizer="sgd", weight_decay=0.1, learning_rates=own)
        for index, own in enumerate(({"*": 1.0}, {"*": 0.5}))
    ]
    for one in (model, *members):
        one.fit(X, NUMBERS)
    for index, member in enumerate(members):
        assert np.allclose(model.network.member(index).vector, member.network.vector, rtol=1e-12)


@pytest.mark.parametrize("kind", ["dropout", "two outputs"])
def test_the_predictions_of_members_are_those_of_their_networks(kind):
    x, y = KINDS[kind][2:]
    model = nnreg.build(document_of(kind, 3, ema=0.5), data=(x, y))
    model.fit(x, y)
    found, mean = model.predict_members(x), model.predict(x)
    assert len(found) == 3
    if kind == "two outputs":
        found, mean = [one["price"] for one in found], mean["price"]
    assert np.std(found, axis=0).min() > 0
    np.testing.assert_allclose(np.mean(found, axis=0), mean, rtol=1e-12)


def test_a_single_network_is_its_only_member():
    model = build("numbers", 1)
    (found,) = model.predict_members(X)
    assert np.array_equal(found, model.predict(X))


def test_the_recorded_norm_of_a_layer_is_of_the_gradients_of_all_members():
    model = build("numbers", 3)
    trainer = model.trainer(model.examples(X, NUMBERS))
    next(trainer.epochs())
    norms = trainer.gradient_norms()
    assert list(norms) == ["layers/0", "layers/1"]
    whole = np.linalg.norm(next(iter(trainer._gradients.values())))
    assert norms["layers/0"] > whole > 0
