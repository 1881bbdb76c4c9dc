"""Optimizers over twenty steps beside those of PyTorch and Keras, in float64.

The gradients are those of a different function at each step, at the point that each optimizer has
reached. Lookahead, SAM, schedule_free_adamw and the weight decay of lamb are beside plain loops in
`tests/components/test_whole_network_optimizers.py`.
"""

import numpy as np
import pytest

from nnreg.builtin import optimizers
from nnreg.interfaces import UpdateState, Workspace
from tests.parity.comparison import compare, name_of, require_all

pytestmark = pytest.mark.verify

STEPS = 20
SHAPES = {"layers/0/weight": (4, 3), "layers/0/bias": (3,), "layers/1/kernel": (2, 3, 4)}
SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())
RNG = np.random.default_rng(0)
START = RNG.normal(size=SIZE)
FACTORS = RNG.normal(size=(STEPS, 60, SIZE)) / 3
OFFSETS = RNG.normal(size=(STEPS, 60))


VALLEY = -1
"""The step of a function that is always the same one."""


def function(p, step):
    """Return a function of all parameters and its gradient."""
    if step == VALLEY:  # Rosenbrock's, far from its minimum after twenty steps
        slack, gradient = p[1:] - p[:-1] ** 2, np.zeros(SIZE)
        gradient[1:] += 20 * slack
        gradient[:-1] -= 40 * slack * p[:-1] + 2 * (1 - p[:-1])
        return float(np.sum(10 * slack**2 + (1 - p[:-1]) ** 2)), gradient
    inner = FACTORS[step] @ p - OFFSETS[step]
    value = np.mean(np.log(np.cosh(inner))) + 0.05 * np.sum(p**2)
    return float(value), FACTORS[step].T @ np.tanh(inner) / len(inner) + 0.1 * p


def parts(vector):
    """Return the shaped parts of a vector."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES.values()])[:-1].astype(int)
    return [
        part.reshape(shape)
        for part, shape in zip(np.split(vector, ends), SHAPES.values(), strict=True)
    ]


def own(optimizer, moving=True):
    """Return the parameters after each step, and what is evaluated at the end."""
    p, workspace = START.copy(), Workspace(np.float64, reuse=False)
    vectors = {name: np.zeros(SIZE) for name in optimizer.state_names}
    found = []
    for count in range(1, STEPS + 1):
        at = count - 1 if moving else VALLEY
        gradient = function(p, at)[1]
        state = UpdateState(count, vectors, workspace)
        if not optimizer.elementwise:
            state = UpdateState(count, vectors, workspace, SHAPES, lambda at=at: function(p, at))
        optimizer.update(p, gradient, state)
        found.append(p.copy())
    return found


def of_torch(torch, name, options, moving=True):
    leaves = [torch.tensor(one.copy(), requires_grad=True) for one in parts(START)]
    optimizer = getattr(torch.optim, name)(leaves, **options)
    found = []

    def flat():
        return np.concatenate([leaf.detach().numpy().ravel() for leaf in leaves])

    for step in range(STEPS):

        def closure(step=step):
            loss, gradient = function(flat(), step if moving else VALLEY)
            for leaf, part in zip(leaves, parts(gradient), strict=True):
                leaf.grad = torch.tensor(part)
            return torch.tensor(loss, dtype=torch.float64)

        closure()
        optimizer.step(closure)
        found.append(flat())
    return found


def of_keras(keras, name, options):
    variables = [keras.Variable(one.copy(), dtype="float64") for one in parts(START)]
    optimizer = getattr(keras.optimizers, name)(**options)
    found = []

    def flat():
        return np.concatenate([np.asarray(one.value.detach()).ravel() for one in variables])

    for step in range(STEPS):
        gradients = [keras.ops.convert_to_tensor(one) for one in parts(function(flat(), step)[1])]
        optimizer.apply(gradients, variables)
        found.append(flat())
    return found


TORCH = [
    (optimizers.Sgd(0.1, 0.9, True), "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optimizers.Adam(), "Adam", {}),
    (optimizers.Adam(0.1, 0.8, 0.95, 1e-3), "Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    (optimizers.AdamW(), "AdamW", {}),
    (optimizers.RmsProp(0.01, 0.99), "RMSprop", {}),
    (optimizers.Adadelta(), "Adadelta", {}),
    (optimizers.Adadelta(0.5, 0.95, 1e-4), "Adadelta", {"lr": 0.5, "rho": 0.95, "eps": 1e-4}),
    (optimizers.Adagrad(), "Adagrad", {}),
    (optimizers.Adagrad(0.1, 0.3, 1e-3), "Adagrad",
     {"lr": 0.1, "initial_accumulator_value": 0.3, "eps": 1e-3}),
    (optimizers.Adamax(), "Adamax", {}),
    (optimizers.Adamax(0.1, 0.8, 0.9, 0.1), "Adamax",
     {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.1}),
    (optimizers.NAdam(), "NAdam", {}),
    (optimizers.NAdam(0.1, 0.05, 0.9, 1e-3, 0.1), "NAdam",
     {"lr": 0.1, "betas": (0.05, 0.9), "eps": 1e-3, "momentum_decay": 0.1}),
    (optimizers.RAdam(), "RAdam", {}),
    (optimizers.RAdam(0.1, 0.8, 0.95, 1e-3), "RAdam",
     {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    (optimizers.Adafactor(), "Adafactor", {}),
    (optimizers.Adafactor(0.3, -0.5, clip_threshold=1.2, weight_decay=0.1), "Adafactor",
     {"lr": 0.3, "beta2_decay": -0.5, "d": 1.2, "weight_decay": 0.1}),
]  # fmt: skip
"""Each with PyTorch's class and its options."""

