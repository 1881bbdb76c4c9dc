"""Optimizers in every configuration, against their formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.builtin import optimizers
from nnreg.interfaces import UpdateState, Workspace
from nnreg.registry.registry import installed
from nnreg.testing import configurations

GRADIENTS = np.random.default_rng(0).normal(size=(5, 7))


def sgd(o, p):
    velocity = 0
    for g in GRADIENTS:
        velocity = o.momentum * velocity + g
        p = p - o.learning_rate * (g + o.momentum * velocity if o.nesterov else velocity)
    return p


def adam(o, p):
    m = v = 0
    for count, g in enumerate(GRADIENTS, 1):
        p = p * (1 - o.learning_rate * getattr(o, "weight_decay", 0))
        m = o.beta1 * m + (1 - o.beta1) * g
        v = o.beta2 * v + (1 - o.beta2) * g**2
        m_hat, v_hat = m / (1 - o.beta1**count), v / (1 - o.beta2**count)
        p = p - o.learning_rate * m_hat / (np.sqrt(v_hat) + o.epsilon)
    return p


def rmsprop(o, p):
    square = 0
    for g in GRADIENTS:
        square = o.rho * square + (1 - o.rho) * g**2
        p = p - o.learning_rate * g / (np.sqrt(square) + o.epsilon)
    return p


@pytest.mark.parametrize(
    ("cls", "formula"),
    [
        (optimizers.Sgd, sgd),
        (optimizers.Adam, adam),
        (optimizers.AdamW, adam),
        (optimizers.RmsProp, rmsprop),
    ],
)
@given(data=st.data())
def test_five_steps_follow_the_formula_in_every_configuration(cls, formula, data):
    optimizer = data.draw(configurations(cls))
    start = np.linspace(-1, 1, 7)
    parameters, states = start.copy(), {name: np.zeros(7) for name in optimizer.state_names}
    for count, gradient in enumerate(GRADIENTS, 1):
        step = UpdateState(count, states, Workspace(np.float64, reuse=False))
        optimizer.update(parameters, gradient, step)
    np.testing.assert_allclose(parameters, formula(optimizer, start), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.Sgd(0.1, momentum=0.9, nesterov=True),
        optimizers.Adam(),
        optimizers.AdamW(),
        optimizers.RmsProp(),
    ],
)
def test_a_vector_in_chunks_is_bit_identical_to_the_whole(optimizer):
    assert optimizer.elementwise
    rng = np.random.default_rng(0)
    whole = rng.normal(size=999).astype(np.float32)
    chunks = whole.copy()
    states = [{name: np.zeros(999, np.float32) for name in optimizer.state_names} for _ in range(2)]
    for count in range(1, 4):
        g = rng.normal(size=999).astype(np.float32)
        scratch = Workspace(np.float32, reuse=False)
        optimizer.update(whole, g, UpdateState(count, states[0], scratch))
        for start in range(0, 999, 100):
            chunk = slice(start, start + 100)
            views = {name: array[chunk] for name, array in states[1].items()}
            optimizer.update(chunks[chunk], g[chunk], UpdateState(count, views, scratch))
    assert whole.tobytes() == chunks.tobytes()


@pytest.mark.parametrize(
    ("optimizer", "size"),
    [
        (optimizers.Adam(), 3.3e20),
        (optimizers.Adam(beta2=0.9), 3.3e19),
        (optimizers.AdamW(), 3.3e20),
        (optimizers.RmsProp(), 3.3e19),
        (optimizers.RmsProp(rho=0.99), 1e20),
    ],
)
def test_steps_are_right_for_gradients_whose_square_overflows(optimizer, size):
    (small, _), (large, states) = (stepped(optimizer, factor) for factor in (1, size))
    np.testing.assert_allclose(large, small, rtol=1e-5)
    assert all(np.isfinite(state).all() for state in states.values())


def stepped(optimizer, size):
    """Return parameters and state in float32 after steps along gradients of up to this size."""
    parameters = np.zeros(7, np.float32)
    states = {name: np.zeros_like(parameters) for name in optimizer.state_names}
    for count in range(1, 4):
        gradient = np.linspace(-1, 1, 7).astype(np.float32) * np.float32(size)
        step = UpdateState(count, states, Workspace(np.float32, reuse=False))
        optimizer.update(parameters, gradient, step)
    return parameters, states


def test_a_gradient_is_not_modified():
    for entry in installed():
        if entry.kind == "optimizer":
            optimizer = entry.cls()
            states = {name: np.zeros(3) for name in optimizer.state_names}
            gradient = np.arange(3.0)
            step = UpdateState(1, states, Workspace(np.float64, reuse=False))
            optimizer.update(np.zeros(3), gradient, step)
            np.testing.assert_array_equal(gradient, np.arange(3.0))
