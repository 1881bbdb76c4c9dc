"""What a network's outputs are worth: the loss, and metrics over a whole set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.network.network import Network
from nnreg.tables.lazy import Column


@dataclass(frozen=True)
class Examples:
    """Inputs `x`, `targets` as the loss takes them, and `raw_targets` as the metrics take them.

    The truth is class numbers `(examples, ...)`, or numbers in the target's own units. Inputs may
    stay in their file. `weights` `(examples,)`, whose mean is 1, are what each counts in training;
    None where all count the same.
    """

    x: Column
    targets: Array
    raw_targets: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.x)


class Evaluation:
    """The loss and the metrics of a network.

    `unscale` turns outputs into numbers in the target's own units; it is None where the target is
    classes. `logits` says that the loss is computed from what comes before the last activation.
    """

    def __init__(
        self,
        loss: Loss,
        metrics: Mapping[str, Metric],
        *,
        logits: bool,
        unscale: Callable[[Array], Array] | None,
    ) -> None:
        self.loss = loss
        self.named_metrics = metrics
        self.logits = logits
        self.unscale = unscale

    @property
    def names(self) -> list[str]:
        """The figures that `evaluate` gives."""
        return ["loss", *self.named_metrics]

    def higher_is_better(self, name: str) -> bool:
        """Whether a figure, with or without `val_`, should grow."""
        metric = self.named_metrics.get(name.removeprefix("val_"))
        return metric is not None and metric.higher_is_better

    def loss_of(self, z: Array, t: Array, context: Context) -> tuple[float, Callable[[], Array]]:
        """Return the loss of a network's scores and the function giving its gradient."""
        return self.loss.forward_with_workspace(z, t, context, logits=self.logits)

    def weighted_loss(self, z: Array, t: Array, weights: Array) -> float:
        """Return the mean of the examples' losses, each times its weight."""
        losses = self.loss.per_example(z, t, logits=self.logits)
        return float(np.mean(weights * losses))

    def metrics(self, y: Array, examples: Examples) -> dict[str, float]:
        """Return every metric of the outputs `y`."""
        answers = self.predictions(y)
        return {
            name: metric.compute(answers, examples.raw_targets)
            for name, metric in self.named_metrics.items()
        }

    def predictions(self, y: Array) -> Array:
        """Return outputs as the truth is given: class numbers, or the target's own units."""
        return classes_of(y) if self.unscale is None else self.unscale(y)

    def evaluate(self, network: Network, examples: Examples) -> dict[str, float]:
        """Return the loss and every metric over the whole set."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.evaluate_logits(network, network.logits(examples.x), examples)

    def evaluate_logits(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return the loss and every metric of what a network's layers made of the inputs."""
        with np.errstate(over="ignore", invalid="ignore"):
            context = Context({}, {}, {}, {}, network.workspace(reuse=False))
            loss, _ = self.loss_of(z, examples.targets, context)
            return {"loss": loss, **self.metrics(network.outputs(z), examples)}


def classes_of(y: Array) -> Array:
    """Return the class numbers that outputs stand for.

    That is the largest of several, or whether a single probability is above one half.
    """
    return np.argmax(y, axis=-1) if y.shape[-1] > 1 else (y[..., 0] > 0.5).astype(np.intp)
