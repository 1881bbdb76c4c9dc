"""Evaluation of predictions: the loss, and metrics over a whole set."""

from __future__ import annotations

import functools
import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError, NnregWarning
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.returned import Caller
from nnreg.network.network import Network
from nnreg.ranks.group import ALONE, Ranks
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.padded import Padded, points_of
from nnreg.tables.relative import RelativeTargets
from nnreg.tables.windows import Windows

EVALUATED_VALUES = 2**20
"""The most scores whose loss is computed at once: 4 MB of float32."""


@dataclass(frozen=True)
class Examples:
    """Inputs `x`, `targets` as the loss takes them, and `raw_targets` as the metrics take them.

    The inputs of a network with several are given by name, and so are the targets of several
    outputs. Raw targets are class numbers
    `(examples, ...)`, or numbers in the target's own units, which are `RelativeTargets` if outputs
    are differences from other values. Inputs may stay in their file.
    `weights` `(examples,)` with a mean of 1 are the weights in training; None if all are equal.
    Those of targets per step are `Padded`, with a weight for each step; those of the members of an
    ensemble `(examples, members)`. `holders` are for rows that are evaluated out of fold: the
    member that did not train on each, which alone predicts it.
    """

    x: Inputs
    targets: Any
    raw_targets: Any
    weights: Array | Padded | None = None
    holders: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def ordered(self, order: Array) -> Examples:
        """Return examples with the targets that an evaluation needs in another order."""
        several = isinstance(self.targets, NamedArrays)  # their losses are evaluated too
        targets = self.targets[order] if several else self.targets
        weights = None if self.weights is None else self.weights[order]
        return replace(self, raw_targets=self.raw_targets[order], targets=targets, weights=weights)

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of targets and weights, and of the inputs if they are in memory."""
        found = hashlib.sha256()
        for value in (self.x, self.targets, self.weights):
            for array in arrays_in(value):
                found.update(f"{array.dtype} {array.shape}".encode())
                found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


class Evaluation:
    """The loss and the metrics of a network.

    `unscale` converts outputs to the target's own units; it is None for classes. With `logits`, the
    loss is computed from the input of the last activation. A loss that compares the examples of a
    batch is evaluated on batches of `batch_size`. With `masked`, outputs and targets are those of
    sequences of different lengths, the targets as `Padded`.
    """

    def __init__(
        self,
        loss: Loss,
        metrics: Mapping[str, Metric],
        *,
        logits: bool,
        unscale: Callable[[Array], Array] | None,
        batch_size: int = 32,
        masked: bool = False,
    ) -> None:
        self.loss = loss
        self.named_metrics = metrics
        self.logits = logits
        self.unscale = unscale
        self.batch_size = batch_size
        self.masked = masked

    @property
    def of_member(self) -> Evaluation:
        """The evaluation of a single network, for the members of an ensemble."""
        return self

    @property
    def names(self) -> list[str]:
        """The names of the metrics that `evaluate` returns."""
        return ["loss", *self.named_metrics]

    def higher_is_better(self, name: str) -> bool:
        """Whether higher values of a metric, with or without `val_`, are better."""
        metric = self.named_metrics.get(name.removeprefix("val_"))
        return metric is not None and metric.higher_is_better

    @property
    def keeps_scores(self) -> bool:
        """Whether the scores of an epoch are needed at its end."""
        return bool(self.named_metrics)

    def record(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return what the record of an epoch has besides the loss, of the scores `z`."""
        return self.metrics(network.outputs(z), examples)

    def loss_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[float, Callable[[], Array]]:
        """Return the loss of a network's scores, and the function that computes its gradient.

        With weights of the examples, or of their steps, it is the mean of loss times weight.
        """
        if weights is not None:
            return self._weighted_loss_of(z, t, context, weights)
        if self.masked:
            loss, backward = self.loss.forward_masked(
                z, t.values, t.mask, context, logits=self.logits
            )
            return float(loss), backward
        loss, backward = self.loss.forward_with_workspace(z, t, context, logits=self.logits)
        return float(loss), backward  # a loss in float32 would lose digits when it is summed

    def _weighted_loss_of(
        self, z: Array, t: Any, context: Context, weights: Any
    ) -> tuple[float, Callable[[], Array]]:
        if self.masked:
            of_steps = weights.values if isinstance(weights, Padded) else weights[:, None]
            loss, backward = self.loss.forward_masked_weighted(
                z, t.values, t.mask, of_steps, context, logits=self.logits
            )
        else:
            loss, backward = self.loss.forward_weighted(z, t, weights, context, logits=self.logits)
        return float(loss), backward

    def losses_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[list[float], Callable[[Array], Array]]:
        """Return the loss of each output, and the function from a factor of each to ∂loss/∂z."""
        loss, backward_fn = self.loss_of(z, t, context, weights)

        def backward(factors: Array) -> Array:
            dz = backward_fn()
            scaled: Array = np.multiply(dz, factors[0], out=context.empty(dz.shape))
            return scaled

        return [loss], backward

    def points(self, targets: Any) -> Array | None:
        """Return the number of real points of each row in each output; None without masks."""
        return targets.lengths[:, None] if self.masked else None

    def metrics(self, y: Array, examples: Examples) -> dict[str, float]:
        """Return every metric of the outputs `y`."""
        if not self.named_metrics:
            return {}
        targets = examples.raw_targets
        if self.masked:
            y = y[targets.mask]
        predictions, raw, found = self.predictions(y, targets), points_of(targets), {}
        for name, metric in self.named_metrics.items():
            compared = self.loss.class_scores(y) if metric.of_scores else predictions
            found[name] = metric_value(metric, compared, raw)
        return found

    def predictions(self, y: Array, targets: Any) -> Array:
        """Return outputs as class numbers, or in the target's own units, as raw `targets` are."""
        if self.unscale is None:
            classes: Array = np.argmax(self.loss.class_scores(y), axis=-1)
            return classes
        found = self.unscale(self.loss.prediction(y))
        return found + targets.base if isinstance(targets, RelativeTargets) else found

    def evaluate(
        self,
        network: Network,
        examples: Examples,
        *,
        reproducible: bool | None = None,
        ranks: Ranks = ALONE,
    ) -> dict[str, float]:
        """Return the loss and every metric over the whole set; see `Network.logits`."""
        with network.blas_threads(), np.errstate(over="ignore", invalid="ignore"):
            z = network.logits(examples.x, reproducible=reproducible, ranks=ranks)
            return ranks.of_first(lambda: self.evaluate_logits(network, z, examples))

    def evaluate_logits(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return the loss and every metric of the scores `z` of a network's layers."""
        with network.blas_threads(), np.errstate(over="ignore", invalid="ignore"):
            loss = self.whole_loss(z, examples.targets, network)
            return {"loss": loss, **self.metrics(network.outputs(z), examples)}

    @property
    def independent(self) -> bool:
        """Whether the loss of a batch is the mean of those of its examples."""
        return self.loss.independent

    def require_predictions(self) -> None:
        """Raise `DataError` if the outputs do not predict the target."""
        if not self.loss.predicts_target:
            raise DataError("the outputs of this model do not predict the target; use predict")

    def require_independent(self) -> None:
        """Raise `DataError` if examples cannot have weights, because the loss compares them."""
        if not self.independent:
            problem = "the loss compares the examples of a batch, so that they have no weights"
            raise DataError(f"{problem}; remove the weights")

    def whole_loss(self, z: Array, t: Any, network: Network, weights: Any = None) -> float:
        """Return the mean loss of the scores of a whole set, times weight if there are any."""
        context, count = Context({}, {}, {}, {}, network.workspace(reuse=False)), len(z)
        size, total = self.batch_size, 0.0
        if self.loss.independent:  # the parts only limit the size of the loss's arrays
            size = max(EVALUATED_VALUES // max(z[:1].size, 1), 1)
        points = max(t.lengths.sum(), 1) if self.masked else count
        for start in range(0, count, size):
            rows = slice(start, start + size)
            part, own = t[rows], None if weights is None else weights[rows]
            loss, _ = self.loss_of(z[rows], part, context, own)
            total += loss * ((part.lengths.sum() if self.masked else len(part)) / points)
        return float(total)


def arrays_in(value: Any) -> Iterator[Array]:
    """Yield the arrays in memory of inputs or targets."""
    if isinstance(value, NamedArrays):
        for one in value.arrays.values():
            yield from arrays_in(one)
    elif isinstance(value, Padded):
        yield from (value.values, value.lengths)
    elif isinstance(value, Windows):
        yield from (value.values, value.starts)
    elif isinstance(value, np.ndarray):
        yield value


def reported(metrics: Mapping[str, float], of: str = "") -> dict[str, float]:
    """Return metrics, and warn of those that are not finite; `of` says of what they are."""
    wrong = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
    if wrong:
        cause = "look for extreme values in the data and in the weights"
        if math.isfinite(metrics["loss"]) and any(map(math.isnan, metrics.values())):
            cause = f"undefined for these targets, or {cause}"
        warnings.warn(
            f"{of}{': ' if of else ''}{', '.join(wrong)}; {cause}",
            NnregWarning,
            stacklevel=3,
        )
    return dict(metrics)


def metric_value(metric: Metric, y: Array, t: Array) -> float:
    """Return the value of a metric. Raises `PluginError` if it is not a number."""
    return Caller(metric).number("compute", metric.compute(y, t))
