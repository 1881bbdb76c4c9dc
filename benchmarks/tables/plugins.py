"""The cost of 30 installed plugins at startup."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Effort, Ratio, Row, Table, interleave
from benchmarks.processes import ROOT, limited, python, run

COUNT = 30
MODULES = [f"bench_plugin_{number:02}" for number in range(COUNT)]
MODULE = '''"""A typical plugin."""

from dataclasses import dataclass

import numpy as np

from nnreg import Activation, hookimpl


@dataclass(frozen=True)
class Scaled(Activation):
    """y = tanh(scale * x)"""

    scale: float = 1.0

    def forward(self, x):
        y = np.tanh(self.scale * x)
        return y, lambda dy: dy * self.scale * (1 - y * y)


@hookimpl
def nnreg_activations():
    return {"NAME": Scaled}
'''

SPEC = str(ROOT / "models" / "penguins.json")
COMMANDS = {
    "nnreg --help": ("-m", "nnreg", "--help"),
    "nnreg plugins": ("-m", "nnreg", "plugins"),
    "nnreg validate": ("-m", "nnreg", "validate", SPEC),
}
ALONE = "from nnreg import Activation, hookimpl"
ALL = "; ".join([ALONE, *(f"import {module}" for module in MODULES)])
COLUMNS = ("without", "with 30", "imports", "without, and imports")


def install(directory: Path) -> None:
    """Write 30 distributions to a directory like pip: a module, metadata, an entry point."""
    for module in MODULES:
        (directory / f"{module}.py").write_text(MODULE.replace("NAME", module))
        info = directory / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[nnreg]\n{module} = {module}\n")


def measure(effort: Effort) -> Iterator[Row]:
    """Yield a row for each command.

    The columns are the times without plugins, with them, and without them plus the time to import
    their modules, measured in the same round.
    """
    with TemporaryDirectory(prefix="nnreg-plugins-") as name:
        directory = Path(name)
        install(directory)
        for title, command in COMMANDS.items():
            samplers = {
                "without": partial(_seconds, command, None, effort),
                "with 30": partial(_seconds, command, directory, effort),
                "import none": partial(_seconds, ("-c", ALONE), directory, effort),
                "import all": partial(_seconds, ("-c", ALL), directory, effort),
            }
            samples, left_out = interleave(samplers, effort)
            if not left_out:
                rounds = zip(*(samples[name] for name in samplers), strict=True)
                samples = dict(zip(COLUMNS, zip(*map(_row, rounds), strict=True), strict=True))
            yield Row(title, "ms", samples, left_out)


def _row(times: tuple[float, ...]) -> tuple[float, ...]:
    """Return the columns of one round."""
    without, with_them, none, every = times
    return without, with_them, every - none, without + every - none


def _seconds(arguments: tuple[str, ...], path: Path | None, effort: Effort) -> float:
    return run(python(*arguments), limited(effort.threads, path=path)).time(effort)


TABLE = Table(
    "plugins",
    "30 installed plugins: milliseconds from start to end",
    COLUMNS,
    (
        Ratio("without / with", ("with 30",), ("without",)),
        Ratio("imports / with", ("with 30",), ("without, and imports",)),
    ),
    measure,
    plotted=False,
)
