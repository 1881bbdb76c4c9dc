"""Optimizers that need shapes, further passes or other weights, beside plain loops."""

import itertools

import numpy as np
import pytest

import nnreg
from nnreg import SpecError
from nnreg.builtin.optimizers import by_layer
from nnreg.errors import NnregWarning
from nnreg.registry.registry import installed
from tests.helpers.specs import classifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 5))
Y = X @ RNG.normal(size=(5, 3)) + 0.1 * RNG.normal(size=(48, 3)) + 1
BATCH = 16


def trained(optimizer, epochs=7, batch_size=BATCH, **train):
    """Return a linear model trained in order, and its weight and bias before."""
    spec = {
        "model": {"layers": [{"type": "dense", "units": 3}], "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": optimizer,
        "train": {"epochs": epochs, "batch_size": batch_size, "shuffle": False, **train},
    }
    model = nnreg.build(spec, data=(X, Y))
    before = [array.copy() for array in model.parameters.values()]
    model.fit(X, Y)
    return model, before


class Batches:
    """The batches of a linear model on standardized data, with the loss and its gradient."""

    def __init__(self, model, size=BATCH, epochs=7):
        examples = model.examples(X, Y)
        self.x, self.t, self.size, self.epochs = examples.x, examples.targets, size, epochs

    def __iter__(self):
        for _ in range(self.epochs):
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


@pytest.mark.parametrize(
    ("scale", "size"), [("original", 1.0), ("match_rms_adamw", 0.2 * np.sqrt(5))]
)
def test_muon_is_its_formula_on_matrices_and_adamw_on_all_else(scale, size):
    rates = {"learning_rate": 0.05, "adamw_learning_rate_ratio": 0.2}
    model, p = trained({"type": "muon", "scale": scale, **rates})
    b, m, v = (np.zeros_like(p[k]) for k in (0, 1, 1))
    for count, loss in enumerate(Batches(model), 1):
        g = loss(p)[1]
        b = 0.95 * b + g[0]
        p[0] = 0.995 * p[0] - 0.05 * size * by_layer.orthogonal(g[0] + 0.95 * b)
        m, v = 0.9 * m + 0.1 * g[1], 0.999 * v + 0.001 * g[1] ** 2
        step = m / (1 - 0.9**count) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
        p[1] = 0.999 * p[1] - 0.01 * step
    assert_equal(model, p)


def test_muon_leaves_the_matrices_that_its_patterns_name_to_adamw():
    named = {"type": "muon", "adamw_parameters": ["*weight"], "weight_decay": 0.01}
    found, _ = trained(named)
    expected, _ = trained("adamw")
    assert_equal(found, expected.parameters.values())


def test_a_pattern_of_muon_without_a_parameter_is_refused():
    wrong = {"type": "muon", "adamw_parameters": ["*wieght"]}
    with pytest.raises(SpecError, match=r"optimizer: does not fit .* matches '\*wieght'"):
        trained(wrong)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4)])
def test_the_steps_of_muon_have_singular_values_near_1(shape):
    matrix = RNG.normal(size=shape)
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    found = left.T @ by_layer.orthogonal(matrix) @ right.T
    assert np.all(np.abs(np.diag(found) - 1) < 0.5)
    np.testing.assert_allclose(found - np.diag(np.diag(found)), 0, atol=1e-9)


def test_the_sides_of_a_matrix_are_those_of_pytorch_transposed():
    wide = {"type": "muon", "scale": "original", "learning_rate": 0.1, "weight_decay": 0}
    layers = [{"type": "dense", "units": 20, "bias": False}]
    spec = {"model": {"layers": layers, "dtype": "float64"}, "loss": "mean_squared_error",
            "optimizer": wide, "train": {"epochs": 1, "batch_size": 48}}  # fmt: skip
    y = RNG.normal(size=(48, 20))
    model = nnreg.build(spec, data=(X, y))
    before = model.parameters["layers/0/weight"].copy()
    model.fit(X, y)
    change = model.parameters["layers/0/weight"] - before
    sizes = np.linalg.svd(change, compute_uv=False) / 0.1
    assert np.all(np.abs(sizes / 2 - 1) < 0.5)  # 2 = √(20 / 5)


