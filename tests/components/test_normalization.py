"""Norms of each example: masks, numbers of any size, and what cannot be normalized."""

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.layers.group_normalization import GroupNorm, InstanceNorm
from nnreg.builtin.layers.normalization import LayerNorm
from nnreg.builtin.layers.row_normalization import RmsNorm, UnitNorm
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 4)])
@pytest.mark.parametrize("layer", [GroupNorm(2), GroupNorm(1), InstanceNorm()], ids=str)
def test_padded_sequences_are_normalized_as_each_alone(layer, shape):
    case = LayerCase(layer, RNG.normal(size=(4, *shape)))
    lengths = np.array([5, 2, 3, 4])
    together = MaskedPass(case, {"0": lengths})
    y, dx = together.run()
    total = np.zeros_like(together.gradient)
    for row, length in enumerate(lengths):
        alone = Pass(LayerCase(layer, case.x[row : row + 1, :length]))
        alone.dy = together.dy[row : row + 1, :length]
        y_alone, dx_alone = alone.run()
        np.testing.assert_allclose(y[row, :length], y_alone[0], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(dx[row, :length], dx_alone[0], rtol=1e-12, atol=1e-14)
        total += alone.gradient
    np.testing.assert_allclose(together.gradient, total, rtol=1e-12, atol=1e-14)


def test_a_sequence_of_one_step_becomes_beta():
    tried = MaskedPass(
        LayerCase(InstanceNorm(), RNG.normal(size=(2, 3, 4))), {"0": np.ones(2, int)}
    )
    y, dx = tried.run()
    beta = tried.network.parameters["layers/0/beta"]
    np.testing.assert_allclose(y[:, 0], [beta, beta])
    assert not dx.any()


def test_a_single_group_without_positions_is_layer_norm():
    x = RNG.normal(size=(3, 6))
    group, layer = (Pass(LayerCase(one, x)) for one in (GroupNorm(1), LayerNorm()))
    for found, expected in zip(group.run(), layer.run(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(group.gradient, layer.gradient, rtol=1e-12)


@pytest.mark.parametrize("layer", [GroupNorm(2), InstanceNorm()], ids=str)
def test_float32_images_far_from_zero_are_normalized_as_in_float64(layer):
    x = (RNG.normal(size=(2, 60, 50, 4)) + 1000).astype(np.float32)
    found, expected = (
        Pass(LayerCase(layer, x), dtype=dtype).run()[0] for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e30, 1e37])
def test_unit_norm_takes_float32_numbers_of_any_size(scale):
    x = (RNG.normal(size=(3, 6)) * scale).astype(np.float32)
    tried = Pass(LayerCase(UnitNorm(), x), dtype=np.float32)
    y, dx = tried.run()
    exact = x.astype(float) / np.linalg.norm(x.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(y, exact, rtol=1e-6)
    assert np.isfinite(dx).all()


def test_unit_norm_keeps_zeros_and_gives_them_no_gradient():
    x = np.array([[0.0, 0.0], [3.0, 4.0], [1e-13, 0.0]])
    y, dx = Pass(LayerCase(UnitNorm(), x)).run()
    np.testing.assert_allclose(y, [[0, 0], [0.6, 0.8], [0, 0]])
    assert not dx[[0, 2]].any()
    assert dx[1].any()


REFUSED = [
    ({"type": "group_norm", "groups": 4}, (4,), "is the same for every input of shape (batch, 4)"),
    ({"type": "group_norm", "groups": 3}, (4,), "a multiple of 3, groups"),
    ({"type": "instance_norm"}, (4,), "(batch, ..., channels) with two positions or more"),
    ({"type": "instance_norm"}, (1, 1, 4), "with two positions or more"),
    ({"type": "rms_norm"}, (4, 1), "(batch, ..., features) with two features or more"),
    ({"type": "unit_norm"}, (1,), "(batch, ..., features) with two features or more"),
]


@pytest.mark.parametrize(("layer", "shape", "problem"), REFUSED)
def test_a_single_value_cannot_be_normalized(layer, shape, problem):
    spec = {
        "model": {"layers": [layer, "flatten", {"type": "dense", "units": 1}]},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
        "train": {"epochs": 1},
    }
    with pytest.raises(SpecError) as error:
        nnreg.build(spec, data=(RNG.normal(size=(6, *shape)), np.arange(6.0)))
    assert "$.model.layers[0]: " in str(error.value)
    assert problem in str(error.value)


def test_rms_norm_has_the_mean_square_of_one():
    x = RNG.normal(size=(50, 8)) * 7 + 3
    tried = Pass(LayerCase(RmsNorm(epsilon=1e-12), x))
    y, _ = tried.run()
    y /= tried.network.parameters["layers/0/gamma"]
    np.testing.assert_allclose(np.mean(y**2, axis=1), 1)
