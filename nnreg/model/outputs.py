"""The outputs of a model: for each its target, its loss and its metrics."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import all_finite
from nnreg.data.label_targets import LabelTarget
from nnreg.data.naive import values_before
from nnreg.data.preprocessing import Preprocessing, columns_of
from nnreg.data.targets import ClassTarget, NumericTarget, Target, refuse_too_large
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import RESERVED_NAMES, LabelMetric
from nnreg.interfaces.outputs import OutputSpec
from nnreg.model.build import check_monitored, encode_targets, layer_of, name_metrics
from nnreg.network.ensemble import Average
from nnreg.network.network import Network
from nnreg.registry.registry import Registry
from nnreg.spec.sections import Spec
from nnreg.tables.ragged import Ragged, padded
from nnreg.tables.relative import RelativeTargets
from nnreg.tables.table import Table
from nnreg.training.ensemble import EnsembleEvaluation
from nnreg.training.evaluation import Evaluation
from nnreg.training.outputs import OutputEvaluation, SeveralEvaluation


class Output(NamedTuple):
    """An output of a model. The name of the only one is empty; `path` is that of its layer.

    `target` is None for an output that is compared with none, `evaluation` for one without a loss.
    """

    spec: OutputSpec
    target: Target | None
    evaluation: Evaluation | None
    shape: Shape
    path: str

    @property
    def name(self) -> str:
        """The name of the output."""
        return self.spec.name

    @property
    def predicts(self) -> bool:
        """Whether the output predicts its target, so that both can be compared."""
        loss = self.spec.loss
        return self.target is not None and loss is not None and loss.predicts_target

    @property
    def predicts_classes(self) -> bool:
        """Whether the output predicts classes."""
        return self.predicts and self.classes is not None

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, or None."""
        return self.target.names if isinstance(self.target, ClassTarget) else None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The names of the labels of which a row may have several, or None."""
        return self.target.labels if isinstance(self.target, LabelTarget) else None

    def of(self, values: Any) -> Any:
        """Return what belongs to this output of values by name, or the values of the only one."""
        return values[self.name] if self.name else values

    def in_units(self, y: Array, table: Table) -> Array:
        """Return the outputs for a table in the units of the target."""
        relative = isinstance(self.target, NumericTarget) and self.spec.loss is not None
        found: Array = self.in_units_from(y, self._base(table) if relative else None)
        return found

    def in_units_from(self, y: Any, base: Any) -> Any:
        """Do the same for values `base` that the target is relative to, None if it is not."""
        target, loss = self.target, self.spec.loss
        if loss is None or not isinstance(target, NumericTarget):
            return y
        base = base if loss.predicts_target else None
        if base is not None:
            differences = loss.in_units(y.astype(np.float64), target.mean, target.std)
            blocks = differences.shape[1] // base.shape[1]
            moved = self._moved(differences.shape[1])
            return differences + moved * np.tile(base, (1, blocks))
        if not target.curves or not loss.predicts_target:
            return loss.in_units(y.astype(np.float64), target.mean, target.std)
        blocks = y.reshape(*y.shape[:-1], -1, len(target.mean))  # of several values per target
        return target.unscale(blocks).reshape(y.shape)

    def _base(self, table: Table) -> Array | None:
        """Return the values that the target is relative to, or None; see `values_before`."""
        assert isinstance(self.target, NumericTarget)  # asked of one
        return values_before(table, self.target.names, self.target.texts)

    def _moved(self, width: int) -> Array:
        """Return 1 for each output that moves with its target, and 0 for one such as a variance."""
        target, loss = self.target, self.spec.loss
        assert isinstance(target, NumericTarget)
        assert loss is not None
        ones, zeros = (1.0,) * len(target.std), (0.0,) * len(target.std)
        one, zero = (loss.in_units(np.zeros((1, width)), mean, ones) for mean in (ones, zeros))
        found: Array = one - zero
        return found

    def prediction(self, y: Array) -> Array:
        """Return outputs as they are predicted: one value per row if the target has one."""
        single = self.target is not None and self.target.single
        return y[:, 0] if single and y.shape[1:] == (1,) else y

    def classify(self, y: Array) -> Any:
        """Return the most probable class of each row, in the type that the classes were given.

        Of labels, return a list of those of each row.
        """
        if isinstance(self.target, LabelTarget):
            return self.target.chosen(y)
        if not isinstance(self.target, ClassTarget):
            raise DataError("the target of this model is numeric, not categorical; use predict")
        if self.evaluation is not None:
            self.evaluation.require_predictions()
        names: Array = self.target.classes[np.argmax(self.class_scores(y), axis=-1)]
        return names

    def class_scores(self, y: Array) -> Array:
        """Return the score of each class, even if the network has a single output."""
        return (self.spec.loss or Loss()).class_scores(y)

    def probabilities(self, y: Array) -> Array:
        """Return one column per class, even if the network has a single output."""
        return self.class_scores(y) if self.predicts_classes else y

    def targets(self, table: Table, network: Network) -> tuple[Any, Any]:
        """Return targets as the loss takes them, and as the metrics take them.

        Targets that are sequences are `Padded`.
        """
        assert self.target is not None  # asked of an output that is compared
        names = columns_of(self.target)
        column = table.columns.get(names[0]) if names else None
        if not isinstance(column, Ragged):
            return self._targets(table, network, self.shape)
        if len(column) and not column.lengths.any():
            raise DataError(f"{table.origin}: all sequences are empty; nothing can be compared")
        found, raw = self._targets(table.steps(names), network, self.shape[1:])
        both = (padded(one, column.lengths, table.origin) for one in (found, raw))
        return next(both), next(both)

    def _require_labels(self, raw: Array, table: Table) -> None:
        """Raise `DataError` for a target that is not a label, if a metric compares labels."""
        metrics = self.evaluation.named_metrics if self.evaluation else {}
        name = next((n for n, one in metrics.items() if isinstance(one, LabelMetric)), None)
        wrong = (raw != 0) & (raw != 1)
        if name is None or not wrong.any():
            return
        row, *others = map(int, np.argwhere(wrong)[0])
        columns = columns_of(self.target) if self.target is not None else ()
        column = columns[others[0]] if len(columns) > 1 else columns[0]
        raise DataError(
            f"{table.location(row, column)}: found {raw[wrong][0]:.6g}, but {name} compares "
            "labels, which are 0 or 1; correct it, or remove the metric"
        )

    def _targets(self, table: Table, network: Network, shape: Shape) -> tuple[Array, Any]:
        """Return targets for outputs of this shape, as the loss and as the metrics take them."""
        target, loss = self.target, self.spec.loss
        assert target is not None
        assert loss is not None
        raw = target.encode(table)
        self._require_labels(raw, table)
        if raw.shape[1:] == (1,) and self.classes and len(shape) == 1:
            raw = raw[:, 0]
        if not len(raw):
            raise DataError("there are no rows")
        base = self._base(table) if isinstance(target, NumericTarget) else None
        learned = raw if base is None else raw - base
        scaled = target.scale(learned) if isinstance(target, NumericTarget) else raw
        count = None if self.classes is None else len(self.classes)
        with np.errstate(over="ignore"):
            found = encode_targets(scaled, shape, loss, count, network.dtype, self.path)
            if not all_finite(found):
                refuse_too_large(table, columns_of(target), found)
        if self.classes is None and (wrong := loss.wrong_target(scaled, shape)):
            row, reason = wrong
            raise DataError(f"{table.location(row, columns_of(target)[0])}: {reason}")
        return found, raw if base is None else RelativeTargets(raw, base)


def _labels(target: Target | None, loss: Loss) -> Sequence[str] | None:
    """Return the names of the labels of a numeric target, or None if its numbers are none.

    They are, if the loss takes a probability for each.
    """
    if not isinstance(target, NumericTarget) or loss.target_range != (0.0, 1.0):
        return None
    if isinstance(target, LabelTarget):
        return None if loss.takes_distribution else target.labels
    width = len(target.mean)
    numbers = [str(index) for index in range(width)]
    return (
        None if loss.takes_distribution else target.names if width == len(target.names) else numbers
    )


def outputs_of(
    spec: Spec, preprocessing: Preprocessing, network: Network, registry: Registry
) -> dict[str, Output]:
    """Return the outputs of a model by name; the name of a single one is empty."""
    found, targets = {}, preprocessing.by_output
    for given in spec.outputs:
        target, name = targets.get(given.name), given.name
        classes = target.names if isinstance(target, ClassTarget) else None
        given = _for_classes(given, classes)
        _require_values(given, target)
        shape, activation = network.named_outputs.get(
            name, (network.output_shape, network.output_activation)
        )
        evaluation = None
        if given.loss is not None:
            evaluation = Evaluation(
                given.loss,
                name_metrics(given, registry, classes, _labels(target, given.loss)),
                logits=activation is not None,
                unscale=target.unscale if isinstance(target, NumericTarget) else None,
                batch_size=spec.train.batch_size,
                masked=network.output_masks.get(name) is not None,
            )
        index = layer_of(spec, name)
        path = given.loss_path if index is None else f"$.model.layers[{index}]"
        found[name] = Output(given, target, evaluation, shape, path)
    return found


def averages_of(spec: Spec, preprocessing: Preprocessing) -> dict[str, Average]:
    """Return the function that averages the outputs of an ensemble, for each output by its name."""
    targets = preprocessing.by_output
    return {
        output.name: functools.partial(_average, output.loss or Loss(), targets.get(output.name))
        for output in spec.outputs
    }


def _average(loss: Loss, target: Target | None, y: Array) -> Array:
    """Return the mean outputs of members `(rows, members, ...)`; numbers in the target's units."""
    own = type(loss).average is not Loss.average
    if own or not (isinstance(target, NumericTarget) and loss.predicts_target):
        return loss.average(y)
    blocks = y.reshape(*y.shape[:-1], -1, len(target.mean))  # of several values per target
    mean = target.scale(np.mean(target.unscale(blocks), axis=1))
    return mean.astype(y.dtype).reshape(len(y), *y.shape[2:])


