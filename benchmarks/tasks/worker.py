"""A process that trains one task with one library, and prints what came of it as JSON.

    python -m benchmarks.tasks.worker PyTorch reber --seed 1

The time is that of the training with its evaluation at the end, without imports and data. An epoch
that is not timed comes first: at its first step, a library loads modules and fills caches.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable

from benchmarks.tasks import Data, prepare
from nnreg.runs.run import Run

Train = Callable[[], dict[str, float]]


def main() -> None:
    """Print the metrics on the test split, the seconds, and the numbers of the network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=TRAINERS)
    parser.add_argument("task")
    parser.add_argument("--epochs", type=int, help="by default those of the spec")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):  # libraries may print
        found = trained(options)
    print(json.dumps(found))


def trained(options: argparse.Namespace) -> dict[str, object]:
    """Train as the command line asks."""
    overrides = [f"seed={options.seed}", f"train.threads={options.threads}"]
    prepare_train = TRAINERS[options.library]
    first = prepare(options.task, [*overrides, "train.epochs=1"])
    prepare_train(options.task, first, options.threads)()
    if options.epochs is not None:
        overrides.append(f"train.epochs={options.epochs}")
    data = prepare(options.task, overrides)
    train = prepare_train(options.task, data, options.threads)
    began, began_processor = time.perf_counter(), time.process_time()
    metrics = train()
    return {
        "seconds": time.perf_counter() - began,
        "processor": time.process_time() - began_processor,
        "metrics": metrics,
        "metric": next(iter(data.prepared.model.evaluation.named_metrics), "loss"),
        "epochs": data.epochs,
        "parameters": data.prepared.model.network.vector.size,
    }


def _nnreg(task: str, data: Data, threads: int) -> Train:
    del task, threads  # both are in the spec
    run = Run(data.prepared, None)

    def train() -> dict[str, float]:
        run.train()
        found: dict[str, float] = run.summary["test"]
        return found

    return train


def _pytorch(task: str, data: Data, threads: int) -> Train:
    import torch

    torch.set_num_threads(threads)
    module = importlib.import_module(f"benchmarks.tasks.{task}")
    return lambda: dict(module.train(torch, data, epochs=data.epochs, seed=data.seed))


TRAINERS = {"nnreg": _nnreg, "PyTorch": _pytorch}


if __name__ == "__main__":
    main()
