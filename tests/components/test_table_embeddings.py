"""Embeddings of the features of a table: its categories beside numbers, and its numbers."""

import numpy as np
import pytest

from nnreg import SpecError
from nnreg.builtin.activations import Identity, Tanh
from nnreg.builtin.layers.embedding import ColumnEmbedding
from nnreg.builtin.layers.periodic_embedding import PeriodicEmbedding
from nnreg.interfaces.features import Features
from nnreg.interfaces.layer import LayerBuilder
from nnreg.testing.finite_differences import require_gradient
from nnreg.testing.layer_pass import LayerCase, Pass

FEATURES = Features((0, 3), {1: 4, 4: 3})
"""A number, a position of 4, another feature, a number, a position of 3."""

TABLE = np.array([[0.5, 1, 0, -1.25, 2], [2.0, 3, 1, 0.25, 0], [-0.75, 1, 0, 1.5, 1]])


class TablePass(Pass):
    """A layer that knows what its features are."""

    features = FEATURES

    def declare(self, root, layer, size):
        root.input_features = {"input": self.features}
        built = root.chain([layer], size)
        self.plan = root.children["layers/0"][1]
        return built


def run(layer, x=TABLE, **options):
    tried = TablePass(LayerCase(layer, x), **options)
    y, dx = tried.run()
    return tried, y, dx


def parameters(tried, name):
    return tried.inner.params[name]


def test_positions_become_vectors_after_the_other_features():
    tried, y, dx = run(ColumnEmbedding(2))
    weights = [tried.inner.children[f"columns/{number}"].params["weight"] for number in (0, 1)]
    assert [weight.shape for weight in weights] == [(4, 2), (3, 2)]
    vectors = [
        weight[TABLE[:, place].astype(int)] for weight, place in zip(weights, (1, 4), strict=True)
    ]
    np.testing.assert_array_equal(y, np.hstack([TABLE[:, [0, 2, 3]], *vectors]))
    np.testing.assert_array_equal(dx[:, [1, 4]], 0)
    np.testing.assert_array_equal(dx[:, [0, 2, 3]], tried.dy[:, :3])
    require_gradient("it", "the gradient", tried.gradient, tried.loss, tried.network.vector)
    assert tried.plan.output_features == Features((0, 2), {})


def test_a_vector_without_rows_has_a_gradient_of_zero():
    tried, _, _ = run(ColumnEmbedding(2), filled=np.nan)
    gradient = tried.inner.children["columns/0"].gradients["weight"]
    np.testing.assert_array_equal(gradient[[0, 2]], 0)
    assert (gradient[[1, 3]] != 0).all()


@pytest.mark.parametrize(("count", "units"), [(2, 2), (4, 3), (12, 6), (100, 21), (5000, 50)])
def test_the_length_of_vectors_grows_with_the_number_of_categories(count, units):
    builder = LayerBuilder("$", features=Features((), {0: count}))
    assert ColumnEmbedding().build((1,), builder) == (units,)


@pytest.mark.parametrize("features", [None, Features((0, 1, 2, 3, 4))])
def test_without_positions_the_output_is_the_input(features, monkeypatch):
    monkeypatch.setattr(TablePass, "features", features)
    _, y, _ = run(ColumnEmbedding())
    np.testing.assert_array_equal(y, TABLE)


def test_more_categories_than_float32_distinguishes_are_refused():
    builder = LayerBuilder("$", features=Features((), {0: 2**24 + 1}))
    with pytest.raises(SpecError, match=r"16,777,217 categories; set max_categories"):
        ColumnEmbedding().build((1,), builder)


def test_float32_distinguishes_the_last_of_the_most_categories():
    assert np.float32(2**24 - 1) != np.float32(2**24 - 2)
    assert int(np.float32(2**24 - 1)) == 2**24 - 1


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_numbers_become_vectors_and_the_others_stay(shared, keep):
    layer = PeriodicEmbedding(3, 4, 0.5, shared, keep, Identity())
    tried, y, _ = run(layer)
    c, weight, bias = (parameters(tried, one) for one in ("frequencies", "weight", "bias"))
    vectors = []
    for index, place in enumerate(FEATURES.numbers):
        angles = 2 * np.pi * TABLE[:, [place]] * c[index]
        own = (weight, bias) if shared else (weight[index], bias[index])
        vectors.append(np.hstack([np.cos(angles), np.sin(angles)]) @ own[0] + own[1])
    others = TABLE if keep else TABLE[:, [1, 2, 4]]
    np.testing.assert_allclose(y, np.hstack([others, *vectors]), rtol=1e-13, atol=1e-13)
    expected = FEATURES if keep else Features((), {0: 4, 2: 3})
    assert tried.plan.output_features == expected


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_the_gradients_are_those_of_differences(shared, keep):
    tried, _, dx = run(PeriodicEmbedding(3, 2, 0.5, shared, keep, Tanh()), filled=np.nan)
    require_gradient("it", "the gradient", tried.gradient, tried.loss, tried.network.vector)
    tried.x = tried.x.copy()
    require_gradient("it", "the input's gradient", dx, tried.loss, tried.x)


def test_a_table_without_numbers_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(TablePass, "features", Features((), {1: 4}))
    tried, y, _ = run(PeriodicEmbedding())
    np.testing.assert_array_equal(y, TABLE)
    assert not tried.network.vector.size


@pytest.mark.parametrize("order", [1, -1])
def test_either_may_follow_the_other(order):
    builder = LayerBuilder("$.model", input_features={"input": FEATURES})
    layers = [ColumnEmbedding(2), PeriodicEmbedding(3)][::order]
    assert builder.chain(layers, (5,)) == (1 + 2 * 3 + 2 * 2,)


def test_the_frequencies_and_weights_of_each_number_are_drawn_alike():
    tried, _, _ = run(PeriodicEmbedding(50, 100, 0.25, activation=Identity()))
    tried.network.initialize(1)
    assert parameters(tried, "frequencies").std() == pytest.approx(0.25, rel=0.2)
    limit = np.sqrt(6 / 250)
    for weight in parameters(tried, "weight"):
        assert 0.95 * limit < np.abs(weight).max() <= limit


def test_steps_of_sequences_are_embedded_one_by_one():
    x = np.stack([TABLE, TABLE[::-1]])
    for layer in (ColumnEmbedding(2), PeriodicEmbedding(2, 2, activation=Tanh())):
        tried, y, _ = run(layer, x)
        _, rows, _ = run(layer)
        np.testing.assert_allclose(y[0], rows, rtol=1e-13)
        np.testing.assert_allclose(y[1], rows[::-1], rtol=1e-13)
        require_gradient("it", "the gradient", tried.gradient, tried.loss, tried.network.vector)
