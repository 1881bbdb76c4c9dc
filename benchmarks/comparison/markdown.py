"""The results of a comparison as a Markdown table, and that table in the README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.report import UNITS, figure

START, END = "<!-- python -m benchmarks.comparison -->", "<!-- end of the table -->"
TITLES = {
    "installed size": "Installed with dependencies, MB",
    "import": "Import, s",
    "penguins, from CSV to model": "Penguins, from CSV to trained model, s",
    "4-16-8-3": "Training step, dense 4-16-8-3, batch 150, ms",
    "784-512-256-10": "Training step, dense 784-512-256-10, batch 128, ms",
    "784-512-256-10, peak memory": "Peak memory of that process, MB",
    "cnn 28x28": "Training step, two convolutions on 28×28, batch 64, ms",
}
"""The measured rows of the table, in its order."""

FACTS = {
    "network and training in one file, no code": "Network and training in one file, no code",
    "command that checks gradients by finite differences": "Command that checks gradients",
    "GPU": "GPU",
    "pre-trained networks": "Pre-trained networks",
}


def table(results: Mapping[str, Any]) -> str:
    """Return the table; the best figure of a row is bold."""
    libraries = results["libraries"]
    lines = [_line(["", *libraries]), _line(["---", *("---:" for _ in libraries)])]
    rows = {row["name"]: row for row in results["rows"]}
    for name, title in TITLES.items():
        lines.append(_line([title, *_figures(rows[name], libraries)]))
    found = results["reproducibility"]
    same = [found["same seed"].get(library, "not measured") for library in libraries]
    lines.append(_line(["Same seed twice, bit-identical weights", *same]))
    resumed = [_resumed(found, library) for library in libraries]
    lines.append(_line(["Saved and resumed, bit-identical weights", *resumed]))
    for name, title in FACTS.items():
        lines.append(_line([title, *(results["facts"][name][x] for x in libraries)]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(row: Mapping[str, Any], libraries: list[str]) -> list[str]:
    figures = {name: median(samples) for name, samples in row["samples"].items()}
    best = min(figures.values(), default=0.0)
    cells = []
    for library in libraries:
        if library in figures:
            text = figure(figures[library] * UNITS[row["unit"]])
            cells.append(f"**{text}**" if figures[library] == best else text)
        else:
            absent = "dense layers only" in row["left out"][library]
            cells.append("dense layers only" if absent else "not measured")
    return cells


def _resumed(found: Mapping[str, Mapping[str, str]], library: str) -> str:
    plain, dropout = found["resumed"][library], found["resumed, dropout"][library]
    if plain != "yes":
        return "no" if plain == "no" else "not measured"
    return {"yes": "yes", "no": "not with dropout"}.get(dropout, "yes, has no dropout")


def replaced(text: str, new: str, start: str = START, end: str = END) -> str:
    """Return a page with what is between its markers replaced."""
    pattern = re.escape(start) + r"\n.*?" + re.escape(end)
    if not re.search(pattern, text, re.S):
        raise ValueError(f"no table between {start} and {end}")
    return re.sub(pattern, lambda _: f"{start}\n{new}\n{end}", text, flags=re.S)
