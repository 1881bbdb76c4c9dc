"""Beside PyTorch: values, gradients and optimizer steps within 1e-6 in float64."""

import numpy as np
import pytest

import nnreg
from nnreg.builtin import activations as act
from nnreg.builtin import losses, optimizers, schedules
from nnreg.builtin.layers import attention, convolution, dense, normalization, sequence
from nnreg.interfaces import Moment, Plan, Step, Workspace
from nnreg.network.network import Network

pytestmark = pytest.mark.verify
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5)) * 3


@pytest.fixture
def torch(peer):
    return peer("torch")


def close(found, expected):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-6, atol=1e-9)


ACTIVATIONS = [
    (act.Relu(), "relu", {}),
    (act.LeakyRelu(0.2), "leaky_relu", {"negative_slope": 0.2}),
    (act.Sigmoid(), "sigmoid", {}),
    (act.Tanh(), "tanh", {}),
    (act.Softmax(), "softmax", {"dim": -1}),
    (act.Elu(0.7), "elu", {"alpha": 0.7}),
    (act.Selu(), "selu", {}),
    (act.Gelu(), "gelu", {"approximate": "tanh"}),
    (act.Gelu(exact=True), "gelu", {}),
    (act.Silu(), "silu", {}),
    (act.Softplus(), "softplus", {}),
    (act.Softsign(), "softsign", {}),
]


@pytest.mark.parametrize(("activation", "name", "options"), ACTIVATIONS, ids=repr)
def test_an_activation_is_pytorchs(torch, activation, name, options):
    x, dy = torch.tensor(X, requires_grad=True), RNG.normal(size=X.shape)
    expected = getattr(torch.nn.functional, name)(x, **options)
    expected.backward(torch.tensor(dy))
    y, backward = activation.forward(X)
    close(y, expected)
    close(backward(dy), x.grad)


SHARES = RNG.uniform(0.05, 0.95, X.shape)
ROWS = SHARES / SHARES.sum(axis=1, keepdims=True)
LABELS = RNG.integers(0, 5, 6)
LOSSES = [
    (losses.MeanSquaredError(), "mse_loss", X, SHARES, False, {}),
    (losses.MeanAbsoluteError(), "l1_loss", X, SHARES, False, {}),
    (losses.Huber(0.7), "huber_loss", X, SHARES, False, {"delta": 0.7}),
    (losses.BinaryCrossEntropy(), "binary_cross_entropy", SHARES, SHARES[::-1], False, {}),
    (losses.BinaryCrossEntropy(), "binary_cross_entropy_with_logits", X, SHARES, True, {}),
    (losses.CrossEntropy(), "cross_entropy", X, LABELS, True, {}),
    (losses.CrossEntropy(), "cross_entropy", X, np.eye(5)[LABELS], True, {}),
    (losses.CrossEntropy(0.2), "cross_entropy", X, LABELS, True, {"label_smoothing": 0.2}),
    (losses.CrossEntropy(0.2), "cross_entropy", X, ROWS, True, {"label_smoothing": 0.2}),
]


@pytest.mark.parametrize(("loss", "name", "y", "t", "logits", "options"), LOSSES)
def test_a_loss_is_pytorchs(torch, loss, name, y, t, logits, options):
    leaf = torch.tensor(y.copy(), requires_grad=True)
    expected = getattr(torch.nn.functional, name)(leaf, torch.tensor(t.copy()), **options)
    expected.backward()
    value, backward = (loss.forward_logits if logits else loss.forward)(y, t)
    close(value, expected)
    close(backward(), leaf.grad)


ALL_LABELS = np.array([3, 0, 4, 1, 2, 1])
WEIGHTED = [
    ("cross_entropy", "cross_entropy", ALL_LABELS, {}),
    ({"type": "cross_entropy", "label_smoothing": 0.2}, "cross_entropy", ALL_LABELS, {}),
    ("mean_squared_error", "mse_loss", SHARES, {}),
    ({"type": "huber", "delta": 0.7}, "huber_loss", SHARES, {"delta": 0.7}),
]


