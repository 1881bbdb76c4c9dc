"""Errors for non-finite losses and weights, naming the first non-finite value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, NoReturn

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import all_finite
from nnreg.errors import DivergedError
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.passes import arrays_of, read_input
from nnreg.network.network import Network
from nnreg.tables.lazy import iter_chunks
from nnreg.tables.named import Inputs
from nnreg.training.gradient import Batch
from nnreg.training.shard_results import ShardResult
from nnreg.training.state import TrainingState

_NamedStep = tuple[str, Layer, Context]


def explain(
    network: Network,
    context: Context,
    x: Inputs,
    epoch: int,
    batch: int,
    what: str = "the loss",
) -> NoReturn:
    """Raise `DivergedError` naming the first layer with a non-finite output or gradient.

    `context` is that of the non-finite pass, and `x` its inputs.
    """
    culprit = "the loss itself"
    for prefix, one, root in network.parts(context):
        pairs = zip(one.layers.items(), root.children.values(), strict=True)
        steps = [(f"{prefix}{name}", layer, own) for (name, layer), own in pairs]
        found = _non_finite_gradient(steps) or _non_finite_output(steps, x, one, root)
        if found:
            culprit = found
            break
    raise DivergedError(
        f"epoch {epoch}, batch {batch}: {what} is not finite; first non-finite value in {culprit}. "
        "Lower optimizer.learning_rate, set train.clip_norm, or look for extreme values in "
        "the data"
    )


def check_losses(
    network: Network, results: Sequence[ShardResult], examples: Batch, epoch: int, batch: int
) -> None:
    """Raise `DivergedError` for a loss that is not finite.

    If only other ranks have such a loss, return: one of them raises it.
    """
    for result in results:
        if not math.isfinite(result.loss) and result.context is not None:
            explain(network, result.context, examples.x[result.rows], epoch, batch)


def check_weights(
    network: Network, state: TrainingState, x: Inputs, context: Context, epoch: int, batch: int
) -> None:
    """Raise `DivergedError` for weights or a state that the last steps made non-finite.

    `x` is an input of the last batch, and `context` that of its pass.
    """
    if not (all_finite(network.vector) and all_finite(network.state_vector)):
        explain(network, context, x, epoch, batch)
    for name, values in state.optimizer_state.items():
        if not all_finite(values):
            explain_optimizer_state(name, values, epoch, batch)


def explain_optimizer_state(name: str, values: Array, epoch: int, batch: int) -> NoReturn:
    """Raise `DivergedError` for an optimizer's state that overflowed: its weights stand still."""
    raise DivergedError(
        f"epoch {epoch}, batch {batch}: the optimizer's {name} is not finite; a gradient, or its "
        f"square, was beyond the range of {values.dtype}. Set train.clip_norm, or look for extreme "
        "values in the data"
    )


def _non_finite_gradient(steps: Sequence[_NamedStep]) -> str | None:
    """Return the name of the layer nearest the output whose last gradient was not finite."""
    for name, _, context in reversed(steps):
        if not _finite(context, lambda c: c.gradients):
            return f"the gradient of {name} in the previous step"
    return None


def _non_finite_output(
    steps: Sequence[_NamedStep], x: Inputs, network: Network, root: Context
) -> str | None:
    with closing(iter_chunks(x, len(x))) as chunks:
        for chunk in chunks:
            values = list[Any]([network.unmask(chunk, root)])
            for name, layer, context in steps:
                if not _finite(context, lambda c: c.params):
                    return f"the weights of {name}"
                if not _finite(context, lambda c: c.state):
                    return f"the state of {name}"
                values.append(layer.forward(read_input(context, values), context)[0])
                if not all(np.isfinite(one).all() for one in arrays_of(values[-1])):
                    return f"the output of {name}"
    return None


def _finite(context: Context, arrays: Callable[[Context], Mapping[str, Array]]) -> bool:
    here = all(np.isfinite(array).all() for array in arrays(context).values())
    return here and all(_finite(child, arrays) for child in context.children.values())
