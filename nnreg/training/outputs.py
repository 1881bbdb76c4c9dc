"""Evaluation of a network with several outputs: the sum of their losses, the metrics of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.context import Context
from nnreg.interfaces.join import split_values
from nnreg.interfaces.metric import Metric
from nnreg.network.network import Network
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.training.evaluation import Evaluation, Examples


@dataclass(frozen=True)
class OutputEvaluation:
    """The evaluation of one output; None if it has no loss, and `compared` with a target or not."""

    evaluation: Evaluation | None
    shape: Shape
    weight: float
    compared: bool


class SeveralEvaluation(Evaluation):
    """The losses and the metrics of several outputs by name.

    The scores of a network are those of all outputs side by side; targets are by output.
    """

    def __init__(self, outputs: Mapping[str, OutputEvaluation]) -> None:
        self.outputs = outputs
        self.named_metrics: Mapping[str, Metric] = {
            f"{name}_{metric}": value
            for name, output in outputs.items()
            if output.evaluation is not None
            for metric, value in output.evaluation.named_metrics.items()
        }

    @property
    def names(self) -> list[str]:
        """The names of the metrics that `evaluate` returns."""
        found = ["loss"]
        for name, output in self.outputs.items():
            if output.evaluation is not None:
                found += [f"{name}_{own}" for own in output.evaluation.names]
        return found

    @property
    def independent(self) -> bool:
        """Whether the loss of a batch is the mean of those of its examples."""
        parts = [output.evaluation for output in self.outputs.values() if output.evaluation]
        return all(evaluation.independent for evaluation in parts)

    def require_predictions(self) -> None:
        """Accept outputs that predict no target: they are as `predict` returns them."""

    @property
    def keeps_scores(self) -> bool:
        """Whether the scores of an epoch are needed at its end: for the loss of each output."""
        return True

    def _split(self, z: Array) -> list[tuple[str, OutputEvaluation, Array]]:
        arrays = split_values(z, [output.shape for output in self.outputs.values()])
        pairs = zip(self.outputs.items(), arrays, strict=True)
        return [(name, output, np.ascontiguousarray(array)) for (name, output), array in pairs]

    def loss_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[float, Callable[[], Array]]:
        """Return the weighted sum of the losses, and the function that computes its gradient."""
        losses, backward_fn = self.losses_of(z, t, context, weights)
        return sum(losses), lambda: backward_fn(None)

    def losses_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[list[float], Callable[[Array | None], Array]]:
        """Return the weighted loss of each output, 0 without one, and the gradient's function."""
        losses = list[float]()
        backward_fns = list[tuple[OutputEvaluation, Callable[[], Array] | None]]()
        for name, output, scores in self._split(z):
            if output.evaluation is None:
                losses.append(0.0)
                backward_fns.append((output, None))
                continue
            truth = _targets_of(name, t, scores)
            loss, backward_fn = output.evaluation.loss_of(scores, truth, context, weights)
            losses.append(output.weight * loss)
            backward_fns.append((output, backward_fn))

        def backward(factors: Array | None) -> Array:
            dz, start = context.empty(z.shape), 0
            for index, (output, backward_fn) in enumerate(backward_fns):
                span = dz[:, start : start + math.prod(output.shape)]
                start += math.prod(output.shape)
                if backward_fn is None:
                    span.fill(0)
                    continue
                np.multiply(backward_fn().reshape(span.shape), output.weight, out=span)
                if factors is not None:
                    np.multiply(span, factors[index], out=span)
            return dz

        return losses, backward

    def points(self, targets: Any) -> Array | None:
        """Return the number of real points of each row in each output; None without masks."""
        masked = {
            name
            for name, output in self.outputs.items()
            if output.evaluation and output.evaluation.masked
        }
        if not masked:
            return None
        ones = np.ones(len(targets), np.intp)
        counts = [targets[name].lengths if name in masked else ones for name in self.outputs]
        return np.stack(counts, axis=1)

    def record(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return the loss and every metric of each output, of the scores `z`.

        The losses are weighted as that of the epoch is, if the examples have weights.
        """
        outputs, found = network.outputs(z), dict[str, float]()
        for name, output, scores in self._split(z):
            if output.evaluation is None:
                continue
            own = self.examples_of(name, examples)
            found[f"{name}_loss"] = output.evaluation.whole_loss(
                scores, own.targets, network, own.weights
            )
            if output.compared:
                metrics = output.evaluation.metrics(outputs[name], own)
                found |= {f"{name}_{metric}": value for metric, value in metrics.items()}
        return found

    def evaluate_logits(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return the loss, and the loss and every metric of each output."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.record(network, z, replace(examples, weights=None))
            parts = self.outputs.items()
            losses = [p.weight * found[f"{name}_loss"] for name, p in parts if p.evaluation]
            return {"loss": sum(losses), **found}

    def examples_of(self, name: str, examples: Examples) -> Examples:
        """Return examples with the targets of one output."""
        targets = _targets_of(name, examples.targets, examples)
        if not self.outputs[name].compared:
            return replace(examples, targets=targets)
        return replace(examples, targets=targets, raw_targets=examples.raw_targets[name])


def _targets_of(name: str, targets: Any, examples: Array | Examples) -> Any:
    """Return the targets of an output; `(examples, 0)` of one whose loss takes none.

    With a mask, an output has targets in any case: its lengths, as `Padded`.
    """
    found = targets.arrays.get(name) if isinstance(targets, NamedArrays) else None
    return no_targets(examples) if found is None else found


def no_targets(examples: Inputs | Examples) -> Array:
    """Return the targets of a loss that takes none, `(examples, 0)`."""
    return np.empty((len(examples), 0))


def of_output(
    path: str, evaluation: Evaluation, examples: Examples, network: Network
) -> tuple[Evaluation, Examples, Shape]:
    """Return what a loss or metric at a path of the spec is for: its output and its targets."""
    if not isinstance(evaluation, SeveralEvaluation):
        return evaluation, examples, network.output_shape
    rest = path.removeprefix("$.loss.").removeprefix("$.metrics.")
    name = max((n for n in evaluation.outputs if rest.startswith(n)), key=len)
    output = evaluation.outputs[name]
    assert output.evaluation is not None  # it has this loss or metric
    return output.evaluation, evaluation.examples_of(name, examples), output.shape
