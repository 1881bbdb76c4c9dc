"""The kinds of components, each with its hook and its base class."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.component import Component
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.executor import Executor
from nnreg.interfaces.exporter import Exporter
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source

KINDS: Mapping[str, tuple[str, type[Component]]] = {
    "activation": ("nnreg_activations", Activation),
    "loss": ("nnreg_losses", Loss),
    "layer": ("nnreg_layers", Layer),
    "optimizer": ("nnreg_optimizers", Optimizer),
    "schedule": ("nnreg_schedules", Schedule),
    "initializer": ("nnreg_initializers", Initializer),
    "regularizer": ("nnreg_regularizers", Regularizer),
    "constraint": ("nnreg_constraints", Constraint),
    "augmentation": ("nnreg_augmentations", Augmentation),
    "metric": ("nnreg_metrics", Metric),
    "kernels": ("nnreg_kernels", Kernels),
    "source": ("nnreg_sources", Source),
    "encoder": ("nnreg_encoders", Encoder),
    "exporter": ("nnreg_exporters", Exporter),
    "executor": ("nnreg_executors", Executor),
}
"""For each kind, the hook that returns its components and their base class."""
