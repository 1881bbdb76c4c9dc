"""Components with one mistake each, by the check that must find it.

Each derives from one that is right.
"""

from tests.conformance.broken import (
    activations,
    initializers,
    kernels,
    layers,
    losses,
    metrics,
    optimizers,
    schedules,
    sources,
)

RIGHT = [
    activations.Good,
    activations.FormulaWithKinks,
    losses.GoodLoss,
    layers.Scale,
    optimizers.Descent,
    schedules.Falling,
    metrics.Distance,
    sources.JsonColumns,
]

BROKEN = {
    "activation": activations.BROKEN,
    "loss": losses.BROKEN,
    "layer": layers.BROKEN,
    "optimizer": optimizers.BROKEN,
    "schedule": schedules.BROKEN,
    "initializer": initializers.BROKEN,
    "metric": metrics.BROKEN,
    "source": sources.BROKEN,
    "kernels": kernels.BROKEN,
}
"""By kind and check, the components that this check, and no other, must find broken."""