@pytest.mark.parametrize(("loss", "name", "t", "options"), WEIGHTED)
def test_a_weighted_step_is_pytorchs(torch, loss, name, t, options):
    """Weights of rows: the mean over the batch is Σ w · loss / Σ w, and so is its gradient."""
    weights = RNG.uniform(0, 3, len(X))
    labels = t is ALL_LABELS
    smoothing = loss.get("label_smoothing") if isinstance(loss, dict) else None
    layer = {"type": "dense", "units": 5, **({"activation": "softmax"} if labels else {})}
    targets = t if labels else {f"t{i}": t[:, i] for i in range(5)}
    spec = {
        "model": {"layers": [layer], "dtype": "float64"},
        "loss": loss,
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "train": {"epochs": 1, "batch_size": len(X)},
    }
    model = nnreg.build(spec, data=(X, targets))
    model.parameters["layers/0/weight"][...] = first = RNG.normal(size=(5, 5))
    leaf = torch.tensor(first.copy(), requires_grad=True)
    extra = {"label_smoothing": smoothing} if smoothing else options
    each = getattr(torch.nn.functional, name)(
        torch.tensor(X) @ leaf, torch.tensor(t.copy()), reduction="none", **extra
    )
    own = torch.tensor(weights)
    expected = (each if labels else each.mean(dim=1)).mul(own).sum() / own.sum()
    expected.backward()
    model.fit(X, targets, weights=weights)
    close(model.history["loss"][0], expected)
    close((first - model.parameters["layers/0/weight"]) / 0.1, leaf.grad)


def test_weights_of_classes_are_pytorchs(torch):
    """A loss over all rows is that of `cross_entropy(weight=…)`; balanced is scikit-learn's."""
    labels = np.array([0, 0, 0, 0, 1, 2])
    for choice, own in (("balanced", [0.5, 2, 2]), ({"0": 0.3, "2": 4}, [0.3, 1, 4])):
        spec = {
            "data": {"source": "csv", "path": "none", "target": "target", "class_weights": choice,
                     "scaling": "none"},
            "model": {"layers": [{"type": "dense", "units": 3, "activation": "softmax"}],
                      "dtype": "float64"},
            "loss": "cross_entropy",
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {"epochs": 1, "batch_size": len(X)},
        }  # fmt: skip
        model = nnreg.build(spec, data=(X, labels))
        first = model.parameters["layers/0/weight"].copy()
        leaf = torch.tensor(first.copy(), requires_grad=True)
        weight = torch.tensor(own, dtype=torch.float64)
        expected = torch.nn.functional.cross_entropy(
            torch.tensor(X) @ leaf, torch.tensor(labels), weight=weight
        )
        expected.backward()
        model.fit(X, labels)
        close(model.history["loss"][0], expected)
        close((first - model.parameters["layers/0/weight"]) / 0.1, leaf.grad)


def test_weights_are_scikit_learns(peer):
    """Balanced weights, and where a weighted network without layers between ends."""
    peer("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 60 + [1] * 25 + [2] * 15)
    x = np.random.default_rng(1).normal(size=(100, 2)) + labels[:, None] * [0.7, -0.3]
    weights = np.random.default_rng(2).uniform(0, 3, 100)
    spec = {
        "data": {"source": "csv", "path": "none", "target": "target",
                 "class_weights": "balanced", "scaling": "none"},
        "model": {"layers": [{"type": "dense", "units": 3, "activation": "softmax"}],
                  "dtype": "float64"},
        "loss": "cross_entropy",
        "optimizer": {"type": "sgd", "learning_rate": 0.5},
        "train": {"epochs": 3000, "batch_size": 100},
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, labels))
    examples = model.weighted(model.examples(x, labels), x)
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(examples.weights, balanced[labels], rtol=1e-12)
    model.fit(x, labels, weights=weights)
    both = weights / np.bincount(labels, weights)[labels]  # newer versions: "balanced"
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    theirs.fit(x, labels, sample_weight=both * 100)
    np.testing.assert_allclose(model.predict(x), theirs.predict_proba(x), atol=1e-5)
    expected_loss = log_loss(labels, model.predict(x), sample_weight=both)
    assert model.history["loss"][-1] == pytest.approx(expected_loss, rel=1e-8)


