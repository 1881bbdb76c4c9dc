"""Held-out results of the specs that `nnreg init` proposes, beside the ready ones.

    python -m benchmarks.proposed

Each spec is trained on five seeds' splits, and judged by the part it holds out for a test.
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
"""For each data file the ready spec, where one holds out a test part, and the figure."""


def measured(spec, metric: str, seeds=SEEDS) -> tuple[list[float], float]:
    """Return the test figure for each seed, and the seconds of all trainings."""
    figures, began = [], time.perf_counter()
    for seed in seeds:
        run = Run(prepare_from_spec(read_spec(spec, [f"seed={seed}"])), None)
        run.train()
        figures.append(run.summary["test"][metric])
    return figures, time.perf_counter() - began


def line(name: str, metric: str, found: tuple[list[float], float]) -> str:
    """Return a line of the table."""
    figures, seconds = found
    return f"{name:<28} {metric} {mean(figures):.3f} ± {stdev(figures):.3f} in {seconds:5.1f} s"


def main() -> None:
    """Print the table."""
    for data, (ready, metric) in CASES.items():
        proposal = propose(MODELS / data)
        print(line(f"{data}, proposed", metric, measured(proposal.tree, metric)))
        if ready:
            print(line(f"{data}, {ready}", metric, measured(MODELS / ready, metric)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
