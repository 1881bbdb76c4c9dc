"""The tables, one module each, in the order of measurement."""

from __future__ import annotations

from benchmarks.tables import imports, jobs, memory, plugins, predict, saving, steps

TABLES = tuple(module.TABLE for module in (steps, predict, jobs, imports, memory, saving, plugins))
