"""Held-out results of the ready models, beside scikit-learn's networks of the same shape.

    pip install -e . --group benchmarks && python -m benchmarks.heldout

Each model is trained on five seeds' splits; a fifth of the rows is tested on. scikit-learn gets
the same encoded rows, those of the validation part added to the training part. Exits with 1 where
a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.run import Run
from nnreg.spec.document import read_spec

MODELS = Path(__file__).parent.parent / "models"
SEEDS = range(5)
SECONDS = 20.0
MARGIN = 0.005


@dataclass(frozen=True)
class Case:
    """A model, the figure it is judged by, what it must reach, and its peer's hidden layers."""

    model: str
    metric: str
    target: float
    hidden: tuple[int, ...]


CASES = (
    Case("penguins", "accuracy", 0.97, (32,)),
    Case("digits", "accuracy", 0.97, (128,)),
    Case("digits_conv", "accuracy", 0.98, (128,)),
    Case("diabetes", "r2", 0.42, (16,)),
)


@dataclass(frozen=True)
class Result:
    """The means over the seeds; `peer` is None where scikit-learn is not installed."""

    case: Case
    figure: float
    peer: float | None
    seconds: float

    @property
    def misses(self) -> list[str]:
        """What was asked for and not reached."""
        found = []
        if self.figure < self.case.target:
            found.append(f"below {self.case.target}")
        if self.peer is not None and self.figure < self.peer - MARGIN:
            found.append(f"more than {MARGIN} below scikit-learn")
        if self.seconds >= SECONDS:
            found.append(f"a run took {SECONDS:g} s or more")
        return found


def measure(case: Case, seeds=SEEDS, *, with_peer: bool = True) -> Result:
    """Train a model and its peer on each seed's split."""
    figures, peers, seconds = [], [], []
    for seed in seeds:
        began = time.perf_counter()
        assembled = prepare_from_spec(read_spec(MODELS / f"{case.model}.json", [f"seed={seed}"]))
        run = Run(assembled, None)
        run.train()
        seconds.append(time.perf_counter() - began)
        figures.append(run.summary["test"][case.metric])
        if with_peer:
            peers.append(_peer(case, assembled, seed))
    peer = mean(peers) if peers and None not in peers else None
    return Result(case, mean(figures), peer, max(seconds))


def _peer(case: Case, assembled, seed: int) -> float | None:
    """Return the test figure of scikit-learn's network, or None if it is not installed."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError:
        return None
    parts = [assembled.train, assembled.validation]
    x = np.concatenate([part.x.reshape(len(part), -1) for part in parts])
    t = np.concatenate([part.targets.reshape(len(part), -1).squeeze(1) for part in parts])
    kind = MLPRegressor if case.metric == "r2" else MLPClassifier
    network = kind(hidden_layer_sizes=case.hidden, random_state=seed, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 500 epochs are all it gets
        network.fit(x, t)
    test = assembled.test
    return float(network.score(test.x.reshape(len(test), -1), test.targets.squeeze()))


def table(results: list[Result]) -> str:
    """Return the results as text."""
    lines = [
        f"{'model':12} {'figure':9} {'nnreg':>7} {'scikit-learn':>13} {'difference':>11} "
        f"{'target':>7} {'slowest run':>12}"
    ]
    for r in results:
        peer = "-" if r.peer is None else f"{r.peer:.4f}"
        difference = "-" if r.peer is None else f"{r.figure - r.peer:+.4f}"
        lines.append(
            f"{r.case.model:12} {r.case.metric:9} {r.figure:7.4f} {peer:>13} {difference:>11} "
            f"{r.case.target:7.2f} {r.seconds:10.1f} s  {'; '.join(r.misses) or 'reached'}"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table, write it as JSON where asked, and tell whether all was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results to this file too")
    arguments = parser.parse_args()
    results = [measure(case) for case in CASES]
    print(table(results))
    if arguments.json:
        rows = [
            {"model": r.case.model, "metric": r.case.metric, "nnreg": r.figure,
             "scikit-learn": r.peer, "target": r.case.target, "seconds": r.seconds}
            for r in results
        ]  # fmt: skip
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 1 if any(r.misses for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
