"""What the arrays of a checkpoint must be: their names, shapes and types, then their values.

The constraints are stated by whom they belong to: the shape and sign of a buffer by the layer that
declares it, those of the optimizer's state by the optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.checkpoint.manifest import Manifest, ProgressRecord, check_array
from nnreg.data.preprocessing import Preprocessing, fits
from nnreg.data.settings import Columns
from nnreg.data.targets import NumericTarget, Target
from nnreg.data.windows import fit_together
from nnreg.errors import FormatError
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.optimizer import Optimizer
from nnreg.model.build import plan_network
from nnreg.network.parameters import declared, of_members, total_size, views
from nnreg.spec.sections import Spec

ANY_VALUE = ("history", "history_measured", "partial/outputs")
"""The arrays of which a value may be NaN or infinite: metrics, and outputs of which they are."""


def check_arrays(
    arrays: Mapping[str, Array], manifest: Manifest, preprocessing: Preprocessing, spec: Spec
) -> None:
    """Compare the arrays with those that the spec requires, before any are allocated.

    Raises `FormatError` for an array that is missing, unexpected, or of another shape or type.
    """
    if not fit_together(preprocessing, spec.data or Columns()):
        raise FormatError("the windows of its preprocessing are not those of its spec")
    blueprint = plan_network(
        spec,
        preprocessing.input_shape,
        preprocessing.classes,
        features=preprocessing.features,
    )
    compared = {output.name for output in spec.outputs if output.target is not None}
    if compared != {*preprocessing.by_output} or not all(
        _fits(
            output.loss, preprocessing.by_output[output.name], blueprint.output_shapes[output.name]
        )
        for output in spec.outputs
        if output.loss is not None and output.name in compared
    ):
        raise FormatError(f"the outputs {blueprint.output_shape} do not match the target")
    members = spec.model.members
    parameters, state = (of_members(params, members) for params in declared(blueprint.plan))
    expected = {f"parameters/{name}": param.shape for name, param in parameters.items()}
    expected |= {f"state/{name}": param.shape for name, param in state.items()}
    progress = manifest.progress
    if progress.resumable:
        size, rest = total_size(parameters), total_size(state)
        if progress.best_epoch and progress.best_weights == "best":
            expected |= {"best/parameters": (size,), "best/state": (rest,)}
        if progress.averaged:
            if not _uses_ema(manifest.spec):
                raise FormatError("the file has averages, but its spec has no train.ema")
            expected |= {"average/parameters": (size,), "average/state": (rest,)}
        if progress.step or any(name.startswith("optimizer/") for name in arrays):
            expected |= {f"optimizer/{name}": (size,) for name in spec.optimizer.state_names}
        scores = blueprint.output_shape if members == 1 else (members, *blueprint.output_shape)
        if progress.partial and (spec.metrics or spec.several):
            expected["partial/outputs"] = (progress.partial.seen, *scores)
    for name, shape in expected.items():
        check_array(arrays, name, shape, np.dtype(spec.model.dtype))
    for name in sorted(arrays.keys() - expected.keys() - {"history", "history_measured"}):
        raise FormatError(f"{name!r} is not an array of this model")
    _check_unfrozen(progress, parameters)


def _fits(loss: Loss, target: Target, output: Shape) -> bool:
    """Return True if outputs of this shape per example can represent the target."""
    if not loss.predicts_target:
        return True
    if type(loss).fits is Loss.fits:
        return fits(target, output)
    width, classes = (
        ((len(target.mean),), None)
        if isinstance(target, NumericTarget)
        else ((), len(target.names))
    )
    try:
        return loss.fits(output, (*output[:-1], *width), classes)
    except ValueError:
        return False


def _uses_ema(tree: Mapping[str, Any]) -> bool:
    """Return True if a spec, as it was saved without overrides, has `train.ema`."""
    train = tree.get("train")
    return isinstance(train, Mapping) and train.get("ema") is not None


def _check_unfrozen(progress: ProgressRecord, parameters: Mapping[str, Param]) -> None:
    for name in progress.unfrozen:
        if name not in parameters:
            raise FormatError(f"$.progress.unfrozen: {name!r} is not a parameter of this model")


def check_values(
    arrays: Mapping[str, Array], buffers: Mapping[str, Param], optimizer: Optimizer
) -> None:
    """Raise `FormatError` for values that training never leaves in arrays of these shapes.

    `buffers` are those that the layers declare.
    """
    for name, array in arrays.items():
        if name not in ANY_VALUE:
            _require(name, array, np.isfinite(array), "not finite", "finite numbers")
    for name, array in _non_negative(arrays, buffers, optimizer):
        _require(name, array, array >= 0, "negative", "numbers >= 0")


def _non_negative(
    arrays: Mapping[str, Array], buffers: Mapping[str, Param], optimizer: Optimizer
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays, or parts of them, whose values are never below 0."""
    signed = [name for name, param in buffers.items() if param.non_negative]
    for name in signed:
        yield f"state/{name}", arrays[f"state/{name}"]
    for whole in ("best/state", "average/state"):
        if whole in arrays:
            parts = views(arrays[whole], buffers)
            yield from ((f"{whole}, {name}", parts[name]) for name in signed)
    for name in optimizer.non_negative:
        if f"optimizer/{name}" in arrays:
            yield f"optimizer/{name}", arrays[f"optimizer/{name}"]


def _require(name: str, array: Array, valid: Array, found: str, expected: str) -> None:
    """Raise `FormatError` with the number of invalid values, if there are any."""
    if valid.all():  # quicker than to count
        return
    bad, first = array.size - int(np.count_nonzero(valid)), array[~valid][0]
    raise FormatError(
        f"{bad:,} of the {array.size:,} values of {name!r} are {found}, such as {first}; "
        f"expected {expected}"
    )