KERAS = [
    (optimizers.Lion(0.001), "Lion", {}),
    (optimizers.Lion(0.1, 0.8, 0.9, 0.2), "Lion",
     {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.2}),
    (optimizers.Ftrl(), "Ftrl", {}),
    (optimizers.Ftrl(0.3, -0.7, 0.2, 0.05, 0.02, 0.1), "Ftrl",
     {"learning_rate": 0.3, "learning_rate_power": -0.7, "initial_accumulator_value": 0.2,
      "l1_regularization_strength": 0.05, "l2_regularization_strength": 0.02, "beta": 0.1}),
    (optimizers.Lamb(0.05, epsilon=1e-7, weight_decay=0.0), "Lamb", {"learning_rate": 0.05}),
    (optimizers.Adafactor(0.05), "Adafactor", {"learning_rate": 0.05}),
    (optimizers.Adagrad(0.1, 0.1, 1e-300), "Adagrad", {"learning_rate": 0.1, "epsilon": 0.0}),
    (optimizers.Muon(0.01, weight_decay=0.1, epsilon=1e-300), "Muon",
     {"learning_rate": 0.01, "epsilon": 0.0, "weight_decay": 0.1, "adam_weight_decay": 0.1}),
    (optimizers.Muon(0.01, 0.8, False, 3, weight_decay=0.0, adamw_learning_rate_ratio=0.3,
                     beta1=0.8, beta2=0.95, epsilon=1e-300), "Muon",
     {"learning_rate": 0.01, "epsilon": 0.0, "weight_decay": 0.0, "adam_weight_decay": 0.0,
      "momentum": 0.8, "nesterov": False, "ns_steps": 3, "adam_lr_ratio": 0.3,
      "adam_beta_1": 0.8, "adam_beta_2": 0.95}),
]  # fmt: skip
"""Each with Keras's class and its options. It adds the epsilons of adagrad and muon elsewhere."""

LBFGS = [
    (optimizers.Lbfgs(), {}),
    (optimizers.Lbfgs(history_size=3), {"history_size": 3}),
    (optimizers.Lbfgs(0.7), {"lr": 0.7}),
    (optimizers.Lbfgs(8.0), {"lr": 8.0}),
    (optimizers.Lbfgs(0.1, line_search="none"), {"lr": 0.1, "line_search_fn": None}),
]
"""Each with the options of PyTorch's, with one iteration per step. Where the cubic of a line search
has no minimum, as with small rates here, PyTorch bisects, and nnreg uses the parabola."""

LOOPS = {"sam", "lookahead", "schedule_free_adamw"}
"""Those beside plain loops: no library has them; Keras 3.15 computes x of schedule_free_adamw from
the z of the next step."""


def compare_steps(optimizer, peer, found, expected):
    assert np.max(np.abs(found[-1] - START)) > 1e-3
    compare(optimizer, peer, [(found, expected)], atol=1e-10)


@pytest.mark.parametrize(("optimizer", "name", "options"), TORCH, ids=str)
def test_twenty_steps_are_pytorchs(torch, optimizer, name, options):
    expected = of_torch(torch, name, options)
    compare_steps(optimizer, f"torch.optim.{name}", own(optimizer), expected)


@pytest.mark.parametrize(("optimizer", "name", "options"), KERAS, ids=str)
def test_twenty_steps_are_those_of_keras(keras, optimizer, name, options):
    expected = of_keras(keras, name, options)
    compare_steps(optimizer, f"keras.optimizers.{name}", own(optimizer), expected)


@pytest.mark.parametrize(("optimizer", "options"), LBFGS, ids=str)
def test_twenty_steps_of_lbfgs_are_pytorchs(torch, optimizer, options):
    given = {"tolerance_grad": 0, "tolerance_change": 0}
    given |= {"max_iter": 1, "max_eval": 26, "line_search_fn": "strong_wolfe", "history_size": 10}
    expected = of_torch(torch, "LBFGS", given | options, moving=False)
    compare_steps(optimizer, "torch.optim.LBFGS", own(optimizer, moving=False), expected)


def test_every_built_in_optimizer_is_compared():
    compared = {name_of(case[0]) for case in [*TORCH, *KERAS, *LBFGS]}
    require_all("optimizer", compared | LOOPS)
