"""Optimizers, schedules and whole trainings beside those of PyTorch."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin import optimizers, schedules
from nnreg.interfaces import ScheduleContext, UpdateState, Workspace
from tests.parity.comparison import FORMULA, close, compare, name_of, require_all

pytestmark = pytest.mark.verify


MOMENTUM = {"velocity": "momentum_buffer"}
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}

OPTIMIZERS = [
    (optimizers.Sgd(0.1), "SGD", {}, {}),
    (optimizers.Sgd(0.1, momentum=0.9), "SGD", {"momentum": 0.9}, MOMENTUM),
    (optimizers.Sgd(0.1, 0.9, True), "SGD", {"momentum": 0.9, "nesterov": True}, MOMENTUM),
    (optimizers.Adam(0.1, beta1=0.8, beta2=0.95), "Adam", {"betas": (0.8, 0.95)}, MOMENTS),
    (optimizers.AdamW(0.1, weight_decay=0.05), "AdamW", {"weight_decay": 0.05}, MOMENTS),
    (optimizers.RmsProp(0.1, rho=0.8), "RMSprop", {"alpha": 0.8}, {"square": "square_avg"}),
]
"""Each with PyTorch's class, its options, and its names of the state."""


@pytest.mark.parametrize(("optimizer", "name", "options", "states"), OPTIMIZERS)
def test_steps_and_state_of_an_optimizer_are_pytorchs(torch, optimizer, name, options, states):
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=40)
    leaf = torch.tensor(parameters.copy(), requires_grad=True)
    theirs = getattr(torch.optim, name)([leaf], lr=0.1, **options)
    slots = {name: np.zeros(40) for name in optimizer.state_names}
    for count in range(1, 6):
        gradient = rng.normal(size=40)
        step = UpdateState(count, slots, Workspace(np.float64, reuse=False))
        optimizer.update(parameters, gradient, step)
        leaf.grad = torch.tensor(gradient)
        theirs.step()
        pairs = [(slots[own], theirs.state[leaf][other]) for own, other in states.items()]
        compare(optimizer, f"torch.optim.{name}", [(parameters, leaf), *pairs])


@pytest.mark.parametrize("size", [1e20, 5.8e20, 6e20])
def test_a_step_along_an_extreme_gradient_in_float32_is_pytorchs(torch, size):
    parameters, slots = np.zeros(3, np.float32), {name: np.zeros(3, np.float32) for name in MOMENTS}
    gradient = np.array([-1, 1, 0.5], np.float32) * np.float32(size)
    step = UpdateState(1, slots, Workspace(np.float32, reuse=False))
    with np.errstate(over="ignore"):
        optimizers.Adam(0.1).update(parameters, gradient, step)
    leaf = torch.zeros(3, requires_grad=True)
    theirs = torch.optim.Adam([leaf], lr=0.1)
    leaf.grad = torch.tensor(gradient)
    theirs.step()
    close(parameters, leaf)
    for own, other in MOMENTS.items():
        close(slots[own], theirs.state[leaf][other])


SCHEDULES = [
    (schedules.Constant(), "ConstantLR", {"factor": 1.0}),
    (schedules.StepDecay(3, 0.5), "StepLR", {"step_size": 3, "gamma": 0.5}),
    (schedules.Exponential(0.9), "ExponentialLR", {"gamma": 0.9}),
    (schedules.Cosine(floor=0.1), "CosineAnnealingLR", {"T_max": 24, "eta_min": 0.1}),
    (schedules.Cosine(restarts=2), "CosineAnnealingWarmRestarts", {"T_0": 8}),
    (schedules.Cosine(1, growth=3), "CosineAnnealingWarmRestarts", {"T_0": 6, "T_mult": 3}),
    (schedules.Polynomial(2.0), "PolynomialLR", {"total_iters": 24, "power": 2.0}),
    (schedules.OneCycle(), "OneCycleLR", {"max_lr": 1.0, "total_steps": 24}),
    (
        schedules.OneCycle(0.4, 0.1, 0.01, "linear"),
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": 24, "pct_start": 0.4, "anneal_strategy": "linear",
         "div_factor": 10, "final_div_factor": 10},
    ),
    (schedules.Warmup(5, 0.2), "LinearLR", {"start_factor": 0.2, "total_iters": 5}),
    (schedules.InverseSqrt(5.0), "LambdaLR",
     {"lr_lambda": lambda step: min((step + 1) / 5, (5 / (step + 1)) ** 0.5)}),
]  # fmt: skip


