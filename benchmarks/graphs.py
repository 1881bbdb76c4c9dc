"""The cost of graphs: a residual network nested and as a graph, and chains now and before.

    python -m benchmarks.graphs [--quick] [--before DIRECTORY]

Both forms of the residual network have the same layers and compute the same. With a directory that
has an older version of nnreg, chains are trained by both versions, each time in a process of its
own. Processor time is measured, on one thread; measurements are interleaved.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import nnreg
from benchmarks import report
from benchmarks.environment import describe, environment
from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import ROOT, limited, python, run

Layer = dict[str, Any]

BLOCKS = 4
RESIDUAL = {"residual 32": (32, 64), "residual 128": (128, 64)}
"""The units of each layer, and the batch."""

CHAINS = {"4-16-8-3": 32, "64-128-64-10": 32, "784-512-256-10": 64}
"""The batch of each chain of dense layers."""

OPTIMIZERS = ("sgd", "adam")
"""The optimizers of each chain."""

SECONDS = 0.3
"""The duration of each measurement."""


def measure(effort: Effort, before: Path | None = None) -> Iterator[Row]:
    """Yield a row for each residual network, and with an older version one for each chain."""
    for name, (units, batch) in RESIDUAL.items():
        forms = {"nested": nested(units), "graph": graph(units)}
        samplers = {form: _passes(layers, units, batch) for form, layers in forms.items()}
        yield Row(f"{name}, {batch}", "µs", *interleave(samplers, effort))
    if before is None:
        return
    versions = {"before": before, "now": ROOT}
    for (name, batch), optimizer in product(CHAINS.items(), OPTIMIZERS):
        chain = partial(_step, name, batch, optimizer)
        steps = {key: partial(chain, path) for key, path in versions.items()}
        yield Row(f"chain {name}, {batch}, {optimizer}", "µs", *interleave(steps, effort))


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


def _step(name: str, batch: int, optimizer: str, version: Path) -> float:
    """Return the seconds of a training step of a chain with a version of nnreg."""
    inputs, *hidden, outputs = map(int, name.split("-"))
    layers = [{"type": "dense", "units": units, "activation": "relu"} for units in hidden]
    spec = {
        "model": {"layers": [*layers, {"type": "dense", "units": outputs}]},
        "loss": "mean_squared_error",
        "optimizer": optimizer,
        "train": {"epochs": 1, "batch_size": batch, "threads": 1},
    }
    job = {"spec": spec, "inputs": inputs, "outputs": outputs, "batch": batch, "seconds": SECONDS}
    script = str(ROOT / "benchmarks" / "chain_step.py")
    return float(run(python(script, json.dumps(job)), limited(1, path=version)).output)


TABLE = Table(
    "graphs",
    "residual networks: a forward and a backward pass; chains: a training step (µs)",
    ("nested", "graph", "before", "now"),
    (
        Ratio("graph / nested", ("nested",), ("graph",)),
        Ratio("now / before", ("before",), ("now",)),
    ),
    measure,
    plotted=False,
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.graphs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--before", type=Path, help="a directory with an older version of nnreg")
    options = parser.parse_args()
    effort = Effort(3 if options.quick else 15, 0.0, 1)
    print(describe(environment(), 1), report.heading(TABLE), sep="\n", flush=True)
    for row in measure(effort, options.before):
        print(report.line(TABLE, row), flush=True)
    print("\nexpected: a graph within 1.10 of the nested form, chains within 1.03 of before")


if __name__ == "__main__":
    main()
