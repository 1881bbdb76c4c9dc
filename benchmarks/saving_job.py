"""A process that trains a network with checkpoints, and prints as JSON how much time saving took.

    python -m benchmarks.saving_job '{"epochs": 400}' DIRECTORY

The first argument has those of `Nnreg.training`, the shares are those of `saving_share`. They are
measured within one run: two runs, with and without checkpoints, can differ by several percent by
where their arrays are in memory.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.own import Nnreg
from benchmarks.saving_share import shares
from benchmarks.workloads import NAMED, SMALL


def main(arguments: str, directory: str) -> None:
    """Train and print the shares."""
    options, own = json.loads(arguments), Nnreg("numpy")
    if "workload" in options:
        options["workload"] = NAMED[options["workload"]]
    with TemporaryDirectory(dir=directory) as inside:
        own.training(1, SMALL)(Path(inside) / "first")  # imports h5py
        print(json.dumps(shares(own.training(**options), Path(inside) / "run")[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
