"""Frozen layers: their values stay, the others train as usual, and less is computed."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.optimizers import Adam, Sgd
from nnreg.network.parameters import views
from tests.helpers.specs import blobs, classifier

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dropout", "rate": 0.3},
    {"type": "residual", "layers": [{"type": "dense", "units": 6}, {"type": "dense", "units": 6}]},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]


def spec(freeze, layers=LAYERS, optimizer="adamw", **train):
    settings = {"epochs": 3, "batch_size": 16, "freeze": freeze, **train}
    model = {"layers": layers, "dtype": "float64"}
    return classifier(model=model, optimizer=optimizer, train=settings)


def trained(*args, **kwargs):
    model = nnreg.build(spec(*args, **kwargs), data=blobs())
    before = {name: array.copy() for name, array in {**model.parameters, **model.buffers}.items()}
    model.fit(*blobs())
    return model, before


def changed(model, before):
    arrays = {**model.parameters, **model.buffers}
    return {name for name, array in arrays.items() if array.tobytes() != before[name].tobytes()}


REGULARIZATION = {"l1": 0.01, "l2": 0.01, "weight_decay": 0.1, "ema": 0.9, "clip_norm": 0.1}


@pytest.mark.parametrize(
    "freeze",
    [
        ["layers/0"],
        ["layers/0", "layers/1"],
        ["layers/1"],
        ["layers/3"],
        ["layers/3/layers/0", "layers/4"],
        ["layers/0", "layers/1", "layers/3"],
    ],
)
@pytest.mark.parametrize("optimizer", ["adamw", {"type": "sgd", "momentum": 0.9}, "rmsprop"])
def test_frozen_values_and_their_optimizer_state_stay_and_all_others_change(freeze, optimizer):
    model, before = trained(freeze, optimizer=optimizer, **REGULARIZATION)
    frozen = {name for name in before if name.startswith(tuple(f"{f}/" for f in freeze))}
    assert frozen
    assert changed(model, before) == before.keys() - frozen
    for vector in model.training_state.optimizer_state.values():
        by_name = views(vector, model.network.params)
        assert not any(by_name[name].any() for name in frozen & by_name.keys())
    averages = views(model.training_state.ema[0], model.network.params)
    for name in frozen & averages.keys():
        assert averages[name].tobytes() == before[name].tobytes()


def copy_weights(model, other, offset):
    """Copy into a model the weights of another, whose layer numbers are higher by `offset`."""
    for name, array in model.parameters.items():
        _, number, kind = name.split("/")
        array[...] = other.parameters[f"layers/{int(number) + offset}/{kind}"]


@pytest.mark.parametrize("options", [{}, {"l2": 0.1, "clip_norm": 0.2, "weight_decay": 0.1}])
def test_the_other_layers_train_as_they_would_on_the_frozen_layers_outputs(options):
    x, y = blobs()
    top = [{"type": "dense", "units": 5, "activation": "tanh"}, LAYERS[-1]]
    whole = nnreg.build(spec(["layers/0", "layers/1"], [*LAYERS[:2], *top], **options), data=(x, y))
    features = whole.network.layers["layers/0"]
    z, _ = features.forward(x, whole.network._inference.children["layers/0"])
    z /= np.sqrt(1 + 1e-5)  # the running variance of an untrained batch norm is 1
    alone = nnreg.build(spec([], top, **options), data=(z, y))
    copy_weights(alone, whole, 2)
    whole.fit(x, y)
    alone.fit(z, y)
    np.testing.assert_allclose(
        whole.network.vector[-alone.network.vector.size :], alone.network.vector, rtol=1e-7
    )
    for record, other in zip(whole.history, alone.history, strict=True):
        assert record == pytest.approx(other, rel=1e-9)


def backward_passes(monkeypatch, freeze, between=()):
    """Return the units of the dense layers with a backward pass in one step.

    There are four and the last; `between` are layers after the first two.
    """
    units = []
    forward = Dense.forward

    def counted(self, x, context):
        y, backward = forward(self, x, context)

        def counted_backward(dy):
            units.append(self.units)
            return backward(dy)

        return y, counted_backward

    monkeypatch.setattr(Dense, "forward", counted)
    layers = [{"type": "dense", "units": n} for n in (5, 6, 7, 8)]
    layers[2:2] = between
    model = nnreg.build(spec(freeze, [*layers, LAYERS[-1]], epochs=1, batch_size=60), data=blobs())
    model.fit(*blobs())
    return units


def test_frozen_layers_at_the_bottom_have_no_backward_pass(monkeypatch):
    assert backward_passes(monkeypatch, ["layers/0", "layers/1"]) == ["classes", 8, 7]
    monkeypatch.undo()
    assert backward_passes(monkeypatch, ["layers/1"]) == ["classes", 8, 7, 6, 5]
    monkeypatch.undo()
    batch_norm = ["batch_norm"]  # it always computes the gradient of its input
    passes = backward_passes(monkeypatch, ["layers/0", "layers/1"], batch_norm)
    assert passes == ["classes", 8, 7]


def test_a_frozen_layer_behaves_in_training_as_in_prediction():
    data = blobs()
    layers = [*LAYERS[1:3], LAYERS[4]]
    frozen = nnreg.build(spec(["layers/0", "layers/1"], layers, "sgd"), data=data)
    without = nnreg.build(spec([], [LAYERS[4]], "sgd"), data=data)
    copy_weights(without, frozen, 2)
    for model in (frozen, without):
        model.fit(*data)
    # an untrained batch norm divides by √(1 + epsilon)
    np.testing.assert_allclose(frozen.history["loss"], without.history["loss"], rtol=1e-4)
    assert frozen.buffers["layers/0/running_mean"].tolist() == [0] * 4


class _NotElementwise(Sgd):
    """An optimizer that needs its vectors in one piece."""

    elementwise = False
    sizes = ()

    def update(self, parameters, gradient, state):
        type(self).sizes = {
            parameters.size,
            gradient.size,
            *(s.size for s in state.vectors.values()),
        }
        super().update(parameters, gradient, state)


@pytest.mark.parametrize("freeze", [["layers/0", "layers/3/layers/1"], ["layers/0"], []])
def test_an_optimizer_that_is_not_elementwise_gets_all_trained_values_and_no_others(freeze):
    found = []
    for cls in (Sgd, _NotElementwise):
        model = nnreg.build(spec(freeze), data=blobs())
        object.__setattr__(model.spec, "optimizer", cls(0.1, momentum=0.9))
        model.fit(*blobs())
        found.append(model)
    plain, whole = found
    frozen = sum(whole.parameters[name].size for name in whole.network.frozen)
    assert _NotElementwise.sizes == {whole.network.vector.size - frozen}
    assert plain.network.vector.tobytes() == whole.network.vector.tobytes()
    assert (
        plain.training_state.optimizer_state["velocity"].tobytes()
        == whole.training_state.optimizer_state["velocity"].tobytes()
    )


def test_the_gradient_of_a_frozen_layer_is_zero():
    model = nnreg.build(spec(["layers/0", "layers/3"]), data=blobs())
    _, gradients = model.gradients(*blobs())
    zero = {name for name, gradient in gradients.items() if not gradient.any()}
    assert zero >= model.network.frozen
    assert not zero & {"layers/1/gamma", "layers/4/weight"}


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (["layers/5"], r"\$\.train\.freeze\[0\]: no layer 'layers/5'; did you mean 'layers/"),
        (["layers/0", "layer/1"], r"\$\.train\.freeze\[1\]: no layer 'layer/1'; did you mean 'lay"),
        (["layers/0/weight"], "no layer 'layers/0/weight'"),
        ([f"layers/{n}" for n in range(5)], r"\$\.train\.freeze: nothing is left to train"),
    ],
)
def test_what_cannot_be_frozen_is_reported(freeze, message):
    with pytest.raises(SpecError, match=message):
        nnreg.build(spec(freeze), data=blobs())


def test_the_summary_has_the_number_of_frozen_parameters():
    model = nnreg.build(spec(["layers/0", "layers/1"]), data=blobs())
    assert model.summary().endswith("input (batch, 4), 147 parameters, 42 of them frozen")


def test_a_layer_unfrozen_on_resuming_trains(tmp_path):
    model, _ = trained(["layers/0"])
    nnreg.save(model, tmp_path / "a.h5")
    before = model.parameters["layers/0/weight"].copy()
    again = nnreg.load(tmp_path / "a.h5", ["train.freeze=[]"])
    again.fit(*blobs(), epochs=1)
    assert not np.array_equal(again.parameters["layers/0/weight"], before)


class TestUnfrozenOnResuming:
    """The optimizer begins anew with parameters that were frozen."""

    @staticmethod
    def resumed(tmp_path, optimizer, *, epochs=1, steps=100):
        x, y = blobs()
        train = {"epochs": steps, "batch_size": 60, "freeze": ["layers/0"]}
        layers = [{"type": "dense", "units": 4, "activation": "tanh"},
                  {"type": "dense", "units": "classes", "activation": "softmax"}]  # fmt: skip
        model = nnreg.build(
            classifier(
                model={"layers": layers, "dtype": "float64"}, optimizer=optimizer, train=train
            ),
            data=(x, y),
        )
        model.fit(x, y)
        nnreg.save(model, tmp_path / "a.h5")
        again = nnreg.load(tmp_path / "a.h5", ["train.freeze=[]"])
        return model, again

    def test_the_first_step_of_adam_is_one_learning_rate(self, tmp_path):
        model, again = self.resumed(tmp_path, {"type": "adam", "learning_rate": 0.01})
        again.fit(*blobs(), epochs=1)
        name = "layers/0/weight"
        change = np.abs(again.parameters[name] - model.parameters[name])
        np.testing.assert_allclose(change, 0.01, rtol=1e-3)

    def test_its_steps_are_those_of_a_new_optimizer_and_the_others_continue(self, tmp_path):
        model, again = self.resumed(tmp_path, {"type": "adam", "learning_rate": 0.01})
        rows, state = blobs(), model.training_state
        m, v = (state.optimizer_state[one].copy() for one in "mv")
        size = again.network.params["layers/0/weight"].shape
        vector = again.network.vector
        first = slice(0, size[0] * size[1] + size[1])
        m[first] = v[first] = 0
        expected, counts = vector.copy(), np.full(vector.size, 100)
        counts[first] = 0
        for _ in range(3):
            gradient = np.concatenate([g.ravel() for g in again.gradients(*rows)[1].values()])
            counts += 1
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            corrected = m / (1 - 0.9**counts)
            root = np.sqrt(v / (1 - 0.999**counts))
            expected -= 0.01 * corrected / (root + 1e-8)
            again.fit(*rows, epochs=1)
            np.testing.assert_allclose(vector, expected, rtol=1e-9)

    def test_the_count_survives_a_second_checkpoint(self, tmp_path):
        _, whole = self.resumed(tmp_path, "adam")
        _, parts = self.resumed(tmp_path, "adam")
        whole.fit(*blobs(), epochs=4)
        parts.fit(*blobs(), epochs=2)
        nnreg.save(parts, tmp_path / "b.h5")
        parts = nnreg.load(tmp_path / "b.h5", ["train.threads=1"])
        assert parts.training_state.unfrozen == {"layers/0/weight": 100, "layers/0/bias": 100}
        parts.fit(*blobs(), epochs=2)
        assert parts.network.vector.tobytes() == whole.network.vector.tobytes()

    def test_an_optimizer_that_mixes_values_begins_anew_with_all(self, tmp_path, monkeypatch):
        counts = []
        update = Adam.update

        def mixing(self, parameters, gradient, state):
            counts.append((state.count, bool(state.vectors["m"].any())))
            update(self, parameters, gradient, state)

        monkeypatch.setattr(Adam, "update", mixing)
        monkeypatch.setattr(Adam, "elementwise", False)
        _, again = self.resumed(tmp_path, "adam", steps=5)
        again.fit(*blobs(), epochs=2)
        assert counts[-2:] == [(1, False), (2, True)]
