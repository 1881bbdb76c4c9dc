"""Evaluation of an ensemble: the mean loss of its members, and what their mean predicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Context
from nnreg.network.ensemble import Ensemble
from nnreg.network.network import Network
from nnreg.training.evaluation import Evaluation, Examples


def predict_examples(network: Network, examples: Examples) -> Any:
    """Return the outputs of a network for examples; out of fold if members hold these out."""
    if examples.holders is None:
        return network.predict(examples.x)
    with network.blas_threads():
        return network.outputs(_of_holders(network.logits(examples.x), examples))


def _of_holders(z: Array, examples: Examples) -> Array:
    """Return scores `(rows, 1, ...)` of the member that holds out each row; `z` if none does."""
    if examples.holders is None:
        return z
    found: Array = z[np.arange(len(z)), examples.holders][:, None]
    return found


class EnsembleEvaluation(Evaluation):
    """Losses of members in training; otherwise the loss and the metrics of their mean.

    `of_member` takes the scores of a network, `of_mean` the outputs of an ensemble, which are after
    the output activation. The gradient of each member is that which it would have alone: that of
    the sum of the losses, of which the mean is recorded.
    """

    def __init__(self, of_member: Evaluation, of_mean: Evaluation, members: int) -> None:
        vars(self).update(vars(of_mean))
        self._of_member, self._of_mean, self._members = of_member, of_mean, members

    @property
    def of_member(self) -> Evaluation:
        """The evaluation of the scores of one network."""
        return self._of_member

    @property
    def names(self) -> list[str]:
        """The names of the metrics that `evaluate` returns."""
        return self._of_mean.names

    @property
    def independent(self) -> bool:
        """Whether the loss of a batch is the mean of those of its examples."""
        return self._of_mean.independent

    @property
    def keeps_scores(self) -> bool:
        """Whether the scores of an epoch are needed at its end."""
        return self._of_mean.keeps_scores

    def require_predictions(self) -> None:
        """Raise `DataError` if the outputs do not predict the target."""
        self._of_mean.require_predictions()

    def points(self, targets: Any) -> Array | None:
        """Return the number of real points of each row in each output; None without masks."""
        return self._of_member.points(targets)

    def loss_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[float, Callable[[], Array]]:
        """Return the mean loss of the members, and the function of the gradients of each."""
        loss, backward_fn = self._of_member.loss_of(*self._of_rows(z, t, context, weights))
        return loss, lambda: self._gradients(backward_fn(), context)

    def losses_of(
        self, z: Array, t: Any, context: Context, weights: Any = None
    ) -> tuple[list[float], Callable[[Array], Array]]:
        """Return the mean loss of each output; see `Evaluation.losses_of`."""
        losses, backward_fn = self._of_member.losses_of(*self._of_rows(z, t, context, weights))
        return losses, lambda factors: self._gradients(backward_fn(factors), context)

    def _of_rows(
        self, z: Array, t: Any, context: Context, weights: Any
    ) -> tuple[Array, Any, Context, Any]:
        """Return scores, targets and weights as rows, those of one member after the other."""
        if isinstance(weights, np.ndarray) and weights.ndim > 1:
            weights = self._rows(weights)
        elif weights is not None:
            weights = self._repeat(weights, context)
        return self._rows(z), self._repeat(t, context), context, weights

    def record(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return what the record of an epoch has besides the loss, of the mean prediction."""
        assert isinstance(network, Ensemble)
        if isinstance(examples.weights, np.ndarray) and examples.weights.ndim > 1:
            examples = replace(examples, weights=examples.weights.mean(axis=1))
        return self._of_mean.record(network.without_activations(), network.mean(z), examples)

    def evaluate_logits(self, network: Network, z: Array, examples: Examples) -> dict[str, float]:
        """Return the loss and every metric of the mean prediction, given the scores `z`.

        Rows that members hold out are predicted by the one that did not train on them.
        """
        assert isinstance(network, Ensemble)
        with np.errstate(over="ignore", invalid="ignore"):
            y = network.mean(_of_holders(z, examples))
        return self._of_mean.evaluate_logits(network.without_activations(), y, examples)

    def _rows(self, z: Array) -> Array:
        """Return scores `(batch, members, ...)` as rows, those of one member after the other."""
        swapped = z.swapaxes(0, 1)
        return swapped.reshape(z.shape[0] * self._members, *z.shape[2:])

    def _repeat(self, value: Any, context: Context) -> Any:
        """Return targets or weights once for each member."""
        if not isinstance(value, np.ndarray):
            return value.each(lambda one: self._repeat(one, context))
        found = context.empty((self._members, *value.shape), value.dtype)
        found[...] = value
        return found.reshape(self._members * len(value), *value.shape[1:])

    def _gradients(self, dz: Array, context: Context) -> Array:
        """Return the gradients of rows as those of the members, `(batch, members, ...)`."""
        scaled = np.multiply(dz, self._members, out=context.empty(dz.shape))
        return scaled.reshape(self._members, len(dz) // self._members, *dz.shape[1:]).swapaxes(0, 1)
