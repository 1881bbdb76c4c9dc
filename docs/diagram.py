"""Diagrams of small networks with their forward values and derivatives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import nnreg
from nnreg._types import Array
from nnreg.plotting.palette import BLUE, MUTED, ORANGE, PANEL, PAPER
from nnreg.plotting.svg import Drawing, text

ACROSS, DOWN, RADIUS = 250, 130, 36
"""Pixels between layers, between neurons, and the radius of a neuron."""

LEFT, TOP, LABELS = 80, 64, 30
"""Pixels to the left of the first neuron, above it, and for the labels below the last."""


def diagram(model: nnreg.Model, x: float, t: float) -> str:
    """Draw a network of dense sigmoid layers with one input, for one example.

    Weights and outputs of the neurons are blue; the derivatives of the loss are orange, with
    respect to each weight and to the argument of each neuron's sigmoid.
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
    positions = [_column(index, len(layer), middle) for index, layer in enumerate(values)]
    for layer, (inputs, outputs) in enumerate(pairwise(positions)):
        parts += _edges(inputs, outputs, weights[layer], back["weight"][layer])
    for layer, column in enumerate(positions):
        deltas = back["bias"][layer - 1] if layer else [None] * len(column)
        for (left, top), value, delta in zip(column, values[layer], deltas, strict=True):
            parts += _neuron(left, top, value, delta)
    labels = ("input", *(["hidden"] * (len(values) - 2)), f"output, target {t}")
    parts += [
        text(LEFT + index * ACROSS, height - 12, label, anchor="middle")
        for index, label in enumerate(labels)
    ]
    description = f"A network with its weights, values and derivatives; loss {loss:.4f}"
    return Drawing(width, height, description, parts, size=14).file()


def _column(index: int, count: int, middle: float) -> list[tuple[float, float]]:
    """Return the positions of the neurons of a layer."""
    return [(LEFT + index * ACROSS, middle + (k - (count - 1) / 2) * DOWN) for k in range(count)]


def _edges(inputs: Any, outputs: Any, weight: Array, gradient: Array) -> list[str]:
    """Return the connections of two layers, each with its weight and derivative."""
    lines, numbers = [], []
    for (row, column), value in np.ndenumerate(weight):
        (x1, y1), (x2, y2) = inputs[row], outputs[column]
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        lines.append(f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{MUTED}" stroke-width="1.5"/>')
        numbers += [
            f'<rect x="{x - 32}" y="{y - 19}" width="64" height="38" fill="{PAPER}"/>',
            text(x, y - 4, f"{value:.4f}", fill=BLUE, anchor="middle"),
            text(x, y + 14, f"{gradient[row, column]:.4f}", fill=ORANGE, anchor="middle"),
        ]
    return lines + numbers


def _neuron(x: float, y: float, value: float, delta: float | None) -> list[str]:
    """Return a neuron with its value, and below it the derivative of its sigmoid's argument."""
    parts = [
        f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{PANEL}" stroke="{MUTED}" '
        'stroke-width="1.5"/>',
        text(x, y + 5, f"{value:.4f}", fill=BLUE, anchor="middle"),
    ]
    if delta is not None:
        parts.append(text(x, y + RADIUS + 18, f"{delta:.4f}", fill=ORANGE, anchor="middle"))
    return parts
