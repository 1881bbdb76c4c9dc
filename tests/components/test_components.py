"""Every built-in activation, loss and layer: its gradient over all its configurations."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnreg
from nnreg import Activation, TrainableActivation
from nnreg.builtin import activations, initializers
from nnreg.builtin.layers import (
    attention,
    augmentation,
    composition,
    convolution,
    dense,
    dot_product_attention,
    embedding,
    gating,
    global_pooling,
    joins,
    normalization,
    periodic_embedding,
    positions,
    recurrent,
    sampling,
    shapes,
    transformer,
    wrappers,
)
from nnreg.builtin.layers.lstm import Lstm
from nnreg.interfaces import LayerBuilder, Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.numpy.dense import MAX_NARROW_FEATURES
from nnreg.network.network import Network
from nnreg.registry.registry import installed
from nnreg.testing import check_activation, check_layer, configurations
from tests.components.norms_and_noise import NORMS_AND_NOISE
from tests.components.windowed_layers import WINDOWED

BUILT_IN = [entry for entry in installed() if entry.plugin == "nnreg"]
COMPLEX_STEP = {"identity", "sigmoid", "tanh", "softmax", "gelu", "silu", "snake", "tanh_shrink"}
"""The activations whose formula takes complex numbers."""


def built_in(kind):
    return [entry.name for entry in BUILT_IN if entry.kind == kind]


def component(kind, name):
    return installed().find(kind, name).cls


@pytest.mark.parametrize(
    "name",
    [  # those with parameters have the checks of layers, in `tests/conformance`
        name
        for name in built_in("activation")
        if not issubclass(component("activation", name), TrainableActivation)
    ],
)
@given(data=st.data())
def test_an_activation_passes_its_checks_in_every_configuration(name, data):
    activation = data.draw(configurations(component("activation", name)))
    smooth = name in COMPLEX_STEP and not getattr(activation, "exact", False)
    check_activation(activation, smooth=smooth)


RNG = np.random.default_rng(0)

ACTIVATIONS = st.sampled_from(
    [activations.Identity(), activations.Tanh(), activations.Sigmoid(), activations.Softplus()]
)
SMALL = st.integers(1, 3)
INDICES = np.array([[0, 2], [1, 1], [3, 0]])


def of(cls, *shapes, **options):
    """Return configurations of a layer, each with one of the shapes."""
    return st.tuples(configurations(cls, **options), st.sampled_from(shapes))


TWO = composition.Residual((dense.Dense(3, activations.Tanh()), normalization.LayerNorm()))
OF_HEADS = (3, 6), ((3, 6), (2, 6)), ((3, 6), (2, 6), (2, 4))
LAYERS = {
    "dense": of(dense.Dense, (4,), (2, 3), units=SMALL, activation=ACTIVATIONS),
    "activation": of(dense.ActivationLayer, (4,), (2, 3), activation=ACTIVATIONS),
    "glu": of(gating.Glu, (4,), (2, 6), activation=ACTIVATIONS),
    "rrelu": of(gating.RRelu, (4,), (2, 3)),
    "dropout": of(dense.Dropout, (6,), (2, 3)),
    "flatten": of(dense.Flatten, (4,), (2, 3, 2)),
    "batch_norm": of(normalization.BatchNorm, (3,), (2, 2, 3), epsilon=st.floats(1e-3, 1)),
    "layer_norm": of(normalization.LayerNorm, (3,), (2, 4), epsilon=st.floats(1e-3, 1)),
    **WINDOWED,
    **NORMS_AND_NOISE,
    "global_average_pool": of(global_pooling.GlobalAveragePool, (3, 2), (2, 3, 4)),
    "global_max_pool": of(global_pooling.GlobalMaxPool, (3, 2), (2, 3, 4)),
    "embedding": of(embedding.Embedding, (2,), vocabulary=st.just(4), units=SMALL),
    "column_embedding": of(embedding.ColumnEmbedding, (3,), (2, 3), units=SMALL),
    "periodic_embedding": of(
        periodic_embedding.PeriodicEmbedding, (3,), (2, 2), units=SMALL, frequencies=SMALL,
        activation=ACTIVATIONS),
    "simple_rnn": of(recurrent.SimpleRnn, (3, 2), (1, 3), units=SMALL, activation=ACTIVATIONS),
    "gru": of(recurrent.Gru, (3, 2), (1, 3), units=SMALL),
    "lstm": of(Lstm, (3, 2), (1, 3), units=SMALL, projection=st.none() | SMALL),
    "bidirectional": st.sampled_from(wrappers.Bidirectional.examples()),
    "time_distributed": st.sampled_from(wrappers.TimeDistributed.examples()),
    **{
        name: of(getattr(augmentation, cls), (3, 4, 2), (2, 3))
        for name, cls in {
            "random_contrast": "RandomContrast",
            "random_flip": "RandomFlip",
            "random_rotation": "RandomRotation",
            "random_translation": "RandomTranslation",
            "random_zoom": "RandomZoom",
        }.items()
    },
    "random_crop": of(augmentation.RandomCrop, (3, 4, 2), (4, 3), height=SMALL, width=SMALL),
    "residual": st.tuples(st.just(composition.Residual((TWO, dense.Dropout(0.3)))),
                          st.sampled_from([(3,), (2, 3)])),
    "add_position": of(positions.AddPosition, (3, 4), (2, 3)),
    "multi_head_attention": of(
        attention.MultiHeadAttention, *OF_HEADS, heads=st.sampled_from([1, 3]),
        head_size=st.sampled_from([None, 2])),
    "grouped_query_attention": of(
        attention.GroupedQueryAttention, *OF_HEADS, heads=st.just(6), key_value_heads=SMALL,
        head_size=st.just(2)),
    "attention": of(dot_product_attention.Attention, *OF_HEADS[1:]),
    "rotary_positions": of(positions.RotaryPositions, (3, 4), (2, 2)),
    # after several norms with a small epsilon, central differences are off by more than is allowed
    "transformer_encoder": of(
        transformer.TransformerEncoder, (3, 4), heads=st.integers(1, 2), activation=ACTIVATIONS,
        epsilon=st.floats(0.1, 1)),
    "transformer_decoder": of(
        transformer.TransformerDecoder, (3, 4), ((3, 4), (2, 3)), heads=st.integers(1, 2),
        activation=ACTIVATIONS, epsilon=st.floats(0.1, 1)),
    "stack": st.tuples(st.just(composition.Stack((TWO, dense.Dense(3)), 2)), st.just((3,))),
    **{
        name: of(cls, ((3,), (3,)), ((2, 3), (2, 3), (2, 3)))
        for name, cls in {
            "add": joins.Add,
            "subtract": joins.Subtract,
            "multiply": joins.Multiply,
            "average": joins.Average,
            "maximum": joins.Maximum,
            "minimum": joins.Minimum,
        }.items()
    },
    "cross_attention": of(dot_product_attention.CrossAttention, ((3, 4), (2, 4)), ((1, 1), (3, 1))),
    "gaussian_sample": of(sampling.GaussianSample, (2,), (3, 4)),
    "concat": of(joins.Concat, ((3, 2), (3, 4)), ((3, 1), (3, 1), (3, 2)), axis=st.just(-1)),
    "dot": of(joins.Dot, ((3,), (3,)), ((2, 3), (2, 3))),
    "distance": of(joins.Distance, ((3,), (3,)), ((2, 3), (2, 3)), epsilon=st.floats(1e-3, 1)),
}  # fmt: skip


def test_every_layer_has_cases():
    assert LAYERS.keys() == set(built_in("layer"))


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=10)  # tests/conformance draws more, with the default components
@given(data=st.data())
def test_a_layer_passes_its_checks_in_every_configuration(name, data):
    layer, shape = data.draw(LAYERS[name])
    check_layer(layer, shape, x=INDICES if layer.integer_input else None)


def context_of(layer, shape, dtype=np.float64, **kwargs):
    plan = LayerBuilder("$")
    output = plan.layer("layers/0", layer, shape)
    network = Network(plan, shape, output, dtype=dtype)
    network.initialize(0)
    gradient = np.zeros_like(network.vector)
    context = network.context(Workspace(dtype, reuse=True), gradient, **kwargs)
    return network, context, gradient


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (dense.Dense(3, activations.Relu()), (4,)),
        (convolution.Conv2d(2), (4, 4, 2)),
        (Lstm(2), (3, 2)),
        (attention.MultiHeadAttention(2), (3, 4)),
        (TWO, (3,)),
    ],
)
def test_the_first_layer_skips_its_input_gradient_and_nothing_else(layer, shape):
    x = np.random.default_rng(0).normal(size=(5, *shape))
    found = []
    for wanted in (False, True):
        network, context, gradient = context_of(layer, shape, input_gradient=wanted)
        y, backward = network.forward(x, context)
        dx = backward(np.ones_like(y))
        if layer is not TWO:
            assert (dx is not None) == wanted
        found.append(gradient)
    np.testing.assert_array_equal(*found)


def test_dropout_keeps_the_mean_and_its_rate_in_training_and_the_input_otherwise():
    x = np.ones((200, 200))
    network, context, _ = context_of(dense.Dropout(0.3), (200,), training=True)
    context.workspace.rng = np.random.default_rng(0)
    y, _ = network.forward(x, context)
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(network.predict(x), x)


def test_batch_norm_keeps_running_statistics_for_inference():
    x = np.random.default_rng(0).normal(3, 2, size=(500, 2))
    network, context, _ = context_of(normalization.BatchNorm(momentum=0.5), (2,), training=True)
    y, _ = network.forward(x, context)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-5)
    state = network.state
    np.testing.assert_allclose(state["layers/0/running_mean"], 0.5 * x.mean(axis=0))
    np.testing.assert_allclose(
        state["layers/0/running_variance"], 0.5 + 0.5 * x.var(axis=0, ddof=1)
    )
    for _ in range(60):
        network.forward(x, context)
    np.testing.assert_allclose(network.predict(x), y, atol=5e-3)


def test_up_sampling_repeats_rows_and_columns():
    x = np.array([[[1, 2], [3, 4]]]).reshape(1, 2, 2, 1)
    network, _, _ = context_of(shapes.UpSampling2d((1, 2)), (2, 2, 1))
    np.testing.assert_array_equal(network.predict(x)[0, :, :, 0], [[1, 1, 2, 2], [3, 3, 4, 4]])


@pytest.mark.parametrize("size", [20, 400])
def test_batch_norm_of_images_of_any_size_agrees_with_float64(size):
    layer, shape = normalization.BatchNorm(), (size, size, 2)
    x, dy = np.random.default_rng(0).normal(size=(2, 3, *shape)).astype(np.float32)
    x += 100
    found = []
    for dtype in (np.float32, np.float64):
        network, context, gradient = context_of(layer, shape, dtype, training=True)
        y, backward = network.layers["layers/0"].forward(
            x.astype(dtype), context.children["layers/0"]
        )
        found.append((y.copy(), backward(dy.astype(dtype)), gradient, network.state_vector))
    for single, double, tolerance in zip(*found, (2e-4, 2e-4, 1e-2, 1e-6), strict=True):
        np.testing.assert_allclose(single, double, rtol=1e-6, atol=tolerance)


def test_the_average_of_large_images_agrees_with_float64():
    x = np.random.default_rng(0).normal(100, 1, size=(2, 1000, 1000, 1)).astype(np.float32)
    network, context, _ = context_of(global_pooling.GlobalAveragePool(), x.shape[1:], np.float32)
    y, _ = network.forward(x, context)
    np.testing.assert_allclose(y, x.mean(axis=(1, 2), dtype=np.float64), rtol=2e-7)


def test_causal_attention_does_not_depend_on_later_steps():
    layer = attention.MultiHeadAttention(2, causal=True)
    network, context, _ = context_of(layer, (4, 6))
    x = np.random.default_rng(0).normal(size=(1, 4, 6))
    before, _ = network.forward(x, context)
    before = before.copy()
    x[:, 3] += 1
    after, _ = network.forward(x, context)
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert not np.allclose(before[:, 3], after[:, 3])


def test_prediction_does_not_depend_on_the_batch_size(monkeypatch):
    network, context, _ = context_of(dense.Dense(3, activations.Tanh()), (4,))
    x = np.random.default_rng(0).normal(size=(50, 4))
    whole, _ = network.forward(x, context)
    monkeypatch.setattr("nnreg.network.prediction.MAX_CHUNK_ROWS", 7)
    np.testing.assert_allclose(network.logits(x), whole, rtol=1e-12)


@given(st.integers(1, 5), st.sampled_from([3, MAX_NARROW_FEATURES, MAX_NARROW_FEATURES + 5]))
def test_narrow_and_wide_rows_give_the_same_softmax(rows, classes):
    x = np.random.default_rng(rows).normal(size=(rows, classes)) * 50
    expected = np.exp(x - x.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    Kernels().softmax(x, Workspace(np.float64, reuse=False))
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-300)


def test_configurations_stay_within_the_annotated_bounds():
    @given(configurations(component("optimizer", "adam")))
    def check(adam):
        assert 0 <= adam.beta1 < 1
        assert adam.learning_rate > 0

    check()


@dataclass(frozen=True)
class Named(Activation):
    """y = x, with a `name` that is any text, and a number not below `least`."""

    name: str
    number: float = 0.0
    least: float = 0.0

    def __post_init__(self):
        if self.number < self.least:
            raise ValueError("too small")


def test_an_option_that_cannot_be_drawn_is_named():
    with pytest.raises(TypeError, match=r"Named\.name: give a strategy"):
        configurations(Named)


def test_values_that_a_class_refuses_are_not_drawn_and_numbers_have_both_signs():
    signs = set()

    @given(configurations(Named, name=st.just("a")))
    def check(named):
        assert -3 <= named.least <= named.number <= 3
        signs.update(np.sign([named.number, named.least]))

    check()
    assert signs == {-1, 0, 1}


def test_an_option_that_is_a_component_keeps_its_default_or_gets_a_simple_one():
    @given(configurations(dense.ActivationLayer), configurations(dense.Dense))
    def check(layer, other):
        assert isinstance(layer.activation, Activation)
        assert other.activation == activations.Identity()

    check()


def test_the_public_names_exist():
    assert [name for name in nnreg.__all__ if not hasattr(nnreg, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = nnreg.nothing


def test_an_odd_row_of_padding_goes_below_and_to_the_right():
    layer = convolution.Conv2d(
        1, kernel=2, padding="same", bias=False, initializer=initializers.Ones()
    )
    network, _, _ = context_of(layer, (2, 2))
    found = network.predict(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    assert found[0, :, :, 0].tolist() == [[10, 6], [7, 4]]