def _for_classes(given: OutputSpec, classes: Sequence[str] | None) -> OutputSpec:
    """Return an output whose loss knows the classes of its target, if there are any."""
    if given.loss is None or classes is None:
        return given
    try:
        return given._replace(loss=given.loss.for_classes(classes))
    except ValueError as error:
        raise SpecError([Problem(given.loss_path, str(error))]) from None


def _require_values(given: OutputSpec, target: Target | None) -> None:
    """Raise `SpecError` if outputs are no values of a target that is scaled by a curve."""
    loss = given.loss
    if loss is None or not isinstance(target, NumericTarget) or not target.curves:
        return
    if loss.predicts_target and type(loss).in_units != Loss.in_units and not loss.predicts_values:
        problem = (
            f"of {target.curves[0].type!r}, the outputs of the loss cannot be converted to the "
            'units of the target, as a variance cannot; set it to "standard", or choose a loss '
            'whose outputs are values of the target, such as "quantile"'
        )
        raise SpecError([Problem("$.data.target_scaling", problem)])


def only_target(outputs: Collection[Output], raw: Any) -> tuple[Array, tuple[str, ...] | None]:
    """Return the raw targets and the classes of the only output that has a target.

    Raises `SpecError` if several have, so that an example would have several class weights.
    """
    compared = [output for output in outputs if output.target is not None]
    if len(compared) > 1:
        names = ", ".join(output.name for output in compared)
        problem = (
            f"is for one target, but the outputs {names} have one each; give weights of rows in "
            "data.sample_weights"
        )
        raise SpecError([Problem("$.data.class_weights", problem)])
    return (compared[0].of(raw), compared[0].classes) if compared else (raw, None)


