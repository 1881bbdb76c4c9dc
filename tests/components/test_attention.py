"""Attention: grouped heads, dropout of the weights, rotary positions, inputs that are refused."""

import numpy as np
import pytest

from nnreg import ShapeError, SpecError
from nnreg.builtin.layers.attention import GroupedQueryAttention, MultiHeadAttention
from nnreg.builtin.layers.dot_product_attention import Attention
from nnreg.builtin.layers.positions import RotaryPositions
from nnreg.builtin.layers.transformer import TransformerDecoder, TransformerEncoder
from nnreg.interfaces import LayerBuilder
from nnreg.interfaces.join import flat_inputs, one_input
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass

RNG = np.random.default_rng(1)
X, MEMORY = RNG.normal(size=(2, 5, 4)), RNG.normal(size=(2, 3, 4))


def ran(layer, xs, **options):
    """Return a pass of a layer on inputs, with its output and the gradient of its input."""
    one, _ = one_input(layer, tuple(x.shape[1:] for x in xs))
    tried = Pass(LayerCase(one, flat_inputs(xs) if len(xs) > 1 else xs[0]), **options)
    return tried, *tried.run()


def test_as_many_heads_of_keys_as_of_queries_are_multi_head_attention():
    for xs in ([X], [X, MEMORY]):
        found, y, dx = ran(GroupedQueryAttention(2, 2, True), xs)
        expected, y_expected, dx_expected = ran(MultiHeadAttention(2, True), xs)
        np.testing.assert_array_equal(y, y_expected)
        np.testing.assert_array_equal(dx, dx_expected)
        np.testing.assert_array_equal(found.gradient, expected.gradient)


def test_dropout_is_of_the_weights_of_the_softmax_in_training_alone():
    _, y, _ = ran(Attention(dropout=0.5), [X, MEMORY])
    weights = np.exp(X @ MEMORY.swapaxes(1, 2) / 2)
    weights /= weights.sum(axis=-1, keepdims=True)
    kept = np.random.default_rng(5).random(weights.shape, dtype=np.float32) >= 0.5
    np.testing.assert_allclose(y, weights * kept * 2 @ MEMORY, rtol=1e-12)
    _, y, _ = ran(Attention(dropout=0.5), [X, MEMORY], training=False)
    np.testing.assert_allclose(y, weights @ MEMORY, rtol=1e-12)


def test_products_of_rotary_positions_depend_on_the_distance_of_the_steps_alone():
    same = np.broadcast_to(RNG.normal(size=(1, 1, 4)), (1, 6, 4)).copy()
    _, y, _ = ran(RotaryPositions(), [same])
    products = y[0] @ y[0].T
    for distance in range(6):
        np.testing.assert_allclose(np.ptp(np.diag(products, distance)), 0, atol=1e-12)
    assert len({round(products[0, k], 6) for k in range(6)}) == 6


def test_rotary_attention_predicts_sequences_of_any_length():
    long, short = ran(MultiHeadAttention(2, True, rotary=100.0), [X])[1], X[:, :3]
    found, *_ = ran(MultiHeadAttention(2, True, rotary=100.0), [short])
    np.testing.assert_allclose(found.run()[0], long[:, :3], rtol=1e-12)


def test_a_decoder_without_memory_is_a_causal_encoder():
    found, y, dx = ran(TransformerDecoder(2, 3, dropout=0.3), [X])
    expected, y_expected, dx_expected = ran(TransformerEncoder(2, 3, dropout=0.3, causal=True), [X])
    np.testing.assert_array_equal(y, y_expected)
    np.testing.assert_array_equal(dx, dx_expected)
    np.testing.assert_array_equal(found.gradient, expected.gradient)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("layer", [Attention, MultiHeadAttention])
def test_without_a_real_key_the_weights_are_0(layer, causal):
    made = layer(causal=causal) if layer is Attention else layer(2, causal, bias=False)
    one, size = one_input(made, ((5, 4), (3, 4)))
    case = LayerCase(one, RNG.normal(size=(2, *size)))
    tried = MaskedPass(case, {"0": np.array([5, 5]), "1": np.array([0, 3])})
    y, dx = tried.run()
    assert np.all(y[0] == 0)
    assert np.all(dx[0] == 0)
    assert np.all(y[1] != 0)


@pytest.mark.parametrize(
    ("layer", "shapes", "problem"),
    [
        (MultiHeadAttention(3), ((5, 4),), "divisible by 3 heads"),
        (MultiHeadAttention(4, rotary=100.0), ((5, 4),), "an even size, which rotary"),
        (MultiHeadAttention(2), ((5, 4), (3, 4), (2, 4)), "values of 3 steps, as many as the keys"),
        (MultiHeadAttention(2), ((5, 4),) * 4, "one to three inputs"),
        (Attention(), ((5, 4), (3, 2)), "keys with 4 features, as many as the queries"),
        (Attention(), ((5, 4), (3,)), "two or three inputs"),
        (RotaryPositions(), ((5, 3),), "an even number of features"),
        (TransformerEncoder(3), ((5, 4),), "divisible by 3 heads"),
        (TransformerDecoder(2), ((5, 4), (4,)), "one or two inputs"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shapes, problem):
    given = shapes if layer.reads_several(len(shapes)) else shapes[0]
    with pytest.raises(ShapeError, match=problem):
        layer.build(given, LayerBuilder("$"))


def test_heads_that_cannot_be_shared_are_refused():
    with pytest.raises(
        ValueError, match=r"heads \(4\) must be a multiple of key_value_heads \(3\)"
    ):
        GroupedQueryAttention(4, 3)


def test_one_input_of_attention_between_inputs_is_refused():
    builder = LayerBuilder("$")
    with pytest.raises(SpecError, match="needs two inputs or more"):
        builder.layer("layers/0", Attention(), (5, 4))
