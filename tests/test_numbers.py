"""Optimizers, metrics and initializers against numbers worked out by hand."""

import math

import numpy as np
import pytest

from nnreg.builtin import initializers, metrics, optimizers
from nnreg.interfaces import Step, Workspace, fans
from nnreg.registry import installed


def steps(optimizer, gradients, start=1.0):
    """Return a single parameter's value after each step."""
    p, slots = np.array([start]), {name: np.zeros(1) for name in optimizer.slots}
    path = []
    for count, gradient in enumerate(gradients, 1):
        step = Step(count, slots, Workspace(np.float64, reuse=False))
        optimizer.update(p, np.array([gradient]), step)
        path.append(p.item())
    return path


@pytest.mark.parametrize(
    ("optimizer", "path"),
    [
        (optimizers.Sgd(0.1), [0.8, 0.7]),
        (optimizers.Sgd(0.1, momentum=0.5), [0.8, 0.6]),
        (optimizers.Sgd(0.1, momentum=0.5, nesterov=True), [0.7, 0.5]),
        (optimizers.Adam(0.1), [0.9, 0.9 - 0.1 * (2.8 / 1.9 / 10 * 10) / math.sqrt(4.996 / 1.999)]),
        (optimizers.AdamW(0.1, weight_decay=0.5), [0.85, None]),
        (optimizers.RmsProp(0.1, rho=0.5), [1 - 0.2 / math.sqrt(2), None]),
    ],
)
def test_an_optimizer_steps_as_its_formula_says(optimizer, path):
    for found, expected in zip(steps(optimizer, [2.0, 1.0]), path, strict=True):
        if expected is not None:
            assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.Sgd(0.1, momentum=0.9, nesterov=True),
        optimizers.Adam(),
        optimizers.AdamW(),
        optimizers.RmsProp(),
    ],
)
def test_a_vector_in_pieces_gets_the_bits_of_the_whole(optimizer):
    assert optimizer.elementwise
    rng = np.random.default_rng(0)
    whole = rng.normal(size=999).astype(np.float32)
    pieces = whole.copy()
    slots = [{name: np.zeros(999, np.float32) for name in optimizer.slots} for _ in range(2)]
    for count in range(1, 4):
        g = rng.normal(size=999).astype(np.float32)
        scratch = Workspace(np.float32, reuse=False)
        optimizer.update(whole, g, Step(count, slots[0], scratch))
        for start in range(0, 999, 100):
            part = slice(start, start + 100)
            views = {name: slot[part] for name, slot in slots[1].items()}
            optimizer.update(pieces[part], g[part], Step(count, views, scratch))
    assert whole.tobytes() == pieces.tobytes()


def test_a_gradient_is_left_as_it_was():
    for entry in installed():
        if entry.kind == "optimizer":
            optimizer = entry.cls()
            slots = {name: np.zeros(3) for name in optimizer.slots}
            gradient = np.arange(3.0)
            step = Step(1, slots, Workspace(np.float64, reuse=False))
            optimizer.update(np.zeros(3), gradient, step)
            np.testing.assert_array_equal(gradient, np.arange(3.0))


GUESS = np.array([0, 1, 2, 2, 1, 0, 0])
TRUTH = np.array([0, 1, 1, 2, 1, 2, 0])
NUMBERS = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [5.0]])


@pytest.mark.parametrize(
    ("metric", "pair", "expected"),
    [
        (metrics.Accuracy(), (GUESS, TRUTH), 5 / 7),
        (metrics.Precision(), (GUESS, TRUTH), (2 / 3 + 1 + 1 / 2) / 3),
        (metrics.Recall(), (GUESS, TRUTH), (1 + 2 / 3 + 1 / 2) / 3),
        (metrics.F1(), (GUESS, TRUTH), (4 / 5 + 4 / 5 + 1 / 2) / 3),
        (metrics.Precision("micro"), (GUESS, TRUTH), 5 / 7),
        (metrics.Recall("binary"), (GUESS, TRUTH), 2 / 3),
        (metrics.F1("binary"), (np.zeros(3, int), np.zeros(3, int)), 0),
        (metrics.MeanSquaredErrorMetric(), NUMBERS, 2 / 3),
        (metrics.MeanAbsoluteErrorMetric(), NUMBERS, 2 / 3),
        (metrics.R2(), NUMBERS, 1 - 2 / 8),
        (metrics.R2(), (np.ones((3, 1)), np.ones((3, 1))), 1),
        (metrics.R2(), (np.zeros((3, 1)), np.ones((3, 1))), 0),
    ],
)
def test_a_metric_counts_as_by_hand(metric, pair, expected):
    assert metric.compute(*pair) == pytest.approx(expected)


def test_every_metric_tells_which_way_is_better():
    better = {e.name for e in installed() if e.kind == "metric" and e.cls.higher_is_better}
    assert better == {"accuracy", "r2", "precision", "recall", "f1"}


SHAPE = (300, 200)
VARIANCE = {
    "zeros": 0,
    "ones": 0,
    "constant": 0,
    "normal": 0.05**2,
    "uniform": 0.1**2 / 12,
    "glorot_normal": 2 / 500,
    "glorot_uniform": 2 / 500,
    "he_normal": 2 / 300,
    "he_uniform": 2 / 300,
    "lecun_normal": 1 / 300,
    "lecun_uniform": 1 / 300,
}


@pytest.mark.parametrize("name", [e.name for e in installed() if e.kind == "initializer"])
def test_an_initializer_has_its_variance_and_the_seed_decides_it(name):
    initializer = installed().find("initializer", name).cls()
    first, again = (initializer.draw(SHAPE, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == SHAPE
    assert first.var() == pytest.approx(VARIANCE[name], rel=0.02)
    if "uniform" in name:
        assert np.abs(first).max() <= math.sqrt(3 * VARIANCE[name])


def test_constant_and_its_kin_give_their_value():
    rng = np.random.default_rng(0)
    assert initializers.Zeros().draw((2,), rng).tolist() == [0, 0]
    assert initializers.Ones().draw((2,), rng).tolist() == [1, 1]
    assert initializers.Constant(2.5).draw((2,), rng).tolist() == [2.5, 2.5]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 3), (4, 3)), ((3, 3, 2, 8), (18, 72)), ((5,), (5, 5)), ((), (1, 1))],
)
def test_fans_count_the_receptive_field(shape, expected):
    assert fans(shape) == expected
