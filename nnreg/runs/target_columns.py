"""Which columns are the target of each output, according to the data section and the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnreg._utils.suggestions import suggest
from nnreg.data.settings import NumericClasses
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.layer import LayerEntry
from nnreg.interfaces.outputs import OutputSpec
from nnreg.spec.sections import Spec


def compared_outputs(spec: Spec) -> list[OutputSpec]:
    """Return the outputs that have a target."""
    return [output for output in spec.outputs if output.target is not None]


def target_columns(
    spec: Spec, columns: tuple[str, ...] | Mapping[str, tuple[str, ...]]
) -> list[TargetColumns]:
    """Return the columns of the target of each output, given as one target or several by name."""
    outputs = compared_outputs(spec)
    if not columns:
        _require_no_target(outputs)
    if isinstance(columns, Mapping):
        _check_names(spec, outputs, columns)
    elif len(outputs) > 1:
        names = ", ".join(output.name for output in outputs)
        problem = f"several outputs have targets; give an object with the columns of each: {names}"
        raise SpecError([Problem("$.data.target", problem)])
    elif columns and not outputs:
        problem = "no loss takes a target; remove it, or give an output a loss that does"
        raise SpecError([Problem("$.data.target", problem)])
    return [
        TargetColumns(
            columns[one.target or one.name] if isinstance(columns, Mapping) else columns,
            _numeric_classes(spec, one),
            one.name,
        )
        for one in outputs
    ]


def _check_names(
    spec: Spec, outputs: Sequence[OutputSpec], columns: Mapping[str, tuple[str, ...]]
) -> None:
    """Raise `SpecError` unless the targets by name are those of the outputs."""
    if not spec.several:
        problem = "an object is for several outputs; give 'loss' as an object with those too"
        raise SpecError([Problem("$.data.target", problem)])
    problems = [
        Problem(output.loss_path, _misspelled(spec, output, columns))
        for output in outputs
        if output.target not in columns
    ]
    used = {output.target for output in outputs}
    for name in (name for name in columns if name not in used):
        text = f"no loss uses the target {name!r}; remove it, or name it as the target of a loss"
        problems.append(Problem(f"$.data.target.{name}", text))
    if problems:
        raise SpecError(problems)


def _misspelled(spec: Spec, output: OutputSpec, columns: Mapping[str, Any]) -> str:
    """Return what is wrong with an output whose target is not in `columns`."""
    entries = [one.keys.name for one in spec.model.layers if isinstance(one, LayerEntry)]
    if output.name.partition(".")[0] not in entries:
        return f"no layer {output.name!r}{suggest(output.name, filter(None, entries))}"
    target = output.target or output.name
    return f"no target {target!r} in data.target{suggest(target, columns)}"


def _require_no_target(outputs: Sequence[OutputSpec]) -> None:
    """Raise `SpecError` if the loss of an output takes a target."""
    for output in outputs:
        if output.loss is not None and output.loss.takes_target:
            problem = (
                f"required, but missing: the loss at {output.loss_path} compares with a target; "
                'name its column, or give "inputs" for an autoencoder'
            )
            raise SpecError([Problem("$.data.target", problem)])


def _numeric_classes(spec: Spec, output: OutputSpec) -> NumericClasses:
    """Return which numeric targets are classes, according to a layer, the loss, or a metric."""
    others = {one.name for one in spec.outputs} - {output.name}
    for entry in spec.model.layers:
        layer = entry.layer if isinstance(entry, LayerEntry) else entry
        name = entry.keys.name if isinstance(entry, LayerEntry) else None
        own = name == output.name or (output.classification and name not in others)
        own |= not spec.several
        if own and getattr(layer, "units", None) == "classes":
            return "all"
    return "single" if output.classification else "none"
