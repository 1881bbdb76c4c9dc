"""Tables of a comparison as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from nnreg.comparison.settings import value_text
from nnreg.comparison.tables import Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": "$<$", ">": "$>$", "|": r"\textbar{}", "±": r"$\pm$", "–": "--",
}  # fmt: skip
"""What LaTeX would interpret, or may lack, and how it is written."""


def markdown(table: Table, notes: Iterable[str]) -> str:
    """Return a table in Markdown, with aligned columns, its title above and notes below."""
    rows = [list(map(_markdown, table.head))]
    rows += [[_markdown(cell.text) for cell in row] for row in table.rows]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(table.head))]
    aligned = [
        " | ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, table.numeric, strict=True)
        )
        for row in rows
    ]
    rule = " | ".join(
        f"{'-' * (width - 1)}{':' if right else '-'}"
        for width, right in zip(widths, table.numeric, strict=True)
    )
    lines = [f"| {line} |" for line in (aligned[0], rule, *aligned[1:])]
    listed = [f"* {_markdown(note.strip())}" for note in notes]
    return "\n".join(
        [f"**{_markdown(table.title)}**", "", *lines, *([""] if listed else []), *listed]
    )


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text.replace("\n", " "))


def latex(table: Table, notes: Iterable[str]) -> str:
    r"""Return a table for LaTeX with `\usepackage{booktabs}`; title and notes are comments."""
    columns = "".join("r" if right else "l" for right in table.numeric)
    head, *rows = _aligned_latex([table.head, *([cell.text for cell in row] for row in table.rows)])
    comments = [f"% {' '.join(line.split())}" for line in (table.title, *notes)]
    return "\n".join(
        [
            *comments,
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _aligned_latex(rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [list(map(_latex, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        " & ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        + r" \\"
        for row in cells
    ]


def _latex(text: str) -> str:
    escaped = "".join(LATEX.get(c, c) for c in text.replace("\n", " "))
    return re.sub(r"(?<!\S)([+-])(?=\d)", r"$\1$", escaped)


def csv_text(tables: Iterable[tuple[str, Table]]) -> str:
    """Return the exact numbers of the tables of some metrics as CSV, with the metric first."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head: list[str] = []
    for metric, table in tables:
        names = ["metric", *(name for names in table.exact for name in names)]
        if names != head:
            writer.writerow(head := names)
        for row in table.rows:
            values = [metric]
            for cell, columns in zip(row, table.exact, strict=True):
                several = cell.value if len(columns) > 1 else (cell.value,)
                values += ["" if value is None else value_text(value) for value in several]
            writer.writerow(values)
    return file.getvalue().rstrip("\n")
