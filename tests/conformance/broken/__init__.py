"""Components with one mistake each, by the check that must fail.

Most derive from a correct component.
"""

from tests.conformance.broken import (
    activations,
    augmentations,
    constraints,
    encoders,
    executors,
    exporters,
    initializers,
    kernels,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
    sources,
    trainable_activations,
)

CORRECT = [
    activations.Good,
    activations.FormulaWithKinks,
    trainable_activations.Gain,
    losses.GoodLoss,
    layers.Scale,
    optimizers.Descent,
    schedules.Falling,
    metrics.Distance,
    regularizers.Squares,
    constraints.AtMostOne,
    augmentations.Neighbours,
    sources.JsonColumns,
    sources.JsonOnDemand,
    encoders.Ranked,
    encoders.RankedInParts,
    exporters.Lists,
    executors.Threads,
]

BROKEN = {
    "activation": activations.BROKEN,
    "activation with parameters": trainable_activations.BROKEN,
    "loss": losses.BROKEN,
    "layer": layers.BROKEN,
    "optimizer": optimizers.BROKEN,
    "schedule": schedules.BROKEN,
    "initializer": initializers.BROKEN,
    "metric": metrics.BROKEN,
    "regularizer": regularizers.BROKEN,
    "constraint": constraints.BROKEN,
    "augmentation": augmentations.BROKEN,
    "source": sources.BROKEN,
    "kernels": kernels.BROKEN,
    "encoder": encoders.BROKEN,
    "exporter": exporters.BROKEN,
    "executor": executors.BROKEN,
}
"""By kind and check, the components that must fail this check and no other."""
