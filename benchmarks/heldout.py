"""Held-out results of the example models, compared with networks of the same shape in scikit-learn.

    pip install -e . --group benchmarks && python -m benchmarks.heldout

Each model is trained on the splits of five seeds, with a fifth of the rows as test split.
scikit-learn gets the same encoded rows, with the validation rows added to the training rows. The
exit code is 1 if a target is missed.
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
    """A model, its metric and target value, and the hidden layers of its scikit-learn network."""

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
    """The means over the seeds; `peer` is None if scikit-learn is not installed."""

    case: Case
    figure: float
    peer: float | None
    seconds: float

    @property
    def misses(self) -> list[str]:
        """The targets that were not reached."""
        found = []
        if self.figure < self.case.target:
            found.append(f"below {self.case.target}")
        if self.peer is not None and self.figure < self.peer - MARGIN:
            found.append(f"more than {MARGIN} below scikit-learn")
        if self.seconds >= SECONDS:
            found.append(f"a run took {SECONDS:g} s or more")
        return found


def measure(case: Case, seeds=SEEDS, *, with_peer: bool = True) -> Result:
    """Return the results of a model and its scikit-learn network over the seeds."""
    figures, peers, seconds = [], [], []
    for seed in seeds:
        began = time.perf_counter()
        prepared = prepare_from_spec(read_spec(MODELS / f"{case.model}.json", [f"seed={seed}"]))
        run = Run(prepared, None)
        run.train()
        seconds.append(time.perf_counter() - began)
        figures.append(run.summary["test"][case.metric])
        if with_peer:
            peers.append(_peer(case, prepared, seed))
    peer = mean(peers) if peers and None not in peers else None
    return Result(case, mean(figures), peer, max(seconds))


def _peer(case: Case, prepared, seed: int) -> float | None:
    """Return the test score of scikit-learn's network, or None if it is not installed."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError:
        return None
    splits = [prepared.train, prepared.validation]
    x = np.concatenate([split.x.reshape(len(split), -1) for split in splits])
    t = np.concatenate([split.targets.reshape(len(split), -1).squeeze(1) for split in splits])
    kind = MLPRegressor if case.metric == "r2" else MLPClassifier
    network = kind(hidden_layer_sizes=case.hidden, random_state=seed, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # limited to 500 epochs
        network.fit(x, t)
    test = prepared.test
    return float(network.score(test.x.reshape(len(test), -1), test.targets.squeeze()))


def table(results: list[Result]) -> str:
    """Return the results as text."""
    lines = [
        f"{'model':12} {'metric':9} {'nnreg':>7} {'scikit-learn':>13} {'difference':>11} "
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
    """Print the table, write it as JSON if requested, and return 1 if a target is missed."""
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
