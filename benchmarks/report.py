"""The tables as text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.harness import Ratio, Row, Table

UNITS = {"": 1.0, "s": 1.0, "ms": 1e3, "µs": 1e6, "MB": 1e-6, "%": 100.0}
FIRST, WIDTH = 32, 10


def figure(value: float) -> str:
    """Return a number with about three digits."""
    digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:,.{digits}f}"


def in_unit(value: float, unit: str) -> str:
    """Return a value in seconds, bytes or as a fraction, formatted with its unit."""
    return f"{figure(value * UNITS[unit])} {unit}".strip()


def heading(table: Table) -> str:
    """Return the title of a table and the names of its columns, broken into lines."""
    stacks = [_stack(title) for title in (*table.columns, *(r.title for r in table.ratios))]
    height = max(map(len, stacks))
    lines = [
        " " * FIRST + "".join(f"{word:>{WIDTH}}" for word in line).rstrip()
        for line in zip(*([""] * (height - len(stack)) + stack for stack in stacks), strict=True)
    ]
    return "\n".join([f"\n{table.title}", *lines])


def _stack(title: str) -> list[str]:
    """Break a title into lines that fit a column."""
    lines: list[str] = []
    for word in re.sub(r"(?<=\w)\+", " +", title).replace("-", "- ").split():
        if lines and len(lines[-1]) + len(word) + 1 < WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def line(table: Table, row: Row) -> str:
    """Return a row as text: the values, then the ratios."""
    scale = UNITS[row.unit]
    cells = [figure(row.figures[c] * scale) if c in row.figures else "-" for c in table.columns]
    cells += [_ratio(ratio, row) for ratio in table.ratios]
    return f"{row.name:{FIRST}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells)


def _ratio(ratio: Ratio, row: Row) -> str:
    value = row.ratio(ratio.own, ratio.peers)
    if value is None:
        return "-"
    return f"{value:.0%}" if ratio.percent else f"{value:.2f}"


def left_out(rows: Iterable[Row]) -> str:
    """Return why libraries have no value, once for each reason."""
    reasons = {(name, why) for row in rows for name, why in row.left_out.items()}
    return "\n".join(f"  omitted ('-'): {name}: {why}" for name, why in sorted(reasons))


def as_json(table: Table, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the values and ratios of a table, and its samples."""
    return {
        "name": table.name,
        "title": table.title,
        "rows": [
            {
                "name": row.name,
                "unit": row.unit,
                "figures": row.figures,
                "ratios": {
                    ratio.title: row.ratio(ratio.own, ratio.peers) for ratio in table.ratios
                },
                "left out": dict(row.left_out),
                "samples": {name: list(samples) for name, samples in row.samples.items()},
            }
            for row in rows
        ],
    }
