"""Tests of the installed plugin: discovery, correctness, training, checkpoints."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from nnreg_kan import Kan, b_splines

import nnreg
from nnreg import TrainableActivation
from nnreg.builtin.initializers import Ones
from nnreg.registry.registry import installed
from nnreg.runs.run import prepare_run
from nnreg.testing import check_layer, checks

SURFACE = Path(__file__).parent.parent / "example" / "surface.json"


@pytest.mark.parametrize("check", checks(Kan), ids=str)
def test_kan_conforms(check):
    check()


@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_the_gradient_is_correct_for_every_degree(shape):
    for order in range(2, 6):
        check_layer(Kan(units=2, order=order, intervals=4), shape)


@pytest.mark.parametrize("order", range(2, 6))
def test_the_splines_sum_to_one_on_the_grid_and_are_zero_far_from_it(order):
    inside, _ = b_splines(np.linspace(0, 5, 101)[:-1], 5, order)
    assert inside.shape == (100, 5 + order)
    np.testing.assert_allclose(inside.sum(axis=-1), 1, atol=1e-14)
    assert inside.min() >= 0
    outside, _ = b_splines(np.array([-order - 0.01, 5 + order + 0.01]), 5, order)
    assert not outside.any()


def test_a_cubic_spline_has_the_textbook_values():
    """At the knots inside it a cubic B-spline is 1/6, 4/6 and 1/6."""
    at_knots, _ = b_splines(np.arange(5.0), 4, 3)
    np.testing.assert_allclose(at_knots[:, 3], [0, 1 / 6, 4 / 6, 1 / 6, 0], atol=1e-15)


@pytest.mark.parametrize("degree", range(4))
def test_cubic_splines_represent_any_polynomial_of_their_degree(degree):
    x = np.linspace(-2.9, 2.9, 50)
    splines, _ = b_splines((x + 3) / 1.2, 5, 3)
    _, residual, *_ = np.linalg.lstsq(splines, x**degree)
    assert residual.sum() < 1e-20


def test_outside_the_grid_only_the_base_function_remains():
    spec = {
        "model": {"layers": [{"type": "kan", "units": 1, "span": 1, "base": "identity"}],
                  "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": "sgd",
    }  # fmt: skip
    model = nnreg.build(spec, data=([[0.0], [1.0]], [0.0, 1.0]))
    weight = model.parameters["layers/0/weight"][0, 0]
    np.testing.assert_allclose(model.predict([[50.0], [-90.0]]), [50 * weight, -90 * weight])


def train(*overrides):
    run = prepare_run(SURFACE, overrides=overrides)
    run.train()
    return run.summary


def dense(activation, rate):
    hidden = ",".join(
        f'{{"type":"dense","units":{units},"activation":"{activation}"}}' for units in (10, 9)
    )
    layers = f'model.layers=[{hidden},{{"type":"dense","units":1}}]'
    return train(layers, f"optimizer.learning_rate={rate}")


def test_the_example_fits_better_than_dense_networks_of_its_size():
    """A third of the loss of the best of two activations and two rates, for as many epochs."""
    kan = train()
    others = [dense(activation, rate) for activation in ("tanh", "silu") for rate in (0.01, 0.03)]
    assert all(other["parameters"] >= kan["parameters"] for other in others)
    best = min(other["test"]["loss"] for other in others)
    assert kan["test"]["loss"] < best / 3
    assert kan["test"]["r2"] > 0.9995


def test_its_checkpoint_reloads(tmp_path):
    model = nnreg.run(SURFACE, out=tmp_path / "run", overrides=["train.epochs=2"])
    loaded = nnreg.load(tmp_path / "run" / "checkpoints" / "best.h5")
    rows = [{"x": 0.1, "y": -0.4}, {"x": -1.4, "y": 1.5}]
    assert loaded.predict(rows).tobytes() == model.predict(rows).tobytes()


def test_it_is_discovered_with_its_distribution_and_version():
    entry = installed().find("layer", "kan")
    assert entry.cls is Kan
    assert entry.provider == "nnreg-kan 1.0"
    assert installed().plugins["kan"].state == "loaded"


def test_the_base_may_have_parameters():
    @dataclass(frozen=True)
    class Scaled(TrainableActivation):
        """scale · x"""

        def build(self, shape, builder):
            builder.param("scale", shape, Ones())
            return shape

        def forward(self, x, context):
            scale = context.params["scale"]

            def backward(dy):
                np.sum(dy * x, axis=0, out=context.gradients["scale"])
                return dy * scale

            return scale * x, backward

    for shape in ((4,), (2, 3)):
        check_layer(Kan(units=2, base=Scaled()), shape)
