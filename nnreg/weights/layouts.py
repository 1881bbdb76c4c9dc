"""How PyTorch and Keras store the arrays of each layer.

`tests/parity` compares these layers with those of both libraries, with the same layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.layers.attention import HeadAttention
from nnreg.builtin.layers.bilinear import Bilinear
from nnreg.builtin.layers.convolution import Convolution
from nnreg.builtin.layers.dense import Dense
from nnreg.builtin.layers.depthwise_convolution import Depthwise
from nnreg.builtin.layers.recurrence import Recurrent
from nnreg.builtin.layers.recurrent import Gru
from nnreg.builtin.layers.transposed_convolution import TransposedConvolution
from nnreg.interfaces.layer import Layer


@dataclass(frozen=True)
class Source:
    """The arrays of the other library, by name, with their shapes, from which one of ours is made.

    The names are those within a module of PyTorch, or the number within a layer of Keras.
    """

    shapes: Mapping[str, Shape]
    convert: Callable[..., Array]


Layout: TypeAlias = Mapping[str, Source]
"""The source of each array of a layer, by its name."""

Shapes: TypeAlias = Mapping[str, Shape]


def _same(name: str, shape: Shape) -> Source:
    return Source({name: shape}, lambda values: values)


def _moved(name: str, shape: Shape, axes: tuple[int, ...]) -> Source:
    """Return the source of an array that is the other one, transposed to these axes."""
    theirs = tuple(shape[axes.index(axis)] for axis in range(len(shape)))
    return Source({name: theirs}, lambda values: values.transpose(axes))


def _reshaped(name: str, theirs: Shape, ours: Shape) -> Source:
    return Source({name: theirs}, lambda values: values.reshape(ours))


RENAMED = {"gamma": "weight", "beta": "bias", "running_variance": "running_var"}
"""The names of PyTorch's normalizations."""


def of_pytorch(layer: Layer, shapes: Shapes) -> Layout:
    """Return how PyTorch stores a layer whose arrays have these shapes."""
    found = {name: _same(RENAMED.get(name, name), shape) for name, shape in shapes.items()}
    weight = shapes.get("weight", ())
    rank = len(weight)
    if isinstance(layer, Recurrent):
        return _recurrent_of_pytorch(layer, shapes)
    if isinstance(layer, HeadAttention):
        return _attention_of_pytorch(shapes)
    if isinstance(layer, Dense):
        found["weight"] = _moved("weight", weight, (1, 0))
    elif isinstance(layer, Convolution):
        found["weight"] = _moved("weight", weight, (*range(2, rank), 1, 0))
    elif isinstance(layer, TransposedConvolution):
        found["weight"] = _moved("weight", weight, (*range(2, rank), 0, 1))
    elif isinstance(layer, Bilinear):
        found["weight"] = _moved("weight", weight, (1, 2, 0))
    return found


