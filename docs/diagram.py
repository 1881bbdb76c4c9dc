"""Small networks with their numbers: values on the way forward, derivatives on the way back."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import nnreg
from nnreg._types import Array
from nnreg.plotting.palette import BLUE, MUTED, ORANGE, PANEL, PAPER
from nnreg.plotting.svg import Drawing, text

ACROSS, DOWN, RADIUS = 250, 130, 36
"""Pixels from layer to layer, from neuron to neuron, and of a neuron."""

LEFT, TOP, LABELS = 80, 64, 30
"""Pixels in front of the first neuron, above it, and for the words below the last."""


def diagram(model: nnreg.Model, x: float, t: float) -> str:
    """Draw a network of dense sigmoid layers that has one input, for one example.

    Blue are the weights and what the neurons answer, orange the derivatives of the loss: by each
    weight, and by what goes into each neuron's sigmoid.
    """
    weights = [array for name, array in model.parameters.items() if name.endswith("weight")]
    biases = [array for name, array in model.parameters.items() if name.endswith("bias")]
    loss, gradients = model.gradients([[x]], [[t]])
    values = [np.array([x])]
    for weight, bias in zip(weights, biases, strict=True):
        values.append(1 / (1 + np.exp(-(values[-1] @ weight + bias))))
    back = {kind: [a for name, a in gradients.items() if name.endswith(kind)]
            for kind in ("weight", "bias")}  # fmt: skip
    height = TOP + (max(map(len, values)) - 1) * DOWN + RADIUS + LABELS + 44
    width = 2 * LEFT + (len(values) - 1) * ACROSS
    parts: list[str] = []
    middle = (height - LABELS) / 2
    places = [_column(index, len(layer), middle) for index, layer in enumerate(values)]
    for layer, (here, there) in enumerate(pairwise(places)):
        parts += _edges(here, there, weights[layer], back["weight"][layer])
    for layer, column in enumerate(places):
        deltas = back["bias"][layer - 1] if layer else [None] * len(column)
        for (left, top), value, delta in zip(column, values[layer], deltas, strict=True):
            parts += _neuron(left, top, value, delta)
    words = ("input", *(["hidden"] * (len(values) - 2)), f"output, wanted {t}")
    parts += [
        text(LEFT + index * ACROSS, height - 12, word, anchor="middle")
        for index, word in enumerate(words)
    ]
    description = f"A network with its weights, values and derivatives; loss {loss:.4f}"
    return Drawing(width, height, description, parts, size=14).file()


def _column(index: int, count: int, middle: float) -> list[tuple[float, float]]:
    """Return where the neurons of a layer are."""
    return [(LEFT + index * ACROSS, middle + (k - (count - 1) / 2) * DOWN) for k in range(count)]


def _edges(here: Any, there: Any, weight: Array, gradient: Array) -> list[str]:
    """Return the connections of two layers, each with its weight and the derivative by it."""
    lines, numbers = [], []
    for (row, column), value in np.ndenumerate(weight):
        (x1, y1), (x2, y2) = here[row], there[column]
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        lines.append(f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{MUTED}" stroke-width="1.5"/>')
        numbers += [
            f'<rect x="{x - 32}" y="{y - 19}" width="64" height="38" fill="{PAPER}"/>',
            text(x, y - 4, f"{value:.4f}", fill=BLUE, anchor="middle"),
            text(x, y + 14, f"{gradient[row, column]:.4f}", fill=ORANGE, anchor="middle"),
        ]
    return lines + numbers


def _neuron(x: float, y: float, value: float, delta: float | None) -> list[str]:
    """Return a neuron with its value, and below it the derivative by what goes into it."""
    parts = [
        f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{PANEL}" stroke="{MUTED}" '
        'stroke-width="1.5"/>',
        text(x, y + 5, f"{value:.4f}", fill=BLUE, anchor="middle"),
    ]
    if delta is not None:
        parts.append(text(x, y + RADIUS + 18, f"{delta:.4f}", fill=ORANGE, anchor="middle"))
    return parts
