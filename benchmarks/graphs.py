"""The cost of graphs: a residual network nested and as a graph.

    python -m benchmarks.graphs [--quick]

Both forms have the same layers and compute the same; a graph is expected within 1.10 of the nested
form. Processor time is measured, on one thread; measurements are interleaved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import nnreg
from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.single import measure_and_print

Layer = dict[str, Any]

BLOCKS = 4
RESIDUAL = {"residual 32": (32, 64), "residual 128": (128, 64)}
"""The units of each layer, and the batch."""

SECONDS = 0.3
"""The duration of each measurement."""


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each residual network."""
    for name, (units, batch) in RESIDUAL.items():
        forms = {"nested": nested(units), "graph": graph(units)}
        samplers = {form: _passes(layers, units, batch) for form, layers in forms.items()}
        yield Row(f"{name}, {batch}", "µs", *interleave(samplers, effort))


def nested(units: int) -> list[Layer]:
    """Return a residual network of layers that contain layers."""
    return [
        *({"type": "residual", "layers": _block(units)} for _ in range(BLOCKS)),
        {"type": "dense", "units": 1},
    ]


def graph(units: int) -> list[Layer]:
    """Return the same network as a list whose entries read others."""
    layers, before = [], "input"
    for number in range(BLOCKS):
        first, second = _block(units)
        name = f"block_{number}"
        layers += [
            {**first, "inputs": before},
            {**second, "name": f"change_{number}"},
            {"type": "add", "inputs": [before, f"change_{number}"], "name": name},
        ]
        before = name
    return [*layers, {"type": "dense", "units": 1}]


def _block(units: int) -> list[Layer]:
    return [
        {"type": "dense", "units": units, "activation": "relu"},
        {"type": "dense", "units": units},
    ]


def _passes(layers: list[Layer], units: int, batch: int) -> Callable[[], float]:
    """Return a function that returns the seconds of a forward and a backward pass."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(batch, units)), rng.normal(size=batch)
    spec = {"model": {"layers": layers}, "loss": "mean_squared_error", "optimizer": "sgd"}
    network = nnreg.build(spec, data=(x, y)).network
    inputs, dy = x.astype(network.dtype), np.ones((batch, 1), network.dtype)
    gradient = np.zeros_like(network.vector)
    context = network.context(network.workspace(reuse=True), gradient, training=True)

    def passes(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            context.workspace.rewind()
            network.forward(inputs, context)[1](dy)
        return (time.process_time() - began) / count

    passes(10)
    return partial(passes, max(int(SECONDS / passes(20)), 1))


TABLE = Table(
    "graphs",
    "residual networks: a forward and a backward pass (µs)",
    ("nested", "graph"),
    (Ratio("graph / nested", ("nested",), ("graph",)),),
    measure,
    plotted=False,
)


if __name__ == "__main__":
    measure_and_print(TABLE, measure, __doc__, rounds=15)
