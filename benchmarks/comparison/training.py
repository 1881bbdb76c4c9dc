"""A process that trains one network with one library, and prints what came of it as JSON.

    python -m benchmarks.comparison.training Keras 784-512-256-10 --epochs 4

The library's own Python runs it. Seconds are those of the processor, of all threads.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import json
import sys
import time
import warnings
from itertools import pairwise
from pathlib import Path

from benchmarks.comparison.trainers import MODULES
from benchmarks.workloads import NAMED


def main() -> None:
    """Print the seconds of each epoch, the number of weights, and their digest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", choices=MODULES)
    parser.add_argument("workload", choices=NAMED)
    parser.add_argument("--steps", type=int, default=100, help="batches per epoch")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--checkpoint", type=Path, help="directory to continue from, and to write")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):  # libraries may print
        found = trained(options)
    print(json.dumps(found))


def trained(options: argparse.Namespace) -> dict[str, object]:
    """Train as the command line asks."""
    module = importlib.import_module(f"benchmarks.comparison.trainers.{MODULES[options.library]}")
    workload = NAMED[options.workload]
    x, y = workload.examples(options.steps * workload.batch)
    ends: list[float] = []
    weights = module.train(
        workload,
        x,
        y,
        options.epochs,
        options.checkpoint,
        lambda: ends.append(time.process_time()),
    )
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in weights))
    return {
        "seconds": [end - start for start, end in pairwise(ends)],
        "parameters": sum(weight.size for weight in weights),
        "digest": digest.hexdigest(),
    }


if __name__ == "__main__":
    main()
