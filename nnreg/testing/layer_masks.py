"""The conformance checks of layers that declare `keeps_mask`, on sequences of different lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg._types import Array, Shape, Shapes
from nnreg.errors import SpecError
from nnreg.interfaces.join import Join, OneInput, flat_inputs, split_values
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.tables.padded import mask_of
from nnreg.testing.assertions import close, finite
from nnreg.testing.finite_differences import require_gradient
from nnreg.testing.layer_pass import LayerCase, Pass, different

MORE_STEPS = 2
"""The steps that are added to show that the width of the padding does not matter."""


@dataclass(frozen=True)
class _MaskedInputs(OneInput):
    """A join as a layer of one input, whose parts have masks of these names."""

    masks: tuple[str, ...]

    def build(self, shape: Shape, builder: LayerBuilder) -> Shapes:
        builder.masks = self.masks
        return super().build(shape, builder)


class MaskedPass(Pass):
    """A layer in its own network that gets a batch of sequences of different lengths.

    `lengths` are those of each mask, by its name. `real` and `real_output` are true for the values
    of the input and of the output that are not masked; the gradient of the others is 0.
    """

    def __init__(self, case: LayerCase, lengths: dict[str, Array], **options: Any) -> None:
        super().__init__(case, **options)
        shapes, names = inputs_of(case.layer, case.x.shape[1:])
        steps = {name: shape[0] for name, shape in zip(names, shapes, strict=True)}
        masks = {name: mask_of(lengths[name], steps[name]) for name in steps}
        self.context.workspace.masks = {name: self._wrap(mask) for name, mask in masks.items()}
        parts = [_spread(masks[name], one) for name, one in zip(names, shapes, strict=True)]
        self.real = flat_inputs(parts) if isinstance(case.layer, OneInput) else parts[0]
        self.real_output = np.ones(self.dy.shape, bool)
        _, plan = self.network.plan.children["layers/0"]
        if keeps_mask(case.layer, plan):
            several = [_spread(masks[names[0]], one) for one in plan.outputs.values()]
            first = _spread(masks[names[0]], plan.output)
            self.real_output = flat_inputs(several) if several else first
        self.dy *= self.real_output

    def declare(self, root: LayerBuilder, layer: Layer, size: Shape) -> Shapes:
        """Build the layer as the only one of a network with masked inputs."""
        _, names = inputs_of(layer, size)
        mask: str | None = names[0]
        if isinstance(layer, OneInput):
            layer, mask = _MaskedInputs(layer.join, layer.shapes, names), None
        built: Shapes = root.layer("layers/0", layer, size, mask=mask)
        return built


def keeps_mask(layer: Layer, plan: LayerBuilder) -> bool:
    """Return whether the output of a layer that was built with a mask has one."""
    if isinstance(layer, OneInput):
        return layer.join.keeps_mask is True
    return plan.output_mask is not None


def inputs_of(layer: Layer, size: Shape) -> tuple[tuple[Shape, ...], tuple[str, ...]]:
    """Return the shape of each input of a layer, and the name of its mask."""
    if not isinstance(layer, OneInput):
        return (size,), ("0",)
    several = isinstance(layer.join, Join) and layer.join.joins_masks
    names = (str(index) if several else "0" for index in range(len(layer.shapes)))
    return layer.shapes, tuple(names)


def masked_values(case: LayerCase) -> None:
    """If it supports masks, values at masked steps change no real output and no gradient."""
    for training, lengths in _settings(case):
        tried, other = (MaskedPass(case, lengths, training=training) for _ in range(2))
        other.x = np.where(other.real, case.x, _other_values(case.x))
        (y, dx), (found, dx_found) = tried.run(), other.run()
        what = "with other values at masked steps"
        close(case, f"the output {what}", found * tried.real_output, y * tried.real_output, 1e-12)
        close(case, f"the parameters' gradient {what}", other.gradient, tried.gradient, 1e-12)
        if dx is not None and dx_found is not None:
            close(case, f"the input's gradient {what}", dx_found, dx, 1e-12)


def masked_gradient(case: LayerCase) -> None:
    """With masks, the gradients agree with central differences, and are 0 at masked steps."""
    passes = (MaskedPass(case, lengths, training=one) for one, lengths in _settings(case))
    for tried, dx in different(passes):
        dp = tried.gradient.copy()
        what = "the parameters' gradient with a mask"
        require_gradient(case, what, dp, tried.loss, tried.network.vector)
        if case.layer.integer_input or dx is None:
            continue
        if np.any(dx[~tried.real] != 0):
            raise AssertionError(f"{case}: the input's gradient is not 0 at masked steps")
        tried.x = case.x.copy()
        require_gradient(case, "the input's gradient with a mask", dx, tried.loss, tried.x)


def padding(case: LayerCase) -> None:
    """With masks, more steps of padding change nothing, unless an array has their number."""
    wide = _wider(case)
    for training, lengths in _settings(case):
        tried = MaskedPass(case, lengths, training=training)
        try:
            other = MaskedPass(wide, lengths, training=training)
        except SpecError:
            return
        if {n: p.shape for n, p in other.network.params.items()} != {
            n: p.shape for n, p in tried.network.params.items()
        }:
            return
        other.dy[other.real_output] = tried.dy[tried.real_output]
        (y, dx), (found, dx_found) = tried.run(), other.run()
        rng = tried.context.workspace.rng
        if rng is None or rng.bit_generator.state != np.random.default_rng(5).bit_generator.state:
            continue  # the layer drew random numbers, which differ with the number of steps
        what = "with more steps of padding"
        found, y = found[other.real_output], y[tried.real_output]
        close(case, f"the output {what}", found, y, 1e-12)
        close(case, f"the parameters' gradient {what}", other.gradient, tried.gradient, 1e-12)
        if dx is not None and dx_found is not None:
            dx_found, dx = dx_found[other.real], dx[tried.real]
            close(case, f"the input's gradient {what}", dx_found, dx, 1e-12)


def empty_sequences(case: LayerCase) -> None:
    """With masks, all results for sequences of length 0 are finite."""
    for training, lengths in _settings(case):
        for least in (2, np.inf):
            some = {name: np.where(each < least, 0, each) for name, each in lengths.items()}
            tried = MaskedPass(case, some, training=training)
            y, dx = tried.run()
            finite(case, "the output for an empty sequence", y)
            finite(case, "the parameters' gradient for an empty sequence", tried.gradient)
            if dx is not None:
                finite(case, "the input's gradient for an empty sequence", dx)


def masked_passes(case: LayerCase) -> Iterator[MaskedPass]:
    """Return passes in inference with sequences of different lengths, if it supports masks."""
    if case.layer.keeps_mask is None:
        return
    for training, lengths in _settings(case):
        if not training:
            yield MaskedPass(case, lengths, training=False)


def _settings(case: LayerCase) -> Iterator[tuple[bool, dict[str, Array]]]:
    """Return training and inference, each with lengths, unless the layer refuses this input."""
    shapes, names = inputs_of(case.layer, case.x.shape[1:])
    rows = len(case.x)
    lengths = {
        name: np.roll(np.resize([shape[0], (shape[0] + 1) // 2, 1], rows), index)
        for index, (name, shape) in enumerate(dict(zip(names, shapes, strict=True)).items())
    }
    try:
        MaskedPass(case, lengths)
    except SpecError:
        return
    for training in (True, False):
        yield training, lengths


def _spread(mask: Array, shape: Shape) -> Array:
    """Return the mask `(rows, steps)` for all values of `(rows, *shape)`."""
    each = mask.reshape(*mask.shape, *[1] * (len(shape) - 1))
    return np.broadcast_to(each, (len(mask), *shape)).copy()


def _other_values(x: Array) -> Array:
    """Return other values, which are valid integers if those of x are."""
    return x[::-1] if x.dtype.kind in "iu" else 3 - 7 * x


def _wider(case: LayerCase) -> LayerCase:
    """Return the case with more steps, whose values are those of other steps."""
    layer = case.layer
    if not isinstance(layer, OneInput):
        return replace(case, x=_with_more_steps(case.x))
    parts = [_with_more_steps(part) for part in split_values(case.x, layer.shapes)]
    shapes = tuple(part.shape[1:] for part in parts)
    return replace(case, layer=replace(layer, shapes=shapes), x=flat_inputs(parts))


def _with_more_steps(x: Array) -> Array:
    more = np.resize(x[::-1], (len(x), MORE_STEPS, *x.shape[2:]))
    return np.concatenate([x, more], axis=1)
