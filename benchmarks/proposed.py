"""Held-out results of the specs that `nnreg init` proposes, compared with the example specs.

    python -m benchmarks.proposed

Each spec is trained on the splits of five seeds, and evaluated on its test split.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import mean, stdev

from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.run import Run
from nnreg.spec.document import read_spec
from nnreg.starter.propose import propose

MODELS = Path(__file__).parent.parent / "models"
SEEDS = range(5)
CASES = {
    "penguins.csv": ("penguins.json", "accuracy"),
    "digits.npz": ("digits_conv.json", "accuracy"),
    "diabetes.csv": ("diabetes.json", "r2"),
    "iris.csv": (None, "accuracy"),
}
"""The example spec of each data file, if it has a test split, and the metric."""


def measured(spec, metric: str, seeds=SEEDS) -> tuple[list[float], float]:
    """Return the test metric for each seed, and the total seconds of training."""
    figures, began = [], time.perf_counter()
    for seed in seeds:
        changes = [f"seed={seed}", "data.split.test=0.2"]  # init may hold out none
        run = Run(prepare_from_spec(read_spec(spec, changes)), None)
        run.train()
        figures.append(run.summary["test"][metric])
    return figures, time.perf_counter() - began


def line(name: str, metric: str, found: tuple[list[float], float]) -> str:
    """Return a line of the table."""
    figures, seconds = found
    return f"{name:<28} {metric} {mean(figures):.3f} ± {stdev(figures):.3f} in {seconds:5.1f} s"


def main() -> None:
    """Print the table."""
    for data, (example, metric) in CASES.items():
        proposal = propose(MODELS / data)
        print(line(f"{data}, proposed", metric, measured(proposal.tree, metric)))
        if example:
            print(line(f"{data}, {example}", metric, measured(MODELS / example, metric)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
