"""The time axis of sequences of different lengths, which is the first axis of an example."""

from __future__ import annotations

from nnreg._types import Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.layer import LayerBuilder


def require_features(shape: Shape, builder: LayerBuilder) -> None:
    """Raise `ShapeError` if the last axis, over which a layer computes, has different lengths."""
    if len(shape) == 1 and any(builder.masks):
        raise ShapeError(shape, "(batch, time, features) of sequences of different lengths")
