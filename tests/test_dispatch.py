"""Components run on any array type that NumPy's dispatch protocols (NEP 13, NEP 18) carry."""

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

from nnreg.builtin import activations, optimizers
from nnreg.builtin.layers import attention, composition, convolution, dense, normalization, sequence
from nnreg.interfaces import Context, Plan, Step, Workspace
from nnreg.network import Network
from nnreg.registry import installed


class Strict(NDArrayOperatorsMixin):
    """An array that refuses to become a NumPy array, as one on another device would."""

    def __init__(self, inner):
        self.inner = inner

    shape = property(lambda self: self.inner.shape)
    ndim = property(lambda self: self.inner.ndim)
    size = property(lambda self: self.inner.size)
    dtype = property(lambda self: self.inner.dtype)
    T = property(lambda self: Strict(self.inner.T))

    def __len__(self):
        return len(self.inner)

    def __float__(self):
        return float(self.inner)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("converted to a NumPy array")

    def __getitem__(self, key):
        return Strict(self.inner[bare(key)])

    def __setitem__(self, key, value):
        self.inner[bare(key)] = bare(value)

    def reshape(self, *shape):
        return Strict(self.inner.reshape(*shape))

    def astype(self, dtype):
        return Strict(self.inner.astype(dtype))

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        return self._call(getattr(ufunc, method), inputs, {**kwargs, "out": out})

    def __array_function__(self, function, types, args, kwargs):
        return self._call(function, args, kwargs)

    def _call(self, function, args, kwargs):
        out = kwargs.pop("out", None)
        if out is not None:
            kwargs["out"] = bare(out)
        result = function(*bare(args), **bare(kwargs))
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        return Strict(result) if isinstance(result, np.ndarray | np.generic) else result


def bare(value):
    if isinstance(value, Strict):
        return value.inner
    if isinstance(value, tuple | list):
        return type(value)(bare(item) for item in value)
    if isinstance(value, dict):
        return {key: bare(item) for key, item in value.items()}
    return value


class StrictWorkspace(Workspace):
    def allocate(self, shape, dtype):
        return Strict(super().allocate(shape, dtype))


RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5))


def same(found, expected):
    assert isinstance(found, Strict)
    np.testing.assert_array_equal(found.inner, expected)


def context(workspace):
    return Context({}, {}, {}, {}, workspace(np.float64, reuse=True))


def built_in(kind):
    return [entry.cls for entry in installed() if entry.kind == kind and entry.plugin == "nnreg"]


@pytest.mark.parametrize("cls", built_in("activation"))
def test_an_activation_dispatches(cls):
    y, backward = cls().forward(X)
    found, found_backward = cls().forward(Strict(X))
    same(found, y)
    same(found_backward(Strict(X)), backward(X))
    y, backward = cls().forward_buffered(X.copy(), context(Workspace))
    found, found_backward = cls().forward_buffered(Strict(X.copy()), context(StrictWorkspace))
    same(found, y)
    same(found_backward(Strict(X)), backward(X))


LABELS = np.array([0, 4, 2, 2])


LINKED = [(cls, True) for cls in built_in("loss") if cls.link]


@pytest.mark.parametrize(("cls", "logits"), [*LINKED, *((c, False) for c in built_in("loss"))])
def test_a_loss_dispatches(cls, logits):
    y, t = RNG.uniform(0.1, 0.9, X.shape), RNG.uniform(size=X.shape)
    targets = [t, LABELS] if cls.takes_labels else [t]
    for target in targets:
        expected, backward = cls().forward_buffered(y, target, context(Workspace), logits=logits)
        found, found_backward = cls().forward_buffered(
            Strict(y), Strict(target), context(StrictWorkspace), logits=logits
        )
        assert found == expected
        same(found_backward(), backward())


LAYERS = [
    (dense.Dense(3, activations.Relu()), (5,)),
    (dense.ActivationLayer(activations.Tanh()), (5,)),
    (dense.Dropout(0.4), (5,)),
    (dense.Flatten(), (3, 2)),
    (normalization.BatchNorm(), (5,)),
    (normalization.LayerNorm(), (5,)),
    (convolution.Conv2d(3, padding="same", stride=2), (5, 4, 2)),
    (convolution.MaxPool2d(), (5, 4, 2)),
    (convolution.GlobalAveragePool(), (5, 4, 2)),
    (sequence.Embedding(7, 2), (3,)),
    (sequence.Lstm(2, sequences=True), (3, 2)),
    (composition.Residual((dense.Dense(5, activations.Sigmoid()),)), (5,)),
    (attention.AddPosition(), (3, 4)),
    (attention.MultiHeadAttention(2, causal=True), (3, 4)),
]


def test_every_layer_has_a_case():
    assert {type(layer) for layer, _ in LAYERS} == set(built_in("layer"))


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_dispatches(layer, shape, training):
    results = []
    x = RNG.integers(0, 7, (4, *shape)) if layer.integer_input else RNG.normal(size=(4, *shape))
    for workspace, wrap in ((Workspace, None), (StrictWorkspace, Strict)):
        plan = Plan("$")
        network = Network(plan, shape, plan.layer("layers/0", layer, shape), dtype=np.float64)
        network.initialize(0)
        gradient = np.zeros_like(network.vector)
        passing = network.context(
            workspace(np.float64, reuse=True), gradient, training=training, wrap=wrap
        )
        passing.workspace.rng = DispatchingRng() if wrap else np.random.default_rng(1)
        y, backward = network.forward(wrap(x) if wrap else x, passing)
        assert isinstance(y, Strict) == bool(wrap)
        dy = np.cos(np.arange(y.size)).reshape(y.shape)
        backward(wrap(dy) if wrap else dy)
        results.append((bare(y).copy(), gradient, network.state_vector))
    for plain, dispatched in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, dispatched)


class DispatchingRng:
    """A generator whose numbers are arrays of the other library."""

    def random(self, shape, dtype):
        return Strict(np.random.default_rng(1).random(shape, dtype))


@pytest.mark.parametrize("cls", built_in("optimizer"))
def test_an_optimizer_dispatches(cls):
    optimizer = cls(momentum=0.5, nesterov=True) if cls is optimizers.Sgd else cls()
    results = []
    for workspace, wrap in ((Workspace, lambda a: a), (StrictWorkspace, Strict)):
        p, g = np.ones(6), np.arange(6.0)
        slots = {name: wrap(np.zeros(6)) for name in optimizer.slots}
        for count in (1, 2):
            step = Step(count, slots, workspace(np.float64, reuse=True))
            optimizer.update(wrap(p), wrap(g), step)
        results.append(p)
    np.testing.assert_array_equal(*results)