def test_lamb_is_its_formula_on_each_array():
    model, p = trained({"type": "lamb", "learning_rate": 0.05})
    m, v = ([np.zeros_like(one) for one in p] for _ in range(2))
    for count, loss in enumerate(Batches(model), 1):
        for k, g in enumerate(loss(p)[1]):
            m[k], v[k] = 0.9 * m[k] + 0.1 * g, 0.999 * v[k] + 0.001 * g**2
            u = m[k] / (1 - 0.9**count) / (np.sqrt(v[k] / (1 - 0.999**count)) + 1e-6)
            u = u + 0.01 * p[k]
            norm = np.linalg.norm(p[k])
            p[k] = p[k] - 0.05 * (norm / np.linalg.norm(u) if norm else 1) * u
    assert_equal(model, p)


def test_sam_steps_by_the_gradient_of_the_same_batch_at_the_worst_point_nearby():
    base = {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    model, p = trained({"type": "sam", "base": base})
    velocity = [0 * one for one in p]
    for loss in Batches(model):
        _, g = loss(p)
        norm = np.sqrt(sum(np.sum(one**2) for one in g))
        _, g = loss([one + 0.05 * along / norm for one, along in zip(p, g, strict=True)])
        velocity = [0.9 * one + along for one, along in zip(velocity, g, strict=True)]
        p = [one - 0.1 * along for one, along in zip(p, velocity, strict=True)]
    assert_equal(model, p)


def test_lookahead_follows_each_fifth_step_halfway_and_predicts_with_the_slow_weights():
    model, p = trained({"type": "lookahead", "base": {"type": "sgd", "learning_rate": 0.1}})
    slow = [one.copy() for one in p]
    for count, loss in enumerate(Batches(model), 1):
        p = [one - 0.1 * along for one, along in zip(p, loss(p)[1], strict=True)]
        if count % 5 == 0:
            slow = [one + 0.5 * (fast - one) for one, fast in zip(slow, p, strict=True)]
            p = [one.copy() for one in slow]
    assert_equal(model, p)
    for found, array in zip(model.inference_network.parameters.values(), slow, strict=True):
        np.testing.assert_allclose(found, array, rtol=1e-12)


def test_lookahead_around_an_optimizer_with_weights_of_its_own_is_refused():
    with pytest.raises(SpecError, match="optimizer: 'base' has weights of its own"):
        trained({"type": "lookahead", "base": "schedule_free_adamw"})


def test_a_schedule_and_rates_by_parameter_scale_the_rate_of_the_inner_optimizer():
    plain = {"type": "sgd", "learning_rate": 0.1}
    around = {"type": "lookahead", "base": plain, "slow_step_size": 1.0}
    spec = classifier(schedule="cosine", optimizer=plain, train={"epochs": 2, "batch_size": 20})
    spec["train"]["learning_rates"] = {"*bias": 3}
    x, y = RNG.normal(size=(60, 2)), RNG.integers(0, 3, 60)
    models = [nnreg.build({**spec, "optimizer": one}, data=(x, y)) for one in (plain, around)]
    for model in models:
        model.fit(x, y)
    plain_vector, around_vector = (model.network.vector for model in models)
    np.testing.assert_allclose(around_vector, plain_vector, rtol=1e-5, atol=1e-7)
    assert (
        models[0].history["learning_rate"].tolist() == models[1].history["learning_rate"].tolist()
    )


def test_optimizers_nest():
    base = {"type": "lookahead", "base": {"type": "nadam", "learning_rate": 0.01}}
    model, _ = trained({"type": "sam", "base": base, "radius": 0.1})
    assert list(model.training_state.optimizer_state) == [
        "base_slow", "base_base_m", "base_base_v",
    ]  # fmt: skip
    assert model.inference_network is not model.network


def wolfe(loss, p, step, direction, slope):
    """Return whether a step satisfies the strong Wolfe conditions, within rounding."""
    first, (found, gradient) = loss(p)[0], loss(p + step * direction)
    return (
        found <= first + 1e-4 * step * slope + 1e-15
        and abs(gradient @ direction) <= -0.9 * slope + 1e-15
    )


def flat(loss, p):
    value, (weight, bias) = loss([p[:15].reshape(5, 3), p[15:]])
    return value, np.concatenate([weight.ravel(), bias])


def test_lbfgs_steps_along_the_bfgs_direction_to_the_strong_wolfe_conditions():
    options = {"type": "lbfgs", "history_size": 3}
    models = [trained(options, epochs, 48) for epochs in range(1, 9)]
    points = [np.concatenate([one.ravel() for one in models[0][1]])]
    points += [model.network.vector.copy() for model, _ in models]
    (loss,) = Batches(models[0][0], 48, 1)
    pairs = []
    for p, after in itertools.pairwise(points):
        g = flat(loss, p)[1]
        inverse = np.eye(len(p))
        if pairs:
            s, y = pairs[-1]
            inverse *= s @ y / (y @ y)
        for s, y in pairs:  # the BFGS formula itself, on the whole matrix
            left = np.eye(len(p)) - np.outer(s, y) / (s @ y)
            inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
        direction, s = -inverse @ g, after - p
        step = (s @ direction) / (direction @ direction)
        np.testing.assert_allclose(s, step * direction, rtol=1e-6, atol=1e-10)
        assert wolfe(lambda q: flat(loss, q), p, step, direction, direction @ g)
        pairs = [*pairs, (s, flat(loss, after)[1] - g)][-3:]


def test_lbfgs_finds_the_least_squares_solution_in_a_few_steps():
    model, _ = trained("lbfgs", epochs=20, batch_size=48)
    examples = model.examples(X, Y)
    ones = np.ones((48, 1))
    expected = np.linalg.lstsq(np.hstack([examples.x, ones]), examples.targets, rcond=None)[0]
    np.testing.assert_allclose(model.parameters["layers/0/weight"], expected[:-1], atol=1e-7)


def test_lbfgs_on_batches_warns_and_on_all_examples_does_not():
    with pytest.warns(NnregWarning, match=r"the optimizer is meant .* all 48 .* has 16"):
        trained("lbfgs", epochs=1)
    with pytest.warns(NnregWarning, match="the optimizer is meant"):
        trained({"type": "sam", "base": "lbfgs"}, epochs=1)
    trained("lbfgs", epochs=1, batch_size=24, accumulate=2)


def test_schedule_free_adamw_is_its_formula_and_predicts_with_the_mean():
    options = {"type": "schedule_free_adamw", "learning_rate": 0.05, "weight_decay": 0.01}
    model, start = trained(options)
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


ALL = sorted(e.name for e in installed() if e.kind == "optimizer" and e.plugin == "nnreg")


@pytest.mark.parametrize("name", ALL)
def test_every_optimizer_resumes_mid_epoch_with_the_same_bits(name, tmp_path):
    x, y = RNG.normal(size=(20, 2)), RNG.integers(0, 3, 20)
    train = {"epochs": 3, "batch_size": 20 if name == "lbfgs" else 7}
    spec = classifier(optimizer=name, schedule="cosine", train=train)
    spec["model"]["layers"].insert(1, {"type": "dropout", "rate": 0.2})
    whole, parts = (nnreg.build(spec, data=(x, y)) for _ in range(2))
    whole.fit(x, y)
    segments = parts.trainer(parts.examples(x, y)).iterate(lambda: True)
    while parts.training_state.step < (2 if name == "lbfgs" else 5):
        next(segments)
    nnreg.save(parts, tmp_path / "last.h5")
    again = nnreg.load(tmp_path / "last.h5")
    again.fit(x, y)
    assert again.network.vector.tobytes() == whole.network.vector.tobytes()
    for key, vector in whole.training_state.optimizer_state.items():
        assert again.training_state.optimizer_state[key].tobytes() == vector.tobytes(), key