def rates(torch, optimizer, scheduler, count):
    """Return the learning rates of some steps that PyTorch makes."""
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def compare_rates(schedule, name, found, expected):
    peer = FORMULA if name == "LambdaLR" else f"torch.optim.lr_scheduler.{name}"
    compare(schedule, peer, [(found, expected)])


@pytest.mark.parametrize(
    ("schedule", "name", "options"),
    SCHEDULES,
    ids=lambda one: "" if isinstance(one, dict) else str(one),
)
def test_a_schedule_is_pytorchs(torch, schedule, name, options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    found = [schedule.factor(ScheduleContext(step, 24, 1)) for step in range(24)]
    compare_rates(schedule, name, found, rates(torch, optimizer, theirs, 24))


IGNORED = "ignore:The epoch parameter in `scheduler.step:UserWarning"


@pytest.mark.filterwarnings(IGNORED)
def test_a_cosine_after_a_warmup_is_pytorchs(torch):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    parts = torch.optim.lr_scheduler
    two = [parts.LinearLR(optimizer, 0.1, total_iters=4), parts.CosineAnnealingLR(optimizer, 20)]
    theirs = parts.SequentialLR(optimizer, two, milestones=[4])
    schedule = schedules.Warmup(2, 0.1, schedules.Cosine())
    found = [schedule.factor(ScheduleContext(step, 24, 2)) for step in range(24)]
    compare_rates(schedule, "SequentialLR", found, rates(torch, optimizer, theirs, 24))


@pytest.mark.filterwarnings(IGNORED)
def test_a_trapezoid_is_three_schedules_of_pytorch(torch):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    parts = torch.optim.lr_scheduler
    three = [
        parts.LinearLR(optimizer, 0.1, total_iters=6),
        parts.ConstantLR(optimizer, 1.0),
        parts.LinearLR(optimizer, 1.0, 0.2, total_iters=12),
    ]
    theirs = parts.SequentialLR(optimizer, three, milestones=[6, 12])
    schedule = schedules.Trapezoid(0.25, 0.5, 0.1, 0.2)
    found = [schedule.factor(ScheduleContext(step, 24, 2)) for step in range(24)]
    compare_rates(schedule, "SequentialLR", found, rates(torch, optimizer, theirs, 24))


@pytest.mark.parametrize("rising", [False, True])
def test_a_reduction_on_a_plateau_is_pytorchs(torch, rising):
    noise = np.random.default_rng(0).uniform(0, 2, 60)
    values = np.minimum(np.arange(60) % 17, 9.0) + noise - np.arange(60) / 30
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max" if rising else "min", 0.5, 3,
        threshold=0.1, threshold_mode="abs", cooldown=2, min_lr=0.01,
    )  # fmt: skip
    schedule = schedules.ReduceOnPlateau("val_loss", 3, 0.5, 0.1, 2, 0.01)
    records, found, expected = [], [], []
    for value in values:
        records.append({"val_loss": value})
        theirs.step(value)
        moment = ScheduleContext(0, 60, 1, records, frozenset(["val_loss"] if rising else []))
        found.append(schedule.factor(moment))
        expected.append(optimizer.param_groups[0]["lr"])
    assert found == expected
    assert found[-1] < 0.1
    compare_rates(schedule, "ReduceLROnPlateau", found, expected)


