"""The base class of losses."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean, unstandardize
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context
from nnreg.interfaces.formula import formula_terms, loss_forward


class Loss(Component):
    """The error of the outputs, as a mean over the batch and the outputs.

    Examples are independent, unless the class declares otherwise: the loss of a batch is the mean
    of those of its examples, so that each can have a weight.
    """

    kind = "loss"
    takes_labels: ClassVar[bool] = False
    """Whether targets may be class indices of shape `(batch,)` instead of one-hot rows."""
    classification: ClassVar[bool] = False
    """Whether a single numeric target column is read as classes."""
    input_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds of valid outputs."""
    target_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds of valid targets that are numbers."""
    takes_distribution: ClassVar[bool] = False
    """Whether outputs must be probabilities that sum to 1 over the last axis, and targets that are
    numbers too."""
    fused_activation: ClassVar[type[Activation] | None] = None
    """The output activation that can be fused with this loss, computed then from the logits."""

    independent: ClassVar[bool] = True
    """Whether the loss of a batch is the mean of those of its examples; False for one that compares
    the examples of a batch, which is then not divided, and whose examples have no weights."""
    takes_target: ClassVar[bool] = True
    """Whether it compares outputs with a target; if not, `t` has the shape `(batch, 0)`. The data
    for a single output then need no target, and one of several outputs has none."""
    predicts_target: ClassVar[bool] = True
    """Whether outputs predict the target, so that metrics and reports compare them; False for
    outputs such as embeddings."""

    predicts_values: ClassVar[bool] = False
    """Of a loss with an `in_units` of its own: whether each output is a value of the target at its
    place, as a quantile is and a variance is not. `data.target_scaling` may then be "log", "power"
    or "quantile", which no mean and deviation convert back."""

    scores_are_probabilities: ClassVar[bool] = True
    """Whether `class_scores` are probabilities; False for losses with a margin, for example."""

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        """Return whether the loss takes outputs of this shape for targets of that, of one example.

        `target` is without the axis of classes, if there are any. May raise `ValueError` that says
        what would fit.
        """
        if classes is None:
            return output == target
        single = output == (*target, 1) and classes == 2 and not self.takes_labels
        return output == (*target, classes) or single

    def check_classes(self, names: Sequence[str], output: Shape) -> None:
        """Raise `ValueError` if an option has no meaning for a target with these classes.

        Called when a model is built; there are no names for a target of numbers. `output` is the
        shape of the outputs of one example.
        """

    def for_classes(self, names: Sequence[str]) -> Loss:
        """Return the loss for a target with these classes, whose numbers are their positions.

        Override it for an option that names a class. Raises `ValueError` for an unknown one.
        """
        return self

    def wrong_target(self, t: Array, output: Shape) -> tuple[int, str] | None:
        """Return the first row of numeric targets that the loss does not take, and why.

        None if it takes all of them. `output` is the shape of the outputs of one example.
        """
        return None

    def prediction(self, y: Array) -> Array:
        """Return what outputs `y` predict for the target, in its shape: what metrics compare."""
        return y

    def class_scores(self, y: Array) -> Array:
        """Return a score of each class `(..., classes)`, the largest of the one that is predicted.

        By default, outputs are probabilities, and a single one is that of class 1 of 2.
        """
        return y if y.shape[-1] > 1 else np.concatenate([1 - y, y], axis=-1)

    def output_names(self, targets: Sequence[str]) -> Sequence[str]:
        """Return a name for each value that is predicted for a row, given those of its targets."""
        return targets

    def in_units(self, y: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
        """Return outputs `y` (float64) in the units of a target scaled as (value - mean) / std.

        Both have a number for each value of the target's last axis. May overwrite `y`. Not called
        where the target is scaled by a curve; see `predicts_values`.
        """
        return unstandardize(y, mean, std) if self.predicts_target else y

    def average(self, y: Array) -> Array:
        """Return the outputs of an ensemble for those of its members, `(batch, members, ...)`.

        Outputs are after the output activation: those of classes are probabilities.
        """
        found: Array = np.mean(y, axis=1)
        return found

    def formula(self, y: Array, t: Array) -> float | Array:
        """Return the loss of outputs `y` for targets `t`, computed with NumPy's functions.

        Or the terms whose mean it is, of which every example has equally many, `(batch, ...)`;
        examples with weights then need no second pass. To train with it, nnreg needs the extra
        `autograd`; a method `forward` instead is faster.
        """
        raise NotImplementedError

    def forward(self, y: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Return the loss of outputs `y` for targets `t`, and a function that returns ∂loss/∂y.

        Without this method, the derivative is that of `formula`.
        """
        return loss_forward(self, y, t, training=False)

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Do the same for outputs z before `fused_activation`, with ∂loss/∂z.

        Called if the network ends with that activation, instead of the activation and `forward`.
        """
        raise NotImplementedError

    def forward_with_workspace(
        self, y: Array, t: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Do the same as either, optionally with arrays from `context`. The trainer calls this."""
        if logits:
            return self.forward_logits(y, t)
        if context.training and type(self).forward is Loss.forward:
            return loss_forward(self, y, t, training=True)
        return self.forward(y, t)

    def forward_weighted(
        self, y: Array, t: Array, weights: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Return the mean of loss times weight, and a function that returns its gradient.

        `weights` `(batch,)` are those of the examples. By default, the gradient is that of
        `forward_with_workspace` times the weights, and the value takes further calls, see
        `per_example`; a `TermLoss`, or a formula of terms, has both from the same pass.
        """
        if logits or type(self).forward is not Loss.forward:
            _, backward_fn = self.forward_with_workspace(y, t, context, logits=logits)
        else:
            terms, slopes = formula_terms(self, y, t, training=context.training, inside_mean=True)
            if np.ndim(terms):
                shares = np.broadcast_to(of_rows(weights, terms), terms.shape) / terms.size
                return float(np.sum(terms * shares)), lambda: slopes(shares)
            backward_fn = functools.partial(slopes, np.ones((), y.dtype))

        def backward() -> Array:
            dy = backward_fn()
            return np.multiply(dy, of_rows(weights, dy), out=context.empty(dy.shape))

        return self._weighted_mean(y, t, weights, logits=logits), backward

    def forward_masked(
        self, y: Array, t: Array, mask: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Return the mean loss over real steps, and a function that returns ∂loss/∂y.

        `mask` `(batch, steps)` is true at real steps; the gradient is 0 at others. By default, the
        real steps are the examples `(points, ...)` of the loss; without any, it is 0. Override it
        for a loss of whole sequences.
        """

        def forward(y: Array, t: Array, own: Context) -> tuple[float, Callable[[], Array]]:
            return self.forward_with_workspace(y, t, own, logits=logits)

        return at_real_steps(forward, y, t, mask, context)

    def forward_masked_weighted(
        self, y: Array, t: Array, mask: Array, weights: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Return the mean of loss times weight over real steps, and the function of its gradient.

        `weights` are those of the steps, `(batch, steps)`, or of the rows, `(batch, 1)`.
        """
        points = np.broadcast_to(weights, mask.shape)[mask]
        if type(self).forward_masked is Loss.forward_masked:

            def forward(y: Array, t: Array, own: Context) -> tuple[float, Callable[[], Array]]:
                return self.forward_weighted(y, t, points, own, logits=logits)

            return at_real_steps(forward, y, t, mask, context)
        _, backward_fn = self.forward_masked(y, t, mask, context, logits=logits)
        value = self._weighted_mean(y[mask], t[mask], points, logits=logits) if len(points) else 0.0
        return value, lambda: backward_fn() * weights.reshape(*weights.shape, *[1] * (y.ndim - 2))

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        """Return the loss of each example, `(batch,)`.

        By default it takes one call per example, and the weighted mean one for each weight that
        examples have. Override it where all are computed at once, or derive from `TermLoss`.
        """
        forward = self.forward_logits if logits else self.forward
        rows = [slice(row, row + 1) for row in range(len(y))]
        return np.array([forward(y[row], t[row])[0] for row in rows])

    def _weighted_mean(self, y: Array, t: Array, weights: Array, *, logits: bool) -> float:
        """Return the mean of loss times weight, by the loss of the examples of each weight."""
        if type(self).per_example is not Loss.per_example:
            return mean(weights * self.per_example(y, t, logits=logits))
        forward = self.forward_logits if logits else self.forward
        order = np.argsort(weights, kind="stable")
        ends = np.flatnonzero(np.diff(weights[order])) + 1
        total = 0.0
        for rows in np.split(order, ends):
            total += len(rows) * float(weights[rows[0]]) * float(forward(y[rows], t[rows])[0])
        return total / len(y)


Forward: TypeAlias = Callable[[Array, Array, Context], tuple[float, Callable[[], Array]]]


def at_real_steps(
    forward: Forward, y: Array, t: Array, mask: Array, context: Context
) -> tuple[float, Callable[[], Array]]:
    """Return the loss of the real steps, 0 without any, and the function of its gradient.

    `forward` is called with outputs and targets `(points, ...)`.
    """
    backward_fn = None
    if mask.any():
        own = replace(context, workspace=context.workspace.temporary())
        loss, backward_fn = forward(y[mask], t[mask], own)
    else:
        loss = 0.0

    def backward() -> Array:
        dy = context.empty(y.shape)
        dy.fill(0)
        if backward_fn is not None:
            dy[mask] = backward_fn()
        return dy

    return loss, backward


def of_rows(factors: Array, y: Array) -> Array:
    """Return a factor for each row in a shape that multiplies `y`."""
    return factors.reshape(-1, *[1] * (y.ndim - 1))
