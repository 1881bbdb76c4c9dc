"""Compare nnreg with scikit-learn, Keras and Ludwig, for whoever chooses one of them.

    python -m benchmarks.comparison --install          # about 12 minutes, and 8 GB on the disk
    python -m benchmarks.comparison --write README.md

Each library has a virtual environment of its own. Times are those of the processor, on one core.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.comparison import markdown, rows
from benchmarks.comparison.environments import install, installed_bytes, python
from benchmarks.environment import processor
from benchmarks.harness import Effort, Row, Table
from benchmarks.processes import limited, pin, run

VERSIONS = """
import importlib.metadata as m, json, platform
names = ("nnreg", "numpy", "scikit-learn", "keras", "tensorflow-cpu", "ludwig", "torch")
found = {d.name.lower().replace("_", "-"): d.version for d in m.distributions()}
found = {name: version for name, version in found.items() if name in names}
print(json.dumps({"python": platform.python_version(), **found}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the lines as they are measured, and write them as JSON and as Markdown."""
    options = _options(arguments)
    if options.install:
        install(options.environments)
    threads = os.cpu_count() or 1
    load = os.getloadavg()[0]
    reproducibility = rows.reproducibility(options.environments, threads)
    pin(1)
    measured = _measure(options)
    results = {
        "processor": processor(),
        "load": round(load, 2),
        "rounds": options.rounds,
        "libraries": list(rows.LIBRARIES),
        "installed": _installed(options.environments),
        "rows": report.as_json(TABLE, measured)["rows"],
        "reproducibility": reproducibility,
        "facts": rows.confirmed(options.environments),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{markdown.table(results)}\n\nwritten: {options.out}")
    if options.write:
        page = markdown.replaced(options.write.read_text(), markdown.table(results))
        options.write.write_text(page)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.comparison", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--install", action="store_true", help="create missing environments first")
    parser.add_argument(
        "--environments", type=Path, default=Path("runs/benchmarks/environments"),
        help="directory with a virtual environment for each library",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/comparison.json"))
    parser.add_argument("--write", type=Path, help="page whose table is to be replaced")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace) -> list[Row]:
    print(report.heading(TABLE), flush=True)
    measured = []
    for row in rows.measure(options.environments, Effort(options.rounds, 0.0, 1)):
        measured.append(row)
        print(report.line(TABLE, row), row.unit, flush=True)
    print(report.left_out(measured))
    return measured


def _installed(environments: Path) -> dict[str, Any]:
    """Return the versions in each environment that exists, and its megabytes for CUDA."""
    found = {}
    for library in rows.LIBRARIES:
        if Path(python(environments, library)).exists():
            command = [python(environments, library), "-c", VERSIONS]
            megabytes = installed_bytes(environments, library)[1] / 1e6
            found[library] = {
                **json.loads(run(command, limited(1)).output),
                "CUDA libraries, MB": round(megabytes),
            }
    return found


TABLE = Table(
    "comparison", "a comparison, in seconds of one core", rows.LIBRARIES, (), rows.measure
)

if __name__ == "__main__":
    main()