def evaluation_of(spec: Spec, outputs: Sequence[Output]) -> Evaluation:
    """Return the evaluation of all outputs. Raises `SpecError` if another metric is monitored."""
    first = outputs[0].evaluation
    if first is None or spec.several:
        first = SeveralEvaluation(
            {
                output.name: OutputEvaluation(
                    output.evaluation, output.shape, output.spec.weight, output.target is not None
                )
                for output in outputs
            }
        )
        _refuse_same_names(outputs)
    if spec.model.members > 1:
        first = EnsembleEvaluation(first, _of_mean(first), spec.model.members)
    check_monitored(spec, first.names)
    return first


def _of_mean(evaluation: Evaluation) -> Evaluation:
    """Return the same evaluation of outputs that are after the output activation."""
    found = copy(evaluation)
    found.logits = False
    if isinstance(found, SeveralEvaluation):
        found.outputs = {
            name: replace(one, evaluation=one.evaluation and _of_mean(one.evaluation))
            for name, one in found.outputs.items()
        }
    return found


def _refuse_same_names(outputs: Sequence[Output]) -> None:
    """Raise `SpecError` if two numbers in the records of several outputs would have one name."""
    seen = set(RESERVED_NAMES)
    for output in outputs:
        for own in output.evaluation.names if output.evaluation else ():
            name = f"{output.name}_{own}"
            if not seen.isdisjoint((name, f"val_{name}", name.removeprefix("val_"))):
                path = output.spec.loss_path if own == "loss" else output.spec.metrics_path
                problem = f"the name {name} in the records is already in use; rename the output"
                raise SpecError([Problem(path, problem)])
            seen.add(name)
