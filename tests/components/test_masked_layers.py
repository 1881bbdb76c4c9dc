"""The built-in layers on sequences of different lengths."""

import numpy as np
import pytest

from nnreg import SpecError
from nnreg.builtin.activations import Softmax, Tanh
from nnreg.builtin.layers import (
    adaptive_pooling,
    attention,
    augmentation,
    bilinear,
    composition,
    convolution,
    dense,
    depthwise_convolution,
    dot_product_attention,
    einsum_dense,
    embedding,
    gating,
    global_pooling,
    group_normalization,
    joins,
    maxout,
    noise,
    normalization,
    periodic_embedding,
    pooling,
    positions,
    recurrent,
    rescaling,
    row_normalization,
    sampling,
    shapes,
    spectral_norm,
    transformer,
    transposed_convolution,
    wrappers,
)
from nnreg.builtin.layers.lstm import Lstm
from nnreg.interfaces import LayerBuilder
from nnreg.interfaces.join import one_input
from nnreg.registry.registry import installed
from nnreg.testing.finite_differences import central_difference
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass

LENGTHS = {"0": np.array([5, 2, 0, 1]), "1": np.array([1, 5, 3, 0]), "2": np.array([3, 2, 5, 1])}
FULL = dict.fromkeys("012", np.full(4, 5))
BLOCK = (attention.MultiHeadAttention(2), dense.Dense(4, Tanh()), normalization.LayerNorm())
LAYERS = {
    "dense": (dense.Dense(3, Softmax()), (5, 4)),
    "activation": (dense.ActivationLayer(Softmax()), (5, 4)),
    "dropout": (dense.Dropout(0.3), (5, 4)),
    "layer_norm": (normalization.LayerNorm(), (5, 4)),
    "glu": (gating.Glu(), (5, 4)),
    "rrelu": (gating.RRelu(), (5, 4)),
    "batch_norm": (normalization.BatchNorm(), (5, 4)),
    "batch_norm of images": (normalization.BatchNorm(), (5, 3, 2)),
    "global_average_pool": (global_pooling.GlobalAveragePool(), (5, 4)),
    "global_average_pool of images": (global_pooling.GlobalAveragePool(), (5, 3, 2)),
    "global_max_pool": (global_pooling.GlobalMaxPool(), (5, 4)),
    "global_max_pool of images": (global_pooling.GlobalMaxPool(), (5, 3, 2)),
    **{
        f"global_{name}_pool{dims}d": (
            getattr(global_pooling, f"Global{name.title()}Pool{dims}d")(),
            (5, 3, 2, 2)[: dims + 1],
        )
        for name in ("average", "max")
        for dims in (1, 2, 3)
    },
    "conv1d": (convolution.Conv1d(3, padding="same", activation=Softmax()), (5, 4)),
    "conv1d of numbers": (convolution.Conv1d(3, 2, padding="same"), (5,)),
    "causal conv1d": (convolution.Conv1d(4, 2, padding="causal", dilation=2, groups=2), (5, 4)),
    "depthwise_conv1d": (
        depthwise_convolution.DepthwiseConv1d(multiplier=2, padding="causal"),
        (5, 4),
    ),
    "separable_conv1d": (
        depthwise_convolution.SeparableConv1d(3, padding="same", activation=Softmax()),
        (5, 4),
    ),
    **{
        f"{name}{words}": (cls(3, **options, sequences=sequences, backwards=backwards), (5, 4))
        for name, cls, options in (
            ("simple_rnn", recurrent.SimpleRnn, {}),
            ("gru", recurrent.Gru, {}),
            ("lstm", Lstm, {}),
            ("projected lstm", Lstm, {"projection": 2}),
        )
        for words, sequences, backwards in (
            ("", False, False),
            (" of every step", True, False),
            (" backwards", False, True),
            (" of every step backwards", True, True),
        )
    },
    "gru with its reset before": (recurrent.Gru(3, reset_after=False), (5, 4)),
    "bidirectional": (wrappers.Bidirectional(recurrent.Gru(3)), (5, 4)),
    "bidirectional of every step": (
        wrappers.Bidirectional(Lstm(3, sequences=True), "multiply"),
        (5, 4),
    ),
    "column_embedding": (embedding.ColumnEmbedding(), (5, 4)),
    "periodic_embedding": (periodic_embedding.PeriodicEmbedding(3, activation=Tanh()), (5, 4)),
    "time_distributed": (wrappers.TimeDistributed(convolution.Conv2d(2, 2)), (5, 3, 2, 2)),
    "add_position": (positions.AddPosition(), (5, 4)),
    "fixed add_position": (positions.AddPosition(learned=False), (5, 4)),
    "multi_head_attention": (attention.MultiHeadAttention(2), (5, 4)),
    "causal attention": (attention.MultiHeadAttention(2, causal=True), (5, 4)),
    "cross_attention": (dot_product_attention.CrossAttention(), ((5, 4), (5, 4))),
    "attention": (dot_product_attention.Attention(trained_scale=True), ((5, 4), (5, 4))),
    "causal attention of three": (
        dot_product_attention.Attention(causal=True, dropout=0.2),
        ((5, 4), (5, 4), (5, 3)),
    ),
    "multi_head_attention of two": (attention.MultiHeadAttention(2), ((5, 4), (5, 3))),
    "multi_head_attention of three": (
        attention.MultiHeadAttention(2, dropout=0.2),
        ((5, 4), (5, 3), (5, 2)),
    ),
    "grouped_query_attention": (attention.GroupedQueryAttention(4, 2, True, head_size=2), (5, 4)),
    "grouped_query_attention of two": (
        attention.GroupedQueryAttention(2, 1, rotary=100),
        ((5, 4), (5, 3)),
    ),
    "rotary_positions": (positions.RotaryPositions(), (5, 4)),
    "transformer_encoder": (transformer.TransformerEncoder(2), (5, 4)),
    "transformer_encoder with the norm first": (
        transformer.TransformerEncoder(2, norm_first=True, causal=True, rotary=100),
        (5, 4),
    ),
    "transformer_decoder": (transformer.TransformerDecoder(2, 5, Tanh()), ((5, 4), (5, 3))),
    "transformer_decoder of one": (transformer.TransformerDecoder(2, norm_first=True), (5, 4)),
    "gaussian_sample": (sampling.GaussianSample(), (5, 4)),
    "residual": (composition.Residual(BLOCK), (5, 4)),
    "stack": (composition.Stack(BLOCK, times=2), (5, 4)),
    "add": (joins.Add(), ((5, 4), (5, 4))),
    "subtract": (joins.Subtract(), ((5, 4), (5, 4))),
    "multiply": (joins.Multiply(), ((5, 4), (5, 4))),
    "average": (joins.Average(), ((5, 4), (5, 4))),
    "maximum": (joins.Maximum(), ((5, 4), (5, 4))),
    "minimum": (joins.Minimum(), ((5, 4), (5, 4))),
    "concat": (joins.Concat(), ((5, 4), (5, 3))),
    "dot": (joins.Dot(), ((5, 4), (5, 4))),
    "distance": (joins.Distance(), ((5, 4), (5, 4))),
    "group_norm": (group_normalization.GroupNorm(2), (5, 4)),
    "group_norm of images": (group_normalization.GroupNorm(2), (5, 3, 4)),
    "instance_norm": (group_normalization.InstanceNorm(), (5, 4)),
    "instance_norm of images": (group_normalization.InstanceNorm(), (5, 3, 2)),
    "rms_norm": (row_normalization.RmsNorm(), (5, 4)),
    "unit_norm": (row_normalization.UnitNorm(), (5, 4)),
    "spectral_norm": (spectral_norm.SpectralNorm(dense.Dense(3)), (5, 4)),
    "alpha_dropout": (noise.AlphaDropout(0.3), (5, 4)),
    "gaussian_dropout": (noise.GaussianDropout(0.3), (5, 4)),
    "gaussian_noise": (noise.GaussianNoise(0.3), (5, 4)),
    "spatial_dropout1d": (noise.SpatialDropout1d(0.3), (5, 4)),
    "spatial_dropout2d": (noise.SpatialDropout2d(0.3), (5, 3, 2)),
    "spatial_dropout3d": (noise.SpatialDropout3d(0.3), (5, 2, 2, 2)),
    "einsum_dense": (
        einsum_dense.EinsumDense("abc,cd->abd", (None, 3), Softmax(), bias_axes="d"),
        (5, 4),
    ),
    "einsum_dense of further axes": (
        einsum_dense.EinsumDense("...bc,cd->...db", (3, None), bias_axes="db"),
        (5, 2, 4),
    ),
    "maxout": (maxout.Maxout(3), (5, 4)),
    "bilinear": (bilinear.Bilinear(2), ((5, 4), (5, 3))),
    "rescaling": (rescaling.Rescaling(0.5, -1), (5, 4)),
}
UNSUPPORTED = {
    "conv1d without padding": (convolution.Conv1d(2), (5, 4)),
    "conv1d with stride": (convolution.Conv1d(2, stride=2, padding="same"), (5, 4)),
    "conv1d of reflections": (
        convolution.Conv1d(2, padding="same", padding_mode="reflect"),
        (5, 4),
    ),
    "conv2d": (convolution.Conv2d(2), (5, 4, 2)),
    "conv3d": (convolution.Conv3d(2), (5, 4, 3, 2)),
    **{
        f"conv{dims}d_transpose": (
            getattr(transposed_convolution, f"Conv{dims}dTranspose")(2),
            (5, 4, 3, 2)[: dims + 1],
        )
        for dims in (1, 2, 3)
    },
    "depthwise_conv2d": (depthwise_convolution.DepthwiseConv2d(), (5, 4, 2)),
    "separable_conv2d": (depthwise_convolution.SeparableConv2d(2), (5, 4, 2)),
    **{
        f"{name}_pool{dims}d": (
            getattr(pooling, f"{name.title()}Pool{dims}d")(),
            (5, 4, 2, 2)[: dims + 1],
        )
        for name in ("max", "average")
        for dims in (1, 2, 3)
    },
    "random_contrast": (augmentation.RandomContrast(0.1), (5, 4, 2)),
    "random_crop": (augmentation.RandomCrop(2, 2), (5, 4, 2)),
    "random_flip": (augmentation.RandomFlip(), (5, 4, 2)),
    "random_rotation": (augmentation.RandomRotation(0.1), (5, 4, 2)),
    "random_translation": (augmentation.RandomTranslation(0.1, 0.1), (5, 4, 2)),
    "random_zoom": (augmentation.RandomZoom(0.1), (5, 4, 2)),
    "flatten": (dense.Flatten(), (5, 4)),
    **{
        f"adaptive_{name}_pool{dims}d": (
            getattr(adaptive_pooling, f"Adaptive{name.title()}Pool{dims}d")(2),
            (5, 4, 3, 2)[: dims + 1],
        )
        for name in ("max", "average")
        for dims in (1, 2, 3)
    },
    "reshape": (shapes.Reshape((20,)), (5, 4)),
    "permute": (shapes.Permute((2, 1)), (5, 4)),
    "repeat_vector": (shapes.RepeatVector(2), (5,)),
    **{
        f"{name}{dims}d": (getattr(shapes, f"{name}{dims}d")(), (5, 4, 3, 2)[: dims + 1])
        for name in ("UpSampling", "ZeroPadding", "Cropping")
        for dims in (1, 2, 3)
    },
}


