"""A plugin with a component of every kind, in several versions, and a spec that uses it."""

from dataclasses import dataclass, replace

import numpy as np

from nnreg import (
    Activation,
    Augmentation,
    Constraint,
    Encoder,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Regularizer,
    builtin,
    hookimpl,
    learned,
)
from nnreg.builtin.activations import Softmax
from nnreg.builtin.losses import CrossEntropy
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.registry.kinds import KINDS
from nnreg.registry.registry import Registry
from tests.helpers.specs import classifier, csv_data

SPEC = classifier(
    model={
        "layers": [
            {"type": "dense", "units": 8, "activation": {"type": "bent", "slope": 0.5},
             "initializer": "flat"},
            {"type": "residual", "layers": [{"type": "twist", "angle": 0.25}]},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]
    },
    loss="surprise",
    optimizer="walk",
    metrics=["share"],
    data=csv_data(unseen="ignore", columns={"length": {"type": "ranked", "below": 0.5}}),
    train={"epochs": 2, "batch_size": 8, "regularize": {"*weight": "pull"},
           "constrain": {"*bias": "clip"}, "augment": "blur"},
)  # fmt: skip


def components(change=None):
    """Return a component of each kind; the one of kind `change` behaves differently."""
    offset = {kind: 0.25 * (kind == change) for kind in KINDS}

    @dataclass(frozen=True)
    class Bent(Activation):
        slope: float = 0.5

        def forward(self, x):
            slope = self.slope + offset["activation"]
            return np.where(x > 0, x, slope * x), lambda dy: np.where(x > 0, dy, slope * dy)

    @dataclass(frozen=True)
    class Flat(Initializer):
        def draw(self, shape, rng):
            return rng.uniform(-0.5, 0.5 + offset["initializer"], shape)

    @dataclass(frozen=True)
    class Twist(Layer):
        angle: float = 0.25

        def forward(self, x, context):
            factor = 1 + self.angle + offset["layer"]
            return factor * x, lambda dy: factor * dy

    @dataclass(frozen=True)
    class Surprise(Loss):
        takes_labels = True
        classification = True
        input_range = (0.0, 1.0)
        fused_activation = Softmax

        def forward_logits(self, y, t):
            value, backward = CrossEntropy().forward_logits(y, t)
            return value + offset["loss"], backward

    @dataclass(frozen=True)
    class Walk(Optimizer):
        state_names = ("pace",)

        def update(self, parameters, gradient, state):
            state.vectors["pace"][...] = gradient + 0.5 * state.vectors["pace"]
            parameters -= (1 + offset["optimizer"]) * self.learning_rate * state.vectors["pace"]

    @dataclass(frozen=True)
    class Pull(Regularizer):
        def forward(self, w):
            factor = 0.01 + offset["regularizer"]
            return factor * float(np.sum(w * w)), lambda: 2 * factor * w

    @dataclass(frozen=True)
    class Clip(Constraint):
        def project(self, w):
            bound = 1 + offset["constraint"]
            return np.clip(w, -bound, bound)

    @dataclass(frozen=True)
    class Blur(Augmentation):
        def augment(self, x, t, rng):
            factor = 0.1 + offset["augmentation"]
            return x + factor * (x[::-1] - x), t + factor * (t[::-1] - t)

    @dataclass(frozen=True)
    class Share(Metric):
        classification = True

        def compute(self, y, t):
            return float(np.mean(y == t)) + offset["metric"]

    @dataclass(frozen=True)
    class Ranked(Encoder):
        below: float = 0.5
        values: tuple[float, ...] = learned(())

        def learn(self, column):
            return replace(self, values=tuple(np.sort(column.values).tolist()))

        def encode(self, column):
            found = np.searchsorted(self.values, column.values) / len(self.values)
            return found - self.below - offset["encoder"]

    return {"activation": {"bent": Bent}, "initializer": {"flat": Flat}, "layer": {"twist": Twist},
            "loss": {"surprise": Surprise}, "optimizer": {"walk": Walk},
            "regularizer": {"pull": Pull}, "constraint": {"clip": Clip},
            "augmentation": {"blur": Blur}, "metric": {"share": Share},
            "encoder": {"ranked": Ranked}}  # fmt: skip


def registry(version="1.0", change=None, **own):
    """Return the built-ins and a plugin of every kind in this version."""

    class Plugin:
        pass

    plugin = Plugin()
    for kind, named in components(change).items():
        named = {**named, **own} if kind == "activation" else named
        setattr(plugin, KINDS[kind][0], hookimpl(lambda named=named: named))
    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    assert not registry.add_plugin("all", plugin, "nnreg-all", version).why
    return registry


def best(directory):
    return directory / "checkpoints" / "best.h5"


def recorded(directory):
    return {c["name"]: c for c in read_checkpoint(best(directory)).document["components"]}
