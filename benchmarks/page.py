"""The kept results as Markdown: medians, versions and dates in `results.json`, tables in a page.

`python -m benchmarks.page` writes the tables of `benchmarks/results.json` into
`docs/benchmarks.md` again, without measuring anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison.markdown import replaced
from benchmarks.environment import describe
from benchmarks.harness import Effort, Row, Table
from benchmarks.peers import JAX, TORCH
from benchmarks.processes import ROOT
from benchmarks.report import UNITS, figure
from benchmarks.tables import TABLES
from benchmarks.targets import TargetResult, check_targets

KEPT = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
START, END = "<!-- python -m benchmarks --write -->", "<!-- end of the results -->"
MODES = {"processor": "Time of the processor", "elapsed": "Elapsed time"}
BETTER = {"PyTorch": TORCH, "JAX": JAX}
"""The columns of which the page shows the better one."""


def keep(
    kept: dict[str, Any], about: Mapping[str, Any], effort: Effort, rows: Mapping[Table, list[Row]]
) -> dict[str, Any]:
    """Return kept results with the measured tables.

    Tables that were measured with another machine or other versions are dropped.
    """
    mode = "processor" if effort.processor else "elapsed"
    same = {key: value for key, value in about.items() if key not in ("load", "date")}
    old = kept.get(mode, {})
    tables = old["tables"] if old.get("machine") == same else {}
    for table, measured in rows.items():
        tables[table.name] = {
            "date": about["date"],
            "load": about["load"],
            "rows": [
                {
                    "name": row.name,
                    "unit": row.unit,
                    "compared": row.compared,
                    "figures": {name: float(f"{v:.4g}") for name, v in row.figures.items()},
                }
                for row in measured
            ],
        }
    return {**kept, mode: {"machine": same, "threads": effort.threads, "tables": tables}}


def markdown(kept: Mapping[str, Any]) -> str:
    """Return the tables and the targets of each kind of time."""
    return "\n\n".join(part for mode in MODES if mode in kept for part in _mode(mode, kept[mode]))


def _mode(mode: str, run: Mapping[str, Any]) -> Iterator[str]:
    threads = run["threads"]
    yield f"### {MODES[mode]}, {threads} {'thread' if threads == 1 else 'threads'}"
    measured = {table.name: table for table in TABLES if table.name in run["tables"]}
    dates = sorted({run["tables"][name]["date"] for name in measured})
    loads = [run["tables"][name]["load"] for name in measured]
    about = {**run["machine"], "load": max(loads)}
    lines = describe(about, threads).splitlines()
    yield f"Measured {' and '.join(dates)}: {'; '.join(lines)}."
    rows = {name: [_row(one) for one in run["tables"][name]["rows"]] for name in measured}
    results = check_targets(rows)
    for name, table in measured.items():
        yield f"**{table.title[0].upper()}{table.title[1:]}**"
        yield _table(table, rows[name], [one for one in results if one.target.table == name])
    yield "**Targets**"
    yield _targets(results)


def _row(kept: Mapping[str, Any]) -> Row:
    samples = {name: [value] for name, value in kept["figures"].items()}
    return Row(kept["name"], kept["unit"], samples, {}, kept["compared"])


def _table(table: Table, rows: Sequence[Row], results: Sequence[TargetResult]) -> str:
    """Return a table; what missed a target is bold, with the ratio to the best in brackets."""
    columns: dict[str, tuple[str, ...]] = {}
    for name in table.columns:
        group = next((title for title, names in BETTER.items() if name in names), name)
        columns[group] = (*columns.get(group, ()), name)
    shares = [ratio for ratio in table.ratios if ratio.percent]
    titles = [*columns, *(ratio.title for ratio in shares)]
    lines = [_line(["", *titles]), _line(["---", *("---:" for _ in titles)])]
    ratios = {ratio.own: ratio for ratio in table.ratios if not ratio.percent}
    for row in rows:
        missed = {name for one in results if row.name in one.misses for name in _blamed(one, row)}
        cells = []
        for title, names in columns.items():
            found = [row.figures[name] for name in names if name in row.figures]
            text = figure(min(found) * UNITS[row.unit]) if found else "-"
            ratio = ratios.get((title,))
            value = ratio and row.ratio(ratio.own, ratio.peers)
            text += f" ({value:.2f})" if value is not None else ""
            cells.append(f"**{text}**" if title in missed else text)
        for ratio in shares:
            value = row.ratio(ratio.own, ratio.peers)
            cells.append("-" if value is None else f"{value:.0%}")
        lines.append(_line([row.name, *cells]))
    return "\n".join(lines)


def _blamed(result: TargetResult, row: Row) -> list[str]:
    """Return the columns that missed a target: of several, the best."""
    known = [name for name in result.target.own if name in row.figures]
    return [min(known, key=row.figures.__getitem__)]


def _targets(results: Sequence[TargetResult]) -> str:
    """Return which targets are met, and in how many rows the others are missed."""
    lines = [_line(["Target", "Wanted", "Result"]), _line(["---"] * 3)]
    for result in results:
        text = result.word
        if result.misses:
            text = f"**missed in {len(result.misses)} of {len(result.values)}**"
        if result.excused:
            text += f"; bounded by the products in {len(result.excused)}"
        lines.append(_line([result.target.what, result.target.wanted, text]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def written(page: str, kept: Mapping[str, Any]) -> str:
    """Return a page with the results between its markers replaced."""
    return replaced(page, markdown(kept), START, END)


def main(page: Path = PAGE) -> None:
    """Write the kept results into a page."""
    page.write_text(written(page.read_text(), json.loads(KEPT.read_text())))


if __name__ == "__main__":
    main()