class Ours:
    """A layer in a network, its outputs and gradients."""

    def __init__(self, layer, x, *, training=True):
        plan = Plan("$")
        shape = x.shape[1:]
        self.network = Network(plan, shape, plan.layer("layers/0", layer, shape), dtype=np.float64)
        self.network.initialize(0)
        self.network.vector += RNG.normal(size=self.network.vector.size) * 0.2
        gradient = np.zeros_like(self.network.vector)
        context = self.network.context(
            Workspace(np.float64, reuse=True),
            gradient,
            training=training,
            input_gradient=x.dtype.kind == "f",
        )
        y, backward = self.network.forward(x, context)
        self.y = y.copy()
        self.dy = RNG.normal(size=y.shape)
        self.dx = backward(self.dy)
        self.gradients = dict(context.children["layers/0"].gradients)
        self.params = dict(context.children["layers/0"].params)

    def against(self, torch, module, x, load, read, *, last=False):
        """Compare with a module that `load` fills and whose gradients `read` gives by our names."""
        module = module.double()
        with torch.no_grad():
            load(module, {k: torch.tensor(v.copy()) for k, v in self.params.items()})
        leaf = torch.tensor(x, requires_grad=x.dtype.kind == "f")
        channels = last and x.ndim == 4
        y = module(leaf.permute(0, 3, 1, 2) if channels else leaf)
        y = y[0] if isinstance(y, tuple) else y
        y = y.permute(0, 2, 3, 1) if channels else y
        y.backward(torch.tensor(self.dy))
        close(self.y, y)
        if x.dtype.kind == "f":
            close(self.dx, leaf.grad)
        for name, gradient in read(module).items():
            close(self.gradients[name], gradient)


def test_dense_is_linear(torch):
    def load(m, p):
        m.weight.copy_(p["weight"].T)
        m.bias.copy_(p["bias"])

    Ours(dense.Dense(3), X).against(
        torch, torch.nn.Linear(5, 3), X, load,
        lambda m: {"weight": m.weight.grad.T, "bias": m.bias.grad},
    )  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_pytorchs(torch, training):
    def load(m, p):
        m.weight.copy_(p["gamma"])
        m.bias.copy_(p["beta"])
        m.train(training)

    ours = Ours(normalization.BatchNorm(), X, training=training)
    module = torch.nn.BatchNorm1d(5, momentum=0.1)
    ours.against(torch, module, X, load, lambda m: {"gamma": m.weight.grad, "beta": m.bias.grad})
    close(ours.network.state["layers/0/running_mean"], module.running_mean)
    close(ours.network.state["layers/0/running_variance"], module.running_var)


def test_layer_norm_is_pytorchs(torch):
    def load(m, p):
        m.weight.copy_(p["gamma"])
        m.bias.copy_(p["beta"])

    Ours(normalization.LayerNorm(), X).against(
        torch, torch.nn.LayerNorm(5), X, load,
        lambda m: {"gamma": m.weight.grad, "beta": m.bias.grad},
    )  # fmt: skip


IMAGES = RNG.normal(size=(3, 7, 6, 2))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"kernel": (2, 3), "stride": (2, 1)}, {"kernel_size": (2, 3), "stride": (2, 1)}),
        ({"padding": "same"}, {"padding": "same"}),
        ({"padding": "same", "kernel": (4, 2)}, {"padding": "same", "kernel_size": (4, 2)}),
    ],
)
def test_conv2d_is_pytorchs(torch, ours, theirs):
    def load(m, p):
        m.weight.copy_(p["weight"].permute(3, 2, 0, 1))
        m.bias.copy_(p["bias"])

    module = torch.nn.Conv2d(2, 4, **{"kernel_size": 3, **theirs})
    Ours(convolution.Conv2d(4, **ours), IMAGES).against(
        torch, module, IMAGES, load,
        lambda m: {"weight": m.weight.grad.permute(2, 3, 1, 0), "bias": m.bias.grad}, last=True,
    )  # fmt: skip


@pytest.mark.parametrize(("size", "stride"), [(2, None), ((3, 2), (1, 2))])
def test_max_pool2d_is_pytorchs(torch, size, stride):
    ties = np.round(IMAGES)
    Ours(convolution.MaxPool2d(size, stride), ties).against(
        torch, torch.nn.MaxPool2d(size, stride), ties, lambda m, p: None, lambda m: {}, last=True
    )


def test_embedding_is_pytorchs(torch):
    index = RNG.integers(0, 7, (4, 3))
    Ours(sequence.Embedding(7, 5), index).against(
        torch, torch.nn.Embedding(7, 5), index, lambda m, p: m.weight.copy_(p["weight"]),
        lambda m: {"weight": m.weight.grad},
    )  # fmt: skip


def test_lstm_is_pytorchs(torch):
    x = RNG.normal(size=(3, 4, 5))

    def load(m, p):
        m.weight_ih_l0.copy_(p["weight"].T)
        m.weight_hh_l0.copy_(p["recurrent"].T)
        m.bias_ih_l0.copy_(p["bias"])
        m.bias_hh_l0.zero_()

    Ours(sequence.Lstm(2, sequences=True), x).against(
        torch, torch.nn.LSTM(5, 2, batch_first=True), x, load,
        lambda m: {"weight": m.weight_ih_l0.grad.T, "recurrent": m.weight_hh_l0.grad.T,
                   "bias": m.bias_ih_l0.grad},
    )  # fmt: skip


