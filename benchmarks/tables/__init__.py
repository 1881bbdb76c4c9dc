"""The tables, one module each, in the order of measurement."""

from __future__ import annotations

from benchmarks.tables import (
    csv,
    imports,
    jobs,
    memory,
    mpi,
    plugins,
    predict,
    quotients,
    saving,
    steps,
)

MODULES = (steps, predict, quotients, jobs, imports, memory, saving, csv, plugins, mpi)
TABLES = tuple(module.TABLE for module in MODULES)