def case(layer, shape):
    if layer.joins:
        layer, shape = one_input(layer, shape)
    return LayerCase(layer, np.random.default_rng(0).normal(size=(4, *shape)))


def test_every_built_in_layer_supports_masks_or_is_known_not_to():
    own = [e for e in installed() if e.kind == "layer" and e.plugin == "nnreg"]
    tried = {type(layer) for layer, _ in (*LAYERS.values(), *UNSUPPORTED.values())}
    assert {e.cls for e in own} == tried | {embedding.Embedding}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [n for n, (layer, _) in LAYERS.items() if layer.exact_gradient])
def test_gradients_with_masks_are_those_of_central_differences(name, training):
    tried = MaskedPass(case(*LAYERS[name]), LENGTHS, training=training)
    _, dx = tried.run()
    dp = tried.gradient.copy()
    np.testing.assert_allclose(dp, central_difference(tried.loss, tried.network.vector), atol=1e-7)
    assert np.all(dx[~tried.real] == 0)
    np.testing.assert_allclose(dx, central_difference(tried.loss, tried.x), atol=1e-7)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_a_mask_of_real_steps_alone_changes_nothing(name, training):
    plain = Pass(case(*LAYERS[name]), training=training)
    tried = MaskedPass(case(*LAYERS[name]), FULL, training=training)
    (y, dx), (found, dx_found) = plain.run(), tried.run()
    close = {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(found, y, **close)
    np.testing.assert_allclose(dx_found, dx, **close)
    np.testing.assert_allclose(tried.gradient, plain.gradient, **close)
    np.testing.assert_allclose(tried.network.state_vector, plain.network.state_vector, **close)


@pytest.mark.parametrize("name", LAYERS)
def test_a_mask_may_be_of_another_array_type(name):
    plain, tried = (MaskedPass(case(*LAYERS[name]), LENGTHS, strict=strict) for strict in (0, 1))
    (y, dx), (found, dx_found) = plain.run(), tried.run()
    np.testing.assert_allclose(found, y, rtol=1e-12)
    np.testing.assert_allclose(dx_found, dx, rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_results_with_masks_are_float32_and_finite_for_float32(name):
    tried = MaskedPass(case(*LAYERS[name]), LENGTHS, dtype=np.float32)
    tried.x = np.where(tried.real, tried.x, np.float32(-1e4))
    y, dx = tried.run()
    assert (y.dtype, dx.dtype) == (np.float32, np.float32)
    assert all(np.all(np.isfinite(found)) for found in (y, dx, tried.gradient))


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_layer_without_masks_is_refused_by_name(name):
    layer, shape = UNSUPPORTED[name]
    with pytest.raises(SpecError, match=rf"\$\.layers\[0\].*{type(layer).__name__} does not"):
        LayerBuilder("$").layer("layers/0", layer, shape, mask="input")


ROWS = {
    "dense": (dense.Dense(3), (5,)),
    "activation": (dense.ActivationLayer(Softmax()), (5,)),
    "layer_norm": (normalization.LayerNorm(), (5,)),
    "batch_norm": (normalization.BatchNorm(), (5,)),
    "gaussian_sample": (sampling.GaussianSample(), (4,)),
    "dot": (joins.Dot(), ((5,), (5,))),
    "distance": (joins.Distance(), ((5,), (5,))),
    "group_norm": (group_normalization.GroupNorm(1), (5,)),
    "instance_norm": (group_normalization.InstanceNorm(), (5,)),
    "rms_norm": (row_normalization.RmsNorm(), (5,)),
    "unit_norm": (row_normalization.UnitNorm(), (5,)),
    "maxout": (maxout.Maxout(3), (5,)),
    "bilinear": (bilinear.Bilinear(2), ((5,), (5,))),
    "einsum_dense": (einsum_dense.EinsumDense("...b,bc->...c", 3), (5,)),
    "einsum_dense over steps": (einsum_dense.EinsumDense("abc,bd->adc", (3, None)), (5, 4)),
    "einsum_dense that moves steps": (einsum_dense.EinsumDense("abc,cd->adb", (3, None)), (5, 4)),
    "concat": (joins.Concat(), ((5,), (5,))),
    "concat of steps": (joins.Concat(axis=0), ((5, 4), (5, 4))),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_layer_over_the_axis_of_the_steps_is_refused(name):
    with pytest.raises(SpecError, match="sequences of different lengths"):
        MaskedPass(case(*ROWS[name]), LENGTHS)


def test_an_embedding_and_dropout_take_a_single_axis_of_steps():
    index = np.array([[1, 2, 3, 0, 1], [3, 3, 0, 0, 0]])
    tried = MaskedPass(LayerCase(embedding.Embedding(4, 3), index), {"0": np.array([5, 2])})
    tried.run()
    once = tried.gradient.copy()
    tried.x[1, 2:] = 2
    tried.run()
    np.testing.assert_array_equal(tried.gradient, once)
    MaskedPass(case(dense.Dropout(), (5,)), LENGTHS).run()


def test_a_repeated_stack_gives_each_repetition_the_mask():
    builder = LayerBuilder("$")
    stack = composition.Stack((dense.Dense(4), Lstm(4, sequences=True)), times=2)
    builder.layer("layers/0", stack, (5, 4), mask="input")
    _, plan = builder.children["layers/0"]
    assert plan.output_mask == "input"
    assert [child.masks for _, child in plan.children.values()] == [("input",)] * 2


@pytest.mark.parametrize("lengths", [[1, 0, 0, 0], [0, 0, 0, 0]])
def test_batch_norm_of_a_single_step_or_none_uses_and_keeps_the_running_statistics(lengths):
    lengths = {"0": np.array(lengths)}
    tried, expected = (
        MaskedPass(case(*LAYERS["batch_norm"]), lengths, training=training)
        for training in (True, False)
    )
    state = tried.network.state_vector.copy()
    (y, dx), (y_expected, dx_expected) = tried.run(), expected.run()
    np.testing.assert_array_equal(tried.network.state_vector, state)
    real = tried.real
    np.testing.assert_allclose(y[real], y_expected[real], rtol=1e-12)
    np.testing.assert_allclose(dx, dx_expected, rtol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_batches_of_other_lengths_need_no_more_arrays(name):
    """A pass reuses the arrays of the one before, whatever the number of real steps."""
    tried = MaskedPass(case(*LAYERS[name]), LENGTHS)
    tried.run()
    workspace = tried.context.workspace
    held = len(workspace._buffers)
    for longest in (1, 2, 3, 4):
        workspace.masks = {
            name: np.arange(5) < np.array([longest, 2, 1, 1])[:, None] for name in workspace.masks
        }
        tried.run()
    assert len(workspace._buffers) == held