def test_every_built_in_schedule_is_compared():
    compared = {name_of(case[0]) for case in SCHEDULES}
    require_all("schedule", compared | {"trapezoid", "reduce_on_plateau"})


def test_five_steps_of_a_whole_network_are_pytorchs(torch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.uniform(size=(50, 3))
    kinds = ("relu", "relu", "sigmoid")
    layers = [{"type": "dense", "units": n, "activation": kind}
              for n, kind in zip((16, 8, 3), kinds, strict=True)]  # fmt: skip
    spec = {
        "model": {"layers": layers, "dtype": "float64"},
        "loss": "mean_squared_error",
        "optimizer": {"type": "sgd", "learning_rate": 0.3},
        "train": {"epochs": 5, "batch_size": 50},
    }
    columns = {f"y{k}": y[:, k] for k in range(3)}
    model = nnreg.build(spec, data=(x, columns))
    leaves = [torch.tensor(a.copy(), requires_grad=True) for a in model.parameters.values()]
    theirs = torch.optim.SGD(leaves, lr=0.3)
    expected = []
    for _ in range(5):
        z = torch.tensor(x)
        for k, kind in enumerate(kinds):
            z = getattr(torch, kind)(z @ leaves[2 * k] + leaves[2 * k + 1])
        loss = torch.nn.functional.mse_loss(z, torch.tensor(y))
        theirs.zero_grad()
        loss.backward()
        theirs.step()
        expected.append(loss.item())
    model.fit(x, columns)
    np.testing.assert_allclose(model.history["loss"], expected, rtol=1e-9)
    for found, leaf in zip(model.parameters.values(), leaves, strict=True):
        close(found, leaf)


def test_a_training_with_schedule_decay_smoothing_accumulation_and_a_frozen_layer_is_pytorchs(
    torch,
):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 4)), rng.integers(0, 3, 48)
    layers = [{"type": "dense", "units": n, "activation": "tanh"} for n in (16, 8)]
    spec = {
        "model": {
            "layers": [*layers, {"type": "dense", "units": "classes", "activation": "softmax"}],
            "dtype": "float64",
        },
        "loss": {"type": "cross_entropy", "label_smoothing": 0.1},
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "schedule": {"type": "warmup", "epochs": 2, "start": 0.1, "after": "cosine"},
        "train": {"epochs": 6, "batch_size": 12, "accumulate": 2, "shuffle": False,
                  "weight_decay": 0.2, "freeze": ["layers/0"]},
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, y))
    leaves = {
        name: torch.tensor(array.copy(), requires_grad=not name.startswith("layers/0"))
        for name, array in model.parameters.items()
    }
    learning = [(name, leaf) for name, leaf in leaves.items() if leaf.requires_grad]
    groups = [
        {"params": [leaf for name, leaf in learning if name.endswith(kind)], "weight_decay": decay}
        for kind, decay in (("weight", 0.2), ("bias", 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    rates = torch.optim.lr_scheduler
    two = [rates.LinearLR(optimizer, 0.1, total_iters=4), rates.CosineAnnealingLR(optimizer, 8)]
    scheduler = rates.SequentialLR(optimizer, two, milestones=[4])
    for _ in range(6):
        for step in range(2):
            optimizer.zero_grad()
            for batch in range(2):
                rows = slice(24 * step + 12 * batch, 24 * step + 12 * batch + 12)
                z = torch.tensor(x[rows])
                for number in range(3):
                    weight, bias = (leaves[f"layers/{number}/{k}"] for k in ("weight", "bias"))
                    z = z @ weight + bias
                    z = torch.tanh(z) if number < 2 else z
                labels = torch.tensor(y[rows])
                loss = torch.nn.functional.cross_entropy(z, labels, label_smoothing=0.1)
                (loss / 2).backward()
            optimizer.step()
            scheduler.step()
    model.fit(x, y)
    for name, leaf in leaves.items():
        close(model.parameters[name], leaf)
