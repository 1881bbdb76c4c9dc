"""Optimizers in every configuration, against their formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnreg.builtin import optimizers
from nnreg.interfaces import UpdateState, Workspace
from nnreg.interfaces.optimizer_trial import trial_state
from nnreg.registry.registry import installed
from nnreg.testing import configurations

BUILT_IN = [e.cls for e in installed() if e.kind == "optimizer" and e.plugin == "nnreg"]
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


def lion(o, p):
    m = 0
    for g in GRADIENTS:
        p = p - o.learning_rate * (np.sign(o.beta1 * m + (1 - o.beta1) * g) + o.weight_decay * p)
        m = o.beta2 * m + (1 - o.beta2) * g
    return p


def adagrad(o, p):
    total = o.initial_accumulator_value
    for g in GRADIENTS:
        total = total + g**2
        p = p - o.learning_rate * g / (np.sqrt(total) + o.epsilon)
    return p


def adadelta(o, p):
    s = u = 0
    for g in GRADIENTS:
        s = o.rho * s + (1 - o.rho) * g**2
        d = g * np.sqrt(u + o.epsilon) / np.sqrt(s + o.epsilon)
        u = o.rho * u + (1 - o.rho) * d**2
        p = p - o.learning_rate * d
    return p


def adamax(o, p):
    m = u = 0
    for count, g in enumerate(GRADIENTS, 1):
        m = o.beta1 * m + (1 - o.beta1) * g
        u = np.maximum(o.beta2 * u, np.abs(g) + o.epsilon)
        p = p - o.learning_rate * m / (1 - o.beta1**count) / u
    return p


def nadam(o, p):
    m = v = 0
    product = 1

    def mu(count):
        return o.beta1 * (1 - 0.96 ** (count * o.momentum_decay) / 2)

    for count, g in enumerate(GRADIENTS, 1):
        m = o.beta1 * m + (1 - o.beta1) * g
        v = o.beta2 * v + (1 - o.beta2) * g**2
        product = product * mu(count)
        ahead = mu(count + 1) * m / (1 - product * mu(count + 1))
        step = ahead + (1 - mu(count)) * g / (1 - product)
        p = p - o.learning_rate * step / (np.sqrt(v / (1 - o.beta2**count)) + o.epsilon)
    return p


def radam(o, p):
    m = v = 0
    longest = 2 / (1 - o.beta2) - 1
    for count, g in enumerate(GRADIENTS, 1):
        m = o.beta1 * m + (1 - o.beta1) * g
        v = o.beta2 * v + (1 - o.beta2) * g**2
        step = m / (1 - o.beta1**count)
        rho = longest - 2 * count * o.beta2**count / (1 - o.beta2**count)
        if rho > 5:
            r = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
            step = step * np.sqrt(r * (1 - o.beta2**count)) / (np.sqrt(v) + o.epsilon)
        p = p - o.learning_rate * step
    return p


def ftrl(o, p):
    n, z, k = o.initial_accumulator_value, 0, -o.learning_rate_power
    for g in GRADIENTS:
        z = z + g - ((n + g**2) ** k - n**k) / o.learning_rate * p
        n = n + g**2
        p = (np.clip(z, -o.l1, o.l1) - z) / ((n**k + o.beta) / o.learning_rate + 2 * o.l2)
    return p


def schedule_free(o, p):
    z = x = p
    v = 0
    for count, g in enumerate(GRADIENTS, 1):
        y = (1 - o.beta1) * z + o.beta1 * x
        v = o.beta2 * v + (1 - o.beta2) * g**2
        root = np.sqrt(v / (1 - o.beta2**count)) + o.epsilon
        z = z - o.learning_rate * (g / root + o.weight_decay * y)
        x = x + (z - x) / count
    return (1 - o.beta1) * z + o.beta1 * x


@pytest.mark.parametrize(
    ("cls", "formula"),
    [
        (optimizers.Sgd, sgd),
        (optimizers.Adam, adam),
        (optimizers.AdamW, adam),
        (optimizers.RmsProp, rmsprop),
        (optimizers.Lion, lion),
        (optimizers.Adagrad, adagrad),
        (optimizers.Adadelta, adadelta),
        (optimizers.Adamax, adamax),
        (optimizers.NAdam, nadam),
        (optimizers.RAdam, radam),
        (optimizers.Ftrl, ftrl),
        (optimizers.ScheduleFreeAdamW, schedule_free),
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
        *(cls() for cls in BUILT_IN if isinstance(cls.elementwise, bool) and cls.elementwise),
        optimizers.Lookahead(optimizers.NAdam(), sync_period=2),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
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


def test_the_product_of_nadam_is_that_of_all_momenta_after_many_steps():
    def mu(step):
        return 0.9 * (1 - 0.5 * 0.96 ** (step * 0.004))

    for count in (1, 7, 371, 372, 373, 5000):
        found = optimizers.NAdam()._momenta(count)
        product = np.prod([mu(step) for step in range(1, count + 1)])
        np.testing.assert_allclose(found[:2], [mu(count), mu(count + 1)], rtol=1e-14)
        assert 1 - found[2] == pytest.approx(1 - product, rel=1e-15)


@pytest.mark.parametrize("cls", BUILT_IN)
def test_a_gradient_is_not_modified(cls):
    optimizer, parameters, gradient = cls(), np.zeros(6), np.arange(6.0)
    states = {name: np.zeros(6) for name in optimizer.state_names}
    workspace = Workspace(np.float64, reuse=False)
    state = trial_state(optimizer, parameters, gradient, states, workspace)
    optimizer.update(parameters, gradient, state)
    np.testing.assert_array_equal(gradient, np.arange(6.0))