def test_multi_head_attention_is_pytorchs(torch):
    x = RNG.normal(size=(3, 4, 6))

    class Attention(torch.nn.MultiheadAttention):
        def forward(self, x):
            return super().forward(x, x, x, need_weights=False)

    def load(m, p):
        m.in_proj_weight.copy_(p["weight"].T)
        m.in_proj_bias.copy_(p["bias"])
        m.out_proj.weight.copy_(p["output_weight"].T)
        m.out_proj.bias.copy_(p["output_bias"])

    Ours(attention.MultiHeadAttention(2), x).against(
        torch, Attention(6, 2, batch_first=True), x, load,
        lambda m: {"weight": m.in_proj_weight.grad.T, "bias": m.in_proj_bias.grad,
                   "output_weight": m.out_proj.weight.grad.T,
                   "output_bias": m.out_proj.bias.grad},
    )  # fmt: skip


OPTIMIZERS = [
    (optimizers.Sgd(0.1), "SGD", {}),
    (optimizers.Sgd(0.1, momentum=0.9), "SGD", {"momentum": 0.9}),
    (optimizers.Sgd(0.1, momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    (optimizers.Adam(0.1, beta1=0.8, beta2=0.95), "Adam", {"betas": (0.8, 0.95)}),
    (optimizers.AdamW(0.1, weight_decay=0.05), "AdamW", {"weight_decay": 0.05}),
    (optimizers.RmsProp(0.1, rho=0.8), "RMSprop", {"alpha": 0.8}),
]


@pytest.mark.parametrize(("optimizer", "name", "options"), OPTIMIZERS)
def test_five_steps_of_an_optimizer_are_pytorchs(torch, optimizer, name, options):
    parameters = RNG.normal(size=40)
    leaf = torch.tensor(parameters.copy(), requires_grad=True)
    theirs = getattr(torch.optim, name)([leaf], lr=0.1, **options)
    slots = {name: np.zeros(40) for name in optimizer.slots}
    for count in range(1, 6):
        gradient = RNG.normal(size=40)
        step = Step(count, slots, Workspace(np.float64, reuse=False))
        optimizer.update(parameters, gradient, step)
        leaf.grad = torch.tensor(gradient)
        theirs.step()
        close(parameters, leaf)


SCHEDULES = [
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
]  # fmt: skip


def rates(torch, optimizer, scheduler, count):
    """Return the learning rates of some steps that PyTorch makes."""
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("schedule", "name", "options"), SCHEDULES, ids=repr)
def test_a_schedule_is_pytorchs(torch, schedule, name, options):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    found = [schedule.factor(Moment(step, 24, 1)) for step in range(24)]
    np.testing.assert_allclose(found, rates(torch, optimizer, theirs, 24), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
def test_a_cosine_after_a_warmup_is_pytorchs(torch):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    parts = torch.optim.lr_scheduler
    two = [parts.LinearLR(optimizer, 0.1, total_iters=4), parts.CosineAnnealingLR(optimizer, 20)]
    theirs = parts.SequentialLR(optimizer, two, milestones=[4])
    schedule = schedules.Warmup(2, 0.1, schedules.Cosine())
    found = [schedule.factor(Moment(step, 24, 2)) for step in range(24)]
    np.testing.assert_allclose(found, rates(torch, optimizer, theirs, 24), rtol=1e-6)


@pytest.mark.parametrize("rising", [False, True])
def test_a_reduction_on_a_plateau_is_pytorchs(torch, rising):
    values = np.minimum(np.arange(60) % 17, 9.0) + RNG.uniform(0, 2, 60) - np.arange(60) / 30
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max" if rising else "min", 0.5, 3,
        threshold=0.1, threshold_mode="abs", cooldown=2, min_lr=0.01,
    )  # fmt: skip
    schedule = schedules.ReduceOnPlateau("val_loss", 3, 0.5, 0.1, 2, 0.01)
    records = []
    for value in values:
        records.append({"val_loss": value})
        theirs.step(value)
        moment = Moment(0, 60, 1, records, frozenset(["val_loss"] if rising else []))
        assert schedule.factor(moment) == optimizer.param_groups[0]["lr"]
    assert schedule.factor(moment) < 0.1


def test_five_steps_of_a_whole_network_are_pytorchs(torch):
    x, y = RNG.normal(size=(50, 4)), RNG.uniform(size=(50, 3))
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
    x, y = RNG.normal(size=(48, 4)), RNG.integers(0, 3, 48)
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