def of_keras(layer: Layer, shapes: Shapes) -> Layout:
    """Return how Keras stores a layer whose arrays have these shapes: by default in our order."""
    found = {name: _same(str(place), shape) for place, (name, shape) in enumerate(shapes.items())}
    weight = shapes.get("weight", ())
    rank = len(weight)
    if isinstance(layer, Gru):
        return _gru_of_keras(layer, shapes)
    if isinstance(layer, Recurrent):
        order = ("weight", "recurrent", "bias")
        return {name: _same(str(place), shapes[name]) for place, name in enumerate(order)}
    if isinstance(layer, HeadAttention):
        return _attention_of_keras(layer, shapes)
    if isinstance(layer, Depthwise):
        theirs = (*weight[:-2], weight[-1] // layer.multiplier, layer.multiplier)
        found["weight"] = _reshaped("0", theirs, weight)
    elif isinstance(layer, TransposedConvolution):
        found["weight"] = _moved("0", weight, (*range(rank - 2), rank - 1, rank - 2))
    return found


FRAMEWORKS: Mapping[str, Callable[[Layer, Shapes], Layout]] = {
    "PyTorch": of_pytorch, "Keras": of_keras,
}  # fmt: skip


def _recurrent_of_pytorch(layer: Recurrent, shapes: Shapes) -> Layout:
    bias = shapes["bias"]
    biases = {"bias_ih": bias, "bias_hh": bias}
    found = {
        "weight": _moved("weight_ih", shapes["weight"], (1, 0)),
        "recurrent": _moved("weight_hh", shapes["recurrent"], (1, 0)),
        "bias": Source(biases, np.add),
    }
    if "projection_weight" in shapes:
        found["projection_weight"] = _moved("weight_hr", shapes["projection_weight"], (1, 0))
    if "recurrent_bias" in shapes:
        n = bias[0] // 3 * 2  # those of r and z are added, and n has one in its product with h
        found["bias"] = Source(biases, lambda a, b: np.concatenate([a[:n] + b[:n], a[n:]]))
        found["recurrent_bias"] = Source({"bias_hh": bias}, lambda b: b[n:])
    return found


def _attention_of_pytorch(shapes: Shapes) -> Layout:
    found = {"output_weight": _moved("out_proj.weight", shapes["output_weight"], (1, 0))}
    if "output_bias" in shapes:
        found["output_bias"] = _same("out_proj.bias", shapes["output_bias"])
    if "weight" in shapes:
        found["weight"] = _moved("in_proj_weight", shapes["weight"], (1, 0))
        if "bias" in shapes:
            found["bias"] = _same("in_proj_bias", shapes["bias"])
        return found
    end, inputs = 0, {shapes[f"{name}_weight"][0] for name in THREE}
    total = sum(shapes[f"{name}_weight"][1] for name in THREE)
    for name in THREE:
        shape = shapes[f"{name}_weight"]
        part = slice(end, end := end + shape[1])
        if len(inputs) == 1:  # one matrix
            found[f"{name}_weight"] = Source(
                {"in_proj_weight": (total, shape[0])}, lambda w, part=part: w[part].T
            )
        else:
            found[f"{name}_weight"] = _moved(f"{name[0]}_proj_weight", shape, (1, 0))
        if f"{name}_bias" in shapes:
            found[f"{name}_bias"] = Source({"in_proj_bias": (total,)}, lambda b, part=part: b[part])
    return found


THREE = ("query", "key", "value")


def _attention_of_keras(layer: HeadAttention, shapes: Shapes) -> Layout:
    """Return a matrix per head of Keras, `(features, heads, size)`, side by side."""
    features = (shapes["weight"] if "weight" in shapes else shapes["query_weight"])[0]
    parts = layer.parts(features)
    theirs: dict[str, Source] = {}
    for name, (heads, size) in zip(THREE, parts, strict=True):
        inputs, dense = shapes.get(f"{name}_weight", (features,))[0], f"{name}_dense"
        theirs[f"{name}_weight"] = _reshaped(
            f"{dense}/0", (inputs, heads, size), (inputs, heads * size)
        )
        theirs[f"{name}_bias"] = _reshaped(f"{dense}/1", (heads, size), (heads * size,))
    heads, size = parts[-1]
    output = shapes["output_weight"]
    found = {
        "output_weight": _reshaped("output_dense/0", (layer.heads, size, output[1]), output),
        "output_bias": _same("output_dense/1", output[1:]),
    }
    if "weight" not in shapes:
        found |= theirs
    for what in ("weight", "bias") if "weight" in shapes else ():
        three = [theirs[f"{name}_{what}"] for name in THREE]
        joined = {name: shape for one in three for name, shape in one.shapes.items()}
        found[what] = Source(joined, _joining(three))
    return {name: source for name, source in found.items() if name in shapes}


def _joining(three: list[Source]) -> Callable[..., Array]:
    def convert(*given: Array) -> Array:
        parts = [one.convert(values) for one, values in zip(three, given, strict=True)]
        return np.concatenate(parts, axis=-1)

    return convert


def _gru_of_keras(layer: Gru, shapes: Shapes) -> Layout:
    """Return the columns of r, z and n, which Keras has as z, r and n; its biases are two rows."""
    n = layer.units

    def ordered(values: Array) -> Array:
        z, r, new = (values[..., k * n : (k + 1) * n] for k in range(3))
        return np.concatenate([r, z, new], axis=-1)

    found = {
        "weight": Source({"0": shapes["weight"]}, ordered),
        "recurrent": Source({"1": shapes["recurrent"]}, ordered),
        "bias": Source({"2": shapes["bias"]}, ordered),
    }
    if layer.reset_after:

        def bias(both: Array) -> Array:
            of_x, of_h = ordered(both)
            return np.concatenate([of_x[: 2 * n] + of_h[: 2 * n], of_x[2 * n :]])

        theirs = {"2": (2, *shapes["bias"])}
        found["bias"] = Source(theirs, bias)
        found["recurrent_bias"] = Source(theirs, lambda both: both[1, 2 * n :])
    return found
