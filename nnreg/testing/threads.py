"""Trainings that must give the same bits on any number of threads, on any kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils import json_text
from nnreg._utils.threads import blas_threads
from nnreg.interfaces.kernels import Kernels
from nnreg.model.build import build_network
from nnreg.model.model import Model
from nnreg.ranks.group import ALONE, Ranks
from nnreg.runs.prepare import build
from nnreg.testing.finite_differences import points
from nnreg.training.trainer import Trainer

THREADS = (1, 2, 3, 4)

OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}

ADAM = {"type": "adam", "learning_rate": 0.01}


def _dense(*units: int) -> list[dict[str, Any]]:
    return [{"type": "dense", "units": one, "activation": "relu"} for one in units]


@dataclass(frozen=True)
class Training:
    """Layers, the shape of an example, settings and an optimizer; the output has `classes`.

    With `lengths`, examples are sequences of different lengths.
    """

    layers: list[Any]
    shape: tuple[int, ...]
    classes: int = 3
    rows: int = 87
    settings: Mapping[str, Any] = field(default_factory=dict)
    integers: int = 0
    lengths: bool = False
    optimizer: Mapping[str, Any] = field(default_factory=lambda: ADAM)

    @property
    def spec(self) -> dict[str, Any]:
        """The spec, with everything that results could depend on."""
        settings = {"epochs": 2, "batch_size": 32, "clip_norm": 0.5, "l2": 1e-4, "ema": 0.9}
        return {
            "model": {"layers": [*self.layers, OUTPUT]},
            "loss": "cross_entropy",
            "optimizer": self.optimizer,
            "metrics": ["accuracy"],
            "train": {**settings, **self.settings},
        }

    @property
    def data(self) -> tuple[Any, Array]:
        """Inputs and classes."""
        x: Any = points((self.rows, *self.shape))
        if self.integers:
            x = (np.abs(x) * 1e4).astype(int) % self.integers
        if self.lengths:
            x = [one[: 1 + index % len(one)] for index, one in enumerate(x)]
        return x, np.arange(self.rows) * 7 % self.classes

    def model(self, own_kernels: Kernels | None = None, **settings: Any) -> Model:
        """Return the initial model, with settings of `train` instead of its own."""
        spec = self.spec
        spec["train"] |= {"kernels": "numpy"} | settings
        model = build(spec, data=self.data)
        if own_kernels is not None:
            known = model.preprocessing
            shape, classes, steps = known.input_shape, known.classes, known.steps
            model.network = build_network(
                model.spec,
                shape,
                classes,
                own_kernels,
                masked=steps,
                features=known.features,
            )
            model.network.initialize(model.spec.seed)
        return model

    def trainer(self, model: Model, ranks: Ranks = ALONE) -> Trainer:
        """Return a trainer with a third of the rows held out."""
        x, y = self.data
        held_out = self.rows // 3
        examples = model.examples(x[held_out:], y[held_out:])
        validation = model.examples(x[:held_out], y[:held_out])
        return model.trainer(examples, validation, check=False, ranks=ranks)


def _transformer(units: int) -> list[Any]:
    attention = {"type": "multi_head_attention", "heads": 2}
    return [
        {"type": "embedding", "vocabulary": 20, "units": units},
        {"type": "residual", "layers": ["layer_norm", attention]},
        {"type": "residual", "layers": [*_dense(2 * units), {"type": "dense", "units": units}]},
        {"type": "dropout", "rate": 0.2},
        "layer_norm",
        "flatten",
    ]


PICTURES: list[dict[str, Any]] = [
    {"type": "conv2d", "filters": 6, "padding": "same"},
    {"type": "batch_norm"},
    {"type": "activation", "activation": "relu"},
    {"type": "max_pool2d"},
    {"type": "dropout", "rate": 0.2},
    {"type": "flatten"},
]


def _recurrent(units: int) -> list[Any]:
    gru = {"type": "gru", "units": units, "sequences": True}
    return [
        {"type": "bidirectional", "layer": gru},
        {"type": "time_distributed", "layer": _dense(units)[0]},
        {"type": "gru", "units": units, "backwards": True, "reset_after": False},
    ]


def _encoder(units: int) -> list[Any]:
    block = {"type": "transformer_encoder", "heads": 2, "rotary": 10000, "dropout": 0.2}
    return [{"type": "embedding", "vocabulary": 20, "units": units}, block, "flatten"]


def _normalized(filters: int) -> list[Any]:
    convolution = {"type": "conv2d", "filters": filters, "padding": "same"}
    return [
        {"type": "spectral_norm", "layer": convolution},
        {"type": "group_norm", "groups": 2},
        {"type": "activation", "activation": "relu"},
        "batch_norm",
        {"type": "depthwise_conv2d"},
        {"type": "instance_norm"},
        "global_average_pool",
    ]


MUON = {"type": "muon", "learning_rate": 0.01}
SAM = {"type": "sam", "base": ADAM}
LBFGS = {"type": "lbfgs", "learning_rate": 1.0}

AUGMENTED: list[Any] = [
    {"type": "random_flip"},
    {"type": "random_rotation", "factor": 0.1},
    {"type": "random_contrast", "factor": 0.3},
    *PICTURES,
]


SMALL: Mapping[str, Training] = {
    "dense": Training(_dense(16, 8), (4,)),
    "dense, in shards": Training(_dense(16, 8), (4,), settings={"shards": 3}),
    "convolution with batch norm": Training(PICTURES, (9, 8, 2), settings={"shards": 4}),
    "lstm with masks": Training(
        [{"type": "lstm", "units": 6}], (7, 3), settings={"shards": 3}, lengths=True
    ),
    "transformer": Training(_transformer(8), (6,), settings={"shards": 4}, integers=20),
}
"""Trainings of a fraction of a second."""

COMPONENTS: Mapping[str, Training] = {
    "gru in both directions with masks": Training(
        _recurrent(5), (7, 3), settings={"shards": 3}, lengths=True
    ),
    "encoder with rotary positions and dropout": Training(
        _encoder(8), (6,), settings={"shards": 4}, integers=20
    ),
    "group, instance and spectral norm": Training(
        _normalized(4), (6, 5, 2), settings={"shards": 3}
    ),
    "random images and mixup": Training(
        AUGMENTED, (9, 8, 2), settings={"shards": 4, "augment": ["mixup"]}
    ),
    "muon": Training(_dense(16, 8), (4,), settings={"shards": 3}, optimizer=MUON),
    "sam": Training(
        [*_dense(16), "batch_norm", {"type": "dropout", "rate": 0.2}], (4,),
        settings={"shards": 3}, optimizer=SAM,
    ),
    "lbfgs": Training(
        _dense(16, 8), (4,), settings={"shards": 3, "batch_size": 58, "epochs": 5},
        optimizer=LBFGS,
    ),
}  # fmt: skip
"""Trainings of a fraction of a second of layers and optimizers that divide work in other ways."""

LARGE_COMPONENTS: Mapping[str, Training] = {
    "gru in both directions with masks, large": Training(
        _recurrent(128), (20, 64), 10, 300,
        {"batch_size": 128, "reproducible": True}, lengths=True,
    ),
    "encoder with rotary positions and dropout, large": Training(
        _encoder(128), (16,), 10, 300, {"batch_size": 128, "reproducible": True}, integers=20
    ),
    "group, instance and spectral norm, large": Training(
        _normalized(32), (16, 16, 3), 10, 192, {"batch_size": 64}
    ),
    "random images and mixup, large": Training(
        [*AUGMENTED[:3], PICTURES[0] | {"filters": 32}, *PICTURES[1:]], (16, 16, 3), 10, 192,
        {"batch_size": 64, "augment": ["mixup"]},
    ),
    "muon, large": Training(
        _dense(512, 256), (784,), 10, 192, {"batch_size": 64, "reproducible": True}, optimizer=MUON
    ),
    "sam, large": Training(
        _dense(512, 256), (784,), 10, 192, {"batch_size": 64, "reproducible": True}, optimizer=SAM
    ),
    "lbfgs, large": Training(
        _dense(512, 256), (784,), 10, 192,
        {"batch_size": 128, "reproducible": True, "epochs": 5},
        optimizer=LBFGS,
    ),
}  # fmt: skip
"""The same with products or activations as large as those that threads share."""

LARGE: Mapping[str, Training] = {
    "dense 784-512-256-10": Training(
        _dense(512, 256), (784,), 10, 192, {"batch_size": 64, "reproducible": True}
    ),
    "dense 1024-2048-2048-1000": Training(
        _dense(2048, 2048), (1024,), 1000, 192, {"batch_size": 64}
    ),
    "convolution with batch norm, divided by default": Training(
        [PICTURES[0] | {"filters": 32}, *PICTURES[1:]], (16, 16, 3), 10, 192, {"batch_size": 64}
    ),
    "lstm with masks and large products": Training(
        [{"type": "lstm", "units": 128}], (20, 64), 10, 300,
        {"batch_size": 128, "reproducible": True}, lengths=True,
    ),
    "transformer with large products": Training(
        _transformer(128), (16,), 10, 300, {"batch_size": 128, "reproducible": True}, integers=20
    ),
}  # fmt: skip
"""Trainings whose products or activations are as large as those that threads share."""


def digest(trainer: Trainer) -> str:
    """Return the SHA-256 of all weights and of everything else that a training has computed."""
    state, network = trainer.training_state, trainer.network
    arrays = [network.vector, network.state_vector, *(state.ema or ())]
    arrays += [one for one in (state.best_vector, state.best_state) if one is not None]
    found = hashlib.sha256()
    for array in [*arrays, *state.optimizer_state.values()]:
        found.update(array.tobytes())
    records = [state.history, state.best_epoch, trainer.gradient_norms()]
    found.update(json_text.dumps(records).encode())
    return found.hexdigest()


def trained(training: Training, kernels: Kernels | None, threads: int) -> str:
    """Return the digest of a training on this number of threads, and as many of BLAS."""
    with blas_threads(threads):
        trainer = training.trainer(training.model(kernels, threads=threads))
        for _ in trainer.epochs():
            pass
        return digest(trainer)


def threads(kernels: Kernels) -> None:
    """A training gives the same bits on 1, 2, 3 and 4 threads."""
    for name, training in SMALL.items():
        found = {trained(training, kernels, count) for count in THREADS}
        if len(found) > 1:
            raise AssertionError(
                f"{kernels}: a training ({name}) has {len(found)} different results on 1, 2, 3 and "
                "4 threads; what a kernel computes may depend on its arguments alone"
            )
