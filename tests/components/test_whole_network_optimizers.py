"""Optimizers that need shapes, further passes or other weights, beside plain loops."""

import dataclasses

import numpy as np
import pytest

import nnreg
from nnreg.testing import optimizers as conformance
from tests.helpers import optimizers
from tests.helpers.optimizers import Lamb, Lbfgs, Muon, Sam, ScheduleFree

EXAMPLES = (Muon(), Lamb(), Sam(), Lbfgs(), ScheduleFree())
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 5))
Y = X @ RNG.normal(size=(5, 3)) + 0.1 * RNG.normal(size=(48, 3)) + 1
BATCH = 16


@pytest.mark.parametrize("optimizer", EXAMPLES, ids=lambda one: type(one).__name__)
def test_it_passes_the_conformance_checks(optimizer):
    conformance.check_optimizer(optimizer)


def trained(optimizer, epochs=3, batch_size=BATCH):
    """Return a linear model trained in order, and its weight and bias before."""
    nnreg.register("example", type(optimizer))
    options = dataclasses.asdict(optimizer)
    spec = {
        "model": {"layers": [{"type": "dense", "units": 3}], "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": {"type": "example", **options},
        "train": {"epochs": epochs, "batch_size": batch_size, "shuffle": False},
    }
    model = nnreg.build(spec, data=(X, Y))
    before = [array.copy() for array in model.parameters.values()]
    model.fit(X, Y)
    return model, before


class Batches:
    """The batches of a linear model on standardized data, with the loss and its gradient."""

    def __init__(self, model, size=BATCH):
        examples = model.examples(X, Y)
        self.x, self.t, self.size = examples.x, examples.targets, size

    def __iter__(self):
        for _ in range(3):
            for start in range(0, len(self.x), self.size):
                rows = slice(start, start + self.size)
                yield lambda p, rows=rows: self.loss(p, self.x[rows], self.t[rows])

    @staticmethod
    def loss(parameters, x, t):
        weight, bias = parameters
        error = x @ weight + bias - t
        slope = 2 * error / error.size
        return np.mean(error**2), [x.T @ slope, slope.sum(axis=0)]


def assert_equal(model, expected):
    for found, array in zip(model.parameters.values(), expected, strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-9, atol=1e-11)


def test_muon_is_its_formula_on_each_matrix(registering):
    model, p = trained(Muon(0.05))
    momentum = [np.zeros_like(one) for one in p]
    for loss in Batches(model):
        for k, g in enumerate(loss(p)[1]):
            momentum[k] = 0.95 * momentum[k] + g
            u = g + 0.95 * momentum[k]
            if u.ndim == 2:
                u = np.sqrt(5 / 3) * optimizers.orthogonal(u)
            p[k] = p[k] - 0.05 * u
    assert_equal(model, p)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4)])
def test_the_steps_of_muon_have_singular_values_near_1(shape):
    matrix = RNG.normal(size=shape)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    found = left.T @ optimizers.orthogonal(matrix) @ right.T
    assert np.all(np.abs(np.diag(found) - 1) < 0.5)
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-9)


def test_lamb_is_its_formula_on_each_array(registering):
    model, p = trained(Lamb(0.05))
    m, v = ([np.zeros_like(one) for one in p] for _ in range(2))
    for count, loss in enumerate(Batches(model), 1):
        for k, g in enumerate(loss(p)[1]):
            m[k], v[k] = 0.9 * m[k] + 0.1 * g, 0.999 * v[k] + 0.001 * g**2
            u = m[k] / (1 - 0.9**count) / (np.sqrt(v[k] / (1 - 0.999**count)) + 1e-6)
            u = u + 0.01 * p[k]
            norm = np.linalg.norm(p[k])
            p[k] = p[k] - 0.05 * (norm / np.linalg.norm(u) if norm else 1) * u
    assert_equal(model, p)


def test_sam_steps_by_the_gradient_of_the_same_batch_at_the_worst_point_nearby(registering):
    model, p = trained(Sam(0.1))
    for loss in Batches(model):
        _, g = loss(p)
        norm = np.sqrt(sum(np.sum(one**2) for one in g))
        _, g = loss([one + 0.05 * along / norm for one, along in zip(p, g, strict=True)])
        p = [one - 0.1 * along for one, along in zip(p, g, strict=True)]
    assert_equal(model, p)


def test_lbfgs_with_a_line_search_is_a_plain_loop(registering):
    model, start = trained(Lbfgs())
    p, shapes, pairs = np.concatenate([one.ravel() for one in start]), [(5, 3), (3,)], []

    def flat(loss, p):
        value, (weight, bias) = loss([p[:15].reshape(5, 3), p[15:]])
        return value, np.concatenate([weight.ravel(), bias])

    for loss in Batches(model):
        value, g = flat(loss, p)
        inverse = np.eye(len(p))
        if pairs:
            s, y = pairs[-1]
            inverse *= s @ y / (y @ y)
        for s, y in pairs:  # the BFGS formula itself, on the whole matrix
            left = np.eye(len(p)) - np.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
        direction, size = -inverse @ g, 1.0 if pairs else min(1, 1 / np.abs(g).sum())
        while flat(loss, p + size * direction)[0] > value + 1e-4 * size * direction @ g:
            size /= 2
        s, y = size * direction, flat(loss, p + size * direction)[1] - g
        pairs = [*pairs, (s, y)][-5:]
        p = p + s
        assert s @ y > 0
    assert_equal(model, [p[:15].reshape(shapes[0]), p[15:]])


def test_lbfgs_finds_the_least_squares_solution_in_a_few_steps(registering):
    model, _ = trained(Lbfgs(), epochs=20, batch_size=48)
    examples = model.examples(X, Y)
    ones = np.ones((48, 1))
    expected = np.linalg.lstsq(np.hstack([examples.x, ones]), examples.targets, rcond=None)[0]
    np.testing.assert_allclose(model.parameters["layers/0/weight"], expected[:-1], atol=1e-7)


def test_schedule_free_adamw_is_its_formula_and_predicts_with_the_mean(registering):
    model, start = trained(ScheduleFree(0.05))
    z, x, v = [*start], [*start], [np.zeros_like(one) for one in start]
    for count, loss in enumerate(Batches(model), 1):
        y = [0.1 * one + 0.9 * mean for one, mean in zip(z, x, strict=True)]
        for k, g in enumerate(loss(y)[1]):
            v[k] = 0.999 * v[k] + 0.001 * g**2
            z[k] = z[k] - 0.05 * (g / (np.sqrt(v[k] / (1 - 0.999**count)) + 1e-8) + 0.01 * y[k])
            x[k] = (1 - 1 / count) * x[k] + z[k] / count
    for found, array in zip(model.inference_network.parameters.values(), x, strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-9, atol=1e-11)
    examples = model.examples(X, Y)
    np.testing.assert_allclose(
        model.evaluate(X, Y)["loss"], Batches.loss(x, examples.x, examples.targets)[0], rtol=1e-9
    )
