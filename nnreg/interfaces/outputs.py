"""The outputs of a network, each with its loss, its metrics and its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from nnreg.errors import Problem, SpecError
from nnreg.interfaces.component import Configurable, Positive
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric, without_name


@dataclass(frozen=True)
class OutputLoss(Configurable):
    """The loss of one of several outputs, with the keys of its entry.

    Options:
        loss: the loss
        weight: factor of the loss in the sum that is minimized
        target: name of the target in data.target; that of the output if null
    """

    loss: Loss
    weight: Positive = 1.0
    target: str | None = None


class OutputSpec(NamedTuple):
    """An output of a network; the name of the only one is empty.

    `loss` is None for an output that is only predicted. `target` is the name of its target, None
    if it has none. `loss_path` and `metrics_path` are their places in the spec.
    """

    name: str
    loss: Loss | None
    weight: float = 1.0
    target: str | None = ""
    metrics: tuple[Metric, ...] = ()
    loss_path: str = "$.loss"
    metrics_path: str = "$.metrics"

    @property
    def classification(self) -> bool:
        """Whether its loss or a metric takes classes."""
        compared = (*((self.loss,) if self.loss else ()), *map(without_name, self.metrics))
        return any(one.classification for one in compared)


def output_specs(
    loss: Loss | Mapping[str, OutputLoss],
    metrics: tuple[Metric, ...] | Mapping[str, tuple[Metric, ...]],
    listed: tuple[str, ...],
) -> list[OutputSpec]:
    """Return the outputs that have a loss, then those that are `listed` in the model alone.

    Raises `SpecError` for several outputs and a loss or metrics that do not say of which.
    """
    if isinstance(loss, Loss):
        if listed:
            _refuse("$.model.outputs", "are several; give 'loss' as an object with outputs")
        if isinstance(metrics, Mapping):
            _refuse("$.metrics", "are those of outputs; give 'loss' as such an object too")
        return [OutputSpec("", loss, metrics=metrics)]
    if unused := [name for name, one in loss.items() if one.target and not one.loss.takes_target]:
        _refuse(f"$.loss.{unused[0]}.target", "the loss takes no target; remove it")
    if not isinstance(metrics, Mapping):
        if metrics:
            _refuse("$.metrics", "must be an object with outputs, as 'loss' is")
        metrics = {}
    found = _named_outputs(loss, metrics, listed)
    compared = [one.name for one in found if one.target is not None]
    if others := [name for name in metrics if name not in compared]:
        fix = f"choose one of {', '.join(compared)}" if compared else "remove it"
        _refuse(f"$.metrics.{others[0]}", f"not an output with a target; {fix}")
    return found


def _named_outputs(
    loss: Mapping[str, OutputLoss],
    metrics: Mapping[str, tuple[Metric, ...]],
    listed: tuple[str, ...],
) -> list[OutputSpec]:
    with_loss = [
        OutputSpec(
            name,
            one.loss,
            one.weight,
            (one.target or name) if one.loss.takes_target else None,
            metrics.get(name, ()),
            f"$.loss.{name}",
            f"$.metrics.{name}",
        )
        for name, one in loss.items()
    ]
    others = [
        OutputSpec(name, None, 0.0, None, (), f"$.model.outputs[{index}]")
        for index, name in enumerate(listed)
        if name not in loss
    ]
    return with_loss + others


def _refuse(path: str, problem: str) -> NoReturn:
    raise SpecError([Problem(path, problem)])
